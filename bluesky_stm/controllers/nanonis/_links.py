"""The two connections to a Nanonis controller, and what is asked of it again and again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bluesky_stm import units
from bluesky_stm.controllers.base import Clock, RealClock
from bluesky_stm.controllers.nanonis._channels import ChannelNames, Channels
from bluesky_stm.controllers.nanonis._link import Announce, Link
from bluesky_stm.controllers.nanonis_wire._commands import OLDEST_RELEASE, ScanAction, ZStatus
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.errors import SettingsError

POLL: Final = 0.01
"""Pause between two questions whether something is over, in s."""

SMALLEST_SETPOINT: Final = 0.001
"""In nA; the protocol does not say what the preamplifier can still hold."""

FASTEST: Final = 10_000.0
"""Speed of the tip, in nm/s; the protocol does not say what the scanner can do."""

GRID: Final = "grid experiment"
TRACKING: Final = "atom tracking"

OPTIONAL: Final = (GRID, TRACKING)
"""Acts of modules that a software may lack."""

OF_TRACKER: Final = 1
"""Code of the controller of the atom tracking; 0 is its modulation."""

RUNNING: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    GRID: ("Pattern.ExpStatusGet", ()),
    "sweep": ("BiasSpectr.StatusGet", ()),
    "z sweep": ("ZSpectr.StatusGet", ()),
    "scan": ("Scan.StatusGet", ()),
    "approach": ("AutoApproach.OnOffGet", ()),
    TRACKING: ("AtomTrack.StatusGet", (OF_TRACKER,)),
}
STOPPING: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    GRID: ("Pattern.ExpStop", ()),
    "sweep": ("BiasSpectr.Stop", ()),
    "z sweep": ("ZSpectr.Stop", ()),
    "scan": ("Scan.Action", (ScanAction.STOP, 0)),
    "approach": ("AutoApproach.OnOffSet", (0,)),
    TRACKING: ("AtomTrack.CtrlSet", (OF_TRACKER, 0)),
}
"""Commands by act: the one that asks if it is under way, and the one that ends it, which is harmless where it is not.

