"""The controller of a real microscope: Nanonis, over TCP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Final

from typing_extensions import override

from bluesky_stm.controllers.base import BaseController, Clock
from bluesky_stm.controllers.nanonis._bias import NanonisBias
from bluesky_stm.controllers.nanonis._channels import ChannelNames, Channels
from bluesky_stm.controllers.nanonis._check import CAN_BE_OVERRIDDEN, obstacles
from bluesky_stm.controllers.nanonis._claim import Claim, holders
from bluesky_stm.controllers.nanonis._current import NanonisCurrent
from bluesky_stm.controllers.nanonis._drift import NanonisDrift
from bluesky_stm.controllers.nanonis._grids import NanonisGrids
from bluesky_stm.controllers.nanonis._guard import TipGuard
from bluesky_stm.controllers.nanonis._interlocks import Interlocks, read_interlocks
from bluesky_stm.controllers.nanonis._link import Announce
from bluesky_stm.controllers.nanonis._links import OPTIONAL, RUNNING, STOPPING, Links, Versions
from bluesky_stm.controllers.nanonis._lockin import Look, NanonisLockIn
from bluesky_stm.controllers.nanonis._meeting import Meeting
from bluesky_stm.controllers.nanonis._scan import NanonisScanning
from bluesky_stm.controllers.nanonis._spectroscopy import NanonisSpectroscopy
from bluesky_stm.controllers.nanonis._tip import NanonisTip
from bluesky_stm.controllers.nanonis._tracking import NanonisTracking
from bluesky_stm.controllers.nanonis._z import NanonisZ
from bluesky_stm.controllers.nanonis._z_spectroscopy import NanonisZSpectroscopy
from bluesky_stm.controllers.nanonis_wire._commands import PORTS, ZStatus
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.errors import LostConnectionError, SettingsError, STMError, UnknownNameError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Capability, LockInCalibration
from bluesky_stm.units import LENGTH
from bluesky_stm.validated import JSON, Data

log = logging.getLogger("bluesky_stm.nanonis")

COLOUR: Final = 0xFFD700
"""Of a mark, as red, green and blue: gold."""


class NanonisController(BaseController):
    """Fulfils `protocols.Controller` with a Nanonis controller, real or simulated.

    It takes two connections: one works, the other one watches, stops and withdraws. A lost connection is reported, never
    papered over; the next command connects again, and before it is sent the state is read, what was left running is ended, and
    a tip without feedback in reach of the surface is withdrawn.

    Parameters
    ----------
    host : str
    ports : sequence of int
        At least two of the controller's ports; further ones are tried where these don't answer.
    lockin : LockInCalibration
        What preamplifier and lock-in make of a current; ideal ones if not given.
    reference : float, optional
        Reference of the phase, in degrees, see `LockInSettings`; if not given, the phase of the demodulator is taken to be
        right as it stands.
    channels : ChannelNames, optional
        What the signals are called, if not as Nanonis calls them.
    interlocks : Interlocks or mapping, optional
        Of the controller's own, set now.
    read_only : bool
        Nothing that changes anything can leave.
    announce : callable, optional
        Told of everything that changes something just before it is sent.
    timeout : float
        Longest time, in s, for an answer beyond what the command itself takes.
    clock : Clock, optional
        Gives the times of measurements; wall time if not given.
    despite : collection of str
        Findings of `check`, by name, in spite of which runs may begin; they stand in the start documents.

    save_as : str
        Beginning of the names under which the software saves each spectrum, too; the Event then names the file. Empty to leave
        its saving as it stands.
    folder : str
        Where this computer sees the session path of the software, for grids that Nanonis takes by itself; by the same name if
        empty.
    marks : bool
        True if `mark` is to draw.
    take_over : bool
        True to take the instrument from another program that holds it; without it a second program is refused.
    claimant : str
        Who holds it, for others to see; user, host and process if empty.

    Raises
    ------
    LostConnectionError
        When nobody answers there.
    STMError
        When another program holds the instrument.
    SettingsError
        When the interlocks contradict each other, the set point or the preamplifier; none of them was sent.
    NanonisError
        When the release is too old, or a channel is missing.
    """

    _lockin: NanonisLockIn
    _drift: NanonisDrift
    capabilities = frozenset(Capability)

    def __init__(
        self,
        host: str = "127.0.0.1",
        ports: Sequence[int] = PORTS,
        *,
        lockin: LockInCalibration = LockInCalibration(),  # noqa: B008 - it cannot change
        reference: float | None = None,
        channels: ChannelNames = ChannelNames(),  # noqa: B008 - it cannot change
        interlocks: Interlocks | Data = Interlocks(),  # noqa: B008
        read_only: bool = False,
        announce: Announce | None = None,
        timeout: float = 5.0,
        clock: Clock | None = None,
        despite: Collection[str] = (),
        save_as: str = "",
        folder: str = "",
        marks: bool = False,
        take_over: bool = False,
        claimant: str = "",
        name: str = "nanonis",
    ) -> None:
        self.name, self._closed, self.despite = name, False, tuple(despite)
        if not all(letter.isalnum() or letter in "-_" for letter in save_as):
            raise SettingsError(f"save_as is the beginning of a file's name, letters, digits, - and _, not {save_as!r}.")
        if unknown := sorted(set(despite) - CAN_BE_OVERRIDDEN):
            # Without a guess: the name most alike may be that of the whole interlock.
            known = ", ".join(sorted(CAN_BE_OVERRIDDEN))
            raise UnknownNameError(
                f"There is no finding that can be overridden named {unknown[0]!r}. Nothing was sent. Name the red line of "
                f"nanonis-check that you mean, letter by letter. Known: {known}."
            )
        self._links = Links(host, ports, timeout=timeout, read_only=read_only, announce=announce, names=channels, clock=clock)
        self._marks = marks
        self._claim = Claim(claimant, take_over=take_over)
        self._guard = guard = TipGuard(self._links, Interlocks.parse(interlocks), self._claim)
        meeting = Meeting(guard, self._claim)
        self._bias, self._current, self._tip = NanonisBias(guard), NanonisCurrent(guard), NanonisTip(guard)
        self._z, self._lockin, self._drift = NanonisZ(guard, self._bias), NanonisLockIn(guard), NanonisDrift(guard)
        self._scanning = NanonisScanning(guard, self._z, self._drift)
        self._spectroscopy = NanonisSpectroscopy(
            guard, bias=self._bias, drift=self._drift, tip=self._tip, z=self._z, lockin=self._lockin, save_as=save_as
        )
        self._z_spectroscopy = NanonisZSpectroscopy(guard, bias=self._bias, drift=self._drift, tip=self._tip, z=self._z)
        self._grids = NanonisGrids(guard, spectroscopy=self._spectroscopy, tip=self._tip, folder=folder, save_as=save_as)
        self._tracking = NanonisTracking(guard, tip=self._tip, z=self._z, drift=self._drift)
        try:
            self.ranges = self._links.open()
            meeting.arm()
            self._lockin.calibrate(lockin, reference)
        except BaseException:
            self._claim.release(self._links.watch)
            self._links.close()
            raise

    def now(self) -> float:
        """Return the time since the connection was made, in s: the protocol tells none."""
        return self._links.clock.now()

    def describe(self) -> JSON:
        """Return name, address, versions, session path, channels, lock-in, gains and interlocks as they stand.

        They are read from the instrument each time, so that the start document of a run says how it was set then.
        """
        return {
            "name": self.name,
            "host": self._links.host,
            "ports": list(self._links.ports),
            "versions": asdict(self._links.versions),
            "session_path": self._links.watch.ask("Util.SessionPathGet")[0],
            "channels": asdict(self._links.names),
            "lockin": asdict(self.get_lockin()),
            "gains": asdict(self.get_gains()),
            "interlocks": self.read_interlocks(),
            "despite": list(self.despite),
            "claim": self._claim.name if self._claim.held else "",
        }

    @property
    def versions(self) -> Versions:
        """Names and releases that the software states."""
        return self._links.versions

    @property
    def channels(self) -> Channels:
        """Indexes of the signals, looked up anew at each connection."""
        return self._links.channels

    def read_interlocks(self) -> JSON:
        """Return Safe Tip, z limits and the safe conditions of sweeps as they stand in the controller.

        Returns
        -------
        dict
            Currents in nA and heights in nm, by the names of `read_interlocks`.
        """
        return read_interlocks(self._links)

    def arm(self) -> None:
        """Set the interlocks once more, and take what stands otherwise for meant: a person may have changed it on purpose.

        Raises
        ------
        SettingsError
            When they contradict each other, the set point or the preamplifier; none was sent.
        NanonisError
            When one does not read back.
        """
        self._guard.interlocks.judge()
        self._guard.interlocks.arm()

    def look_at_lockin(self) -> Look:
        """Return the lock-in whole: beside its settings which harmonic, signal, output and filter it has."""
        return self._lockin.look(run=bool(self._links.watch.ask("BiasSpectr.AdvPropsGet")[3]))

    def modulates_always(self) -> bool:
        """Return True when the modulator is on by itself, in images as well as in sweeps."""
        return self._lockin.always()

    def look_at_phase(self) -> float | None:
        """Return how far the demodulator is off the phase at which X holds all of dI/dV, in degrees; None where nothing tells.

        A reference that was given or found tells it, and a withdrawn tip, whose displacement current belongs into Y.
        """
        lockin = self.get_lockin()
        if self._lockin.known_reference:
            return (lockin.turned() + 180.0) % 360.0 - 180.0
        return self._lockin.displaced(lockin) if self.is_withdrawn() else None

    def read_sweep_modes(self) -> tuple[str, bool, int]:
        """Return how the bias spectroscopy module sweeps: its mode, whether at another set point, and the synchronisation.

        Returns
        -------
        tuple of str, bool and int
            ``"Linear"`` or ``"MLS"``; True for an alternate set point; a `DigSync`, less one.
        """
        ask = self._links.watch.ask
        return (
            ask("BiasSpectr.MLSModeGet")[0],
            bool(ask("BiasSpectr.AltZCtrlGet")[0]),
            ask("BiasSpectr.DigSyncGet")[0],
        )

    def read_drift(self) -> dict[str, float]:
        """Return the velocities, in nm/s, that are compensated, and on which axes the compensation has stopped."""
        return self._drift.read()

    def read_holder(self) -> str:
        """Return who holds the instrument, as its claim says; empty for nobody, or where nothing can be drawn."""
        try:
            found = holders(self._links.watch)
        except NanonisError:
            return ""
        return found[0][1] if found else ""

    def mark(self, place: Point, text: str) -> None:
        """Draw a text into the scan frame of the software, where people see it, where the controller was told to (``marks``).

        What fails in that is logged: no measurement depends on it.

        Parameters
        ----------
        place : Point
            In nm.
        text : str
            A word or two.
        """
        if self._marks and not self._links.read_only:
            try:
                self._links.watch.ask("Marks.PointDraw", si(place[0], LENGTH), si(place[1], LENGTH), text, COLOUR)
            except STMError as fault:
                log.warning("%r was not drawn at (%.2f, %.2f) nm: %s", text, *place, fault)

    @override
    def obstacles(self, dwell: float) -> list[str]:
        found = {finding.what: finding for finding in obstacles(self, dwell)}
        left = [finding for what, finding in found.items() if what not in self.despite]
        return [f"{finding.what}: {finding.found}. {finding.advice}" for finding in left]

    def status(self) -> ZStatus:
        """Return the state of the z controller.

        It is what the module says: it knows of a hold, of a Safe Tip event and of a withdrawal, and may lag behind the
        real-time side.
        """
        return self._links.status()

    def running(self) -> dict[str, bool]:
        """Return True while a grid experiment, sweep, scan, approach or atom tracking is under way, whoever began it."""
        return {act: self._links.is_running(act) for act in RUNNING}

    def stop(self) -> None:
        """End motion, approach, scan and sweep over the connection that nothing blocks, and close the feedback.

        The act under way is ended, and one that is asked for meanwhile begins when this is over. The feedback of a withdrawn
        tip stays open. Where the connection was lost it is tried once more over a fresh one; a read-only controller only notes
        the stop.

        Raises
        ------
        LostConnectionError
            When nobody answers on the second attempt either.
        NanonisError
            When a command was refused or an act does not end; all the others were tried before.
        STMError
            When nothing kept the tip off the surface; it was withdrawn.
        """
        with self._guard.stopping():
            if self._links.read_only:
                return
            try:
                self._stop_everything()
            except LostConnectionError:
                self._stop_everything()  # over a fresh connection: it must not fail for a cable that was out for a moment

    def _stop_everything(self) -> None:
        """Try all of it, whatever single answers look like, and say only then what was refused."""
        ends = [("FolMe.Stop", ()), *(command for act, command in STOPPING.items() if act not in OPTIONAL)]
        steps: list[Callable[[], object]] = [
            self._end_optional,
            *(partial(self._links.watch.ask, command, *values) for command, values in ends),
            self._guard.wait_for_passage,
            self._close_feedback,
            partial(self._links.until, self._all_is_over, "The end of all acts"),
        ]
        refusals: list[STMError] = []
        for step in steps:
            try:
                step()
            except LostConnectionError:
                raise
            except STMError as refusal:
                refusals.append(refusal)
        self._guard.check_feedback()
        if refusals:
            raise type(refusals[0])("; ".join(map(str, refusals)))

    def _end_optional(self) -> None:
        """End what a module does that the software may lack, and would refuse to end where it does."""
        for act in OPTIONAL:
            if self._links.is_running(act):
                command, values = STOPPING[act]
                self._links.watch.ask(command, *values)

    def _close_feedback(self) -> None:
        self._links.until(lambda: self.status() is not ZStatus.SWITCHING_OFF, "The end of switching off")
        if self.status() is ZStatus.OFF:
            self._guard.close_feedback()

    def _all_is_over(self) -> bool:
        """Return True when nothing runs any more; what the act under way began just before it saw the stop is ended, too."""
        running = [act for act, runs in self.running().items() if runs]
        for act in running:
            command, values = STOPPING[act]
            with suppress(NanonisError):  # it is asked again as long as it runs
                self._links.watch.ask(command, *values)
        return not running

    def close(self) -> None:
        """Stop, withdraw the tip if that fails, and hang up for good. It may be called repeatedly.

        Raises
        ------
        STMError
            The failure of the stop, whether or not the withdrawal helped.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._claim.held or self._links.read_only or not self._claim.possible:
                self.stop()  # what runs at an instrument that somebody has taken over is theirs
        except STMError:
            with suppress(STMError):
                self.withdraw()
            raise
        finally:
            self._claim.release(self._links.watch)
            self._links.close()