A grid experiment comes first, for it begins one sweep after the other.
"""


def runs(link: Link, act: str) -> bool:
    """Return True while an act is under way, whoever began it; a software without the module of it runs none.

    Parameters
    ----------
    link : Link
        Over which it is asked.
    act : str
        One of `RUNNING`.
    """
    try:
        command, values = RUNNING[act]
        return bool(link.ask(command, *values)[0])
    except NanonisError:
        if act in OPTIONAL:
            return False
        raise


@dataclass(frozen=True)
class Versions:
    """Names and releases that the software states.

    Attributes
    ----------
    product, version : str
        Names, as in ``"Generic 5"``.
    host_release, rt_release : int
        Releases of the software on the host and on the real-time controller; the commands depend on the first.
    """

    product: str
    version: str
    host_release: int
    rt_release: int


class Links:
    """Two connections to a controller: one works, and may be blocked by what it does; the other one watches, and stops it.

    Each takes the first of its ports that answers, work the 1st, 3rd ... and watch the 2nd, 4th ... Nothing is sent before
    `open`.

    Parameters
    ----------
    host : str
    ports : sequence of int
        At least two.
    timeout : float
        Longest time, in s, for an answer beyond what the command itself takes.
    read_only : bool
        True to hold back every command that changes something.
    announce : callable or None
        Told of every such command before it is sent.
    names : ChannelNames
        What the signals are called.
    clock : Clock or None
        Gives the times of measurements; wall time for None.

    Attributes
    ----------
    work, watch : Link
    stopped : threading.Event
        Set by a stop, until the next act begins.
    own : set of str
        Acts of `RUNNING` that this program has begun and not yet seen the end of: those of others are left alone.
    channels : Channels
        Indexes of the signals, looked up anew at each connection.
    recorded : list of int or None
        Channels that the bias spectroscopy module records, where that was read at this connection.
    module : dict of str to list
        How the bias spectroscopy module was set last, by the names of its settings.
    versions : Versions
    """

    channels: Channels
    versions: Versions
    recorded: list[int] | None = None

    def __init__(
        self,
        host: str,
        ports: Sequence[int],
        *,
        timeout: float,
        read_only: bool,
        announce: Announce | None,
        names: ChannelNames,
        clock: Clock | None,
    ) -> None:
        if len(ports) < 2:
            raise SettingsError(f"Two ports are needed, one to work and one to watch and stop, not {list(ports)}.")
        self.host, self.ports, self.timeout, self.read_only = host, tuple(ports), timeout, read_only
        self.names, self._announce, self.clock = names, announce, clock or RealClock()
        self.stopped = threading.Event()
        self.own: set[str] = set()
        self.module: dict[str, list[Any]] = {}
        self.work, self.watch = self._link(ports[0::2]), self._link(ports[1::2])
        self._lost: dict[Link, int] = {self.work: 0, self.watch: 0}

    def _link(self, ports: Sequence[int]) -> Link:
        return Link(self.host, ports, self.timeout, read_only=self.read_only, announce=self._announce)

    def spare(self) -> Link:
        """Return a third connection, over whichever port answers, the last one first.

        It is for a withdrawal when both others fail; the caller closes it.
        """
        spare = self._link(self.ports[::-1])
        spare.release = self.work.release
        return spare

    def open(self) -> Mapping[str, tuple[float, float]]:
        """Connect, look up versions and channels, and return the ranges of the hardware.

        Raises
        ------
        LostConnectionError
            When nobody answers.
        NanonisError
            When the release is too old or a channel is missing.
        """
        self.versions = self._read_versions()
        self.work.release = self.watch.release = self.versions.host_release
        self.find_channels(self.work)
        ranges = self._read_ranges()
        self.status()
        return ranges

    def renew(self) -> None:
        """Connect both anew where one was lost since the last time: what one has noticed the other one learns only when asked.

        So a restart of the software costs one act, not one for each connection.
        """
        lost = {link: link.losses for link in (self.work, self.watch)}
        if lost != self._lost:
            for link in (self.work, self.watch):
                link.drop()
        self.watch.connect()
        self.work.connect()
        self._lost = {link: link.losses for link in (self.work, self.watch)}

    def close(self) -> None:
        """Hang up for good."""
        self.work.close()
        self.watch.close()

    def find_channels(self, link: Link) -> None:
        """Look the signals up by their names: the software may have been started anew, with other indexes.

        Parameters
        ----------
        link : Link
            Connection over which the names are asked.

        Raises
        ------
        NanonisError
            When a name is not among them.
        """
        self.recorded = None
        self.channels = Channels.find(self.names, link.ask("Signals.NamesGet")[0])

    def status(self) -> ZStatus:
        """Return the state of the z controller, as the module says it.

        Raises
        ------
        NanonisError
            For a code that is not known: no state is assumed.
        """
        (code,) = self.watch.ask("ZCtrl.StatusGet")
        try:
            return ZStatus(code)
        except ValueError:
            raise NanonisError(f"The z controller is in state {code}, which is not known. Look at the microscope.") from None

    @property
    def since(self) -> tuple[int, ...]:
        """Counts that stay the same as long as nothing but questions is sent and no connection is lost."""
        return (self.work.sent, self.watch.sent, self.work.losses, self.watch.losses)

    def is_running(self, act: str) -> bool:
        """Return True while an act is under way, whoever began it.

        Parameters
        ----------
        act : str
            One of `RUNNING`.
        """
        return runs(self.watch, act)

    def full_scale(self) -> float:
        """Return the end of the preamplifier's range, in nA, at the gain that it has now."""
        return ours(max(map(abs, self.watch.ask("Signals.RangeGet", self.channels.current))), units.CURRENT)

    def until(
        self,
        done: Callable[[], bool],
        what: str,
        patience: float | None = None,
        going_on: Callable[[], bool] = lambda: False,
        longest: float = math.inf,
    ) -> None:
        """Ask again and again until something has happened.

        Parameters
        ----------
        done : callable
            Returns True when it has.
        what : str
            Beginning of the sentence that says what did not happen.
        patience : float, optional
            Longest time, in s, in which nothing is going on; the time-out if not given.
        going_on : callable
            Returns True while something is going on.
        longest : float
            Longest time altogether, in s.

        Raises
        ------
        NanonisError
            When the time is over.
        """
        patience = self.timeout if patience is None else patience
        begun = last = time.monotonic()
        while not done():
            now = time.monotonic()
            if going_on():
                last = now
            if now - last > patience or now - begun > longest:
                raise NanonisError(f"{what} did not happen within {now - begun:.3g} s. Look at the microscope before going on.")
            time.sleep(POLL)

    def _read_versions(self) -> Versions:
        versions = Versions(*self.work.ask("Util.VersionGet"))
        if versions.host_release < OLDEST_RELEASE:
            raise NanonisError(
                f"Release {versions.host_release} of {versions.product} speaks another protocol: {OLDEST_RELEASE} or later is "
                "needed. Nothing has moved. Update the Nanonis software."
            )
        return versions

    def _read_ranges(self) -> Mapping[str, tuple[float, float]]:
        x, y, _ = (ours(span, units.LENGTH) / 2 for span in self.work.ask("Piezo.RangeGet"))
        high, low = (ours(end, units.LENGTH) for end in self.work.ask("ZCtrl.LimitsGet"))
        current = self.full_scale()
        most, least = self.work.ask("Signals.RangeGet", self.channels.bias)
        ranges = {
            "bias": (least, most),
            "current": (0.0, current),
            "setpoint": (SMALLEST_SETPOINT, current),
            "x": (-x, x),
            "y": (-y, y),
            "z": (low, high),
            "speed": (0.0, FASTEST),
        }
        if wrong := {name: pair for name, pair in ranges.items() if not pair[0] < pair[1]}:
            raise NanonisError(f"The Nanonis software gives ranges that make no sense: {wrong}. Nothing has moved.")
        return ranges


def confirm(what: str, asked: float, read: float, unit: str, tolerance: float) -> None:
    """Refuse to go on unless what was set is what is read back.

    Parameters
    ----------
    what : str
        Name of the quantity, the beginning of a sentence.
    asked, read : float
        What was set, and what is read back.
    unit : str
        Unit of both.
    tolerance : float
        Difference that is left to the rounding to float32 where the value is near zero; beside it, a part in 1e5.
    """
    if not math.isclose(asked, read, rel_tol=1e-5, abs_tol=tolerance):
        raise NanonisError(
            f"{what} was set to {asked:g} {unit} and reads back {read:g} {unit}. Nothing else was done. "
            "Look at the limits and the ranges in the Nanonis software."
        )
