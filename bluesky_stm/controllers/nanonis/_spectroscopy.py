"""Bias sweeps of a Nanonis controller: it holds the feedback and restores it itself, also when nobody listens any more."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.nanonis._answer import channels_of, plain, wanted
from bluesky_stm.controllers.nanonis._bias import BIAS_TOLERANCE, NanonisBias
from bluesky_stm.controllers.nanonis._drift import NanonisDrift
from bluesky_stm.controllers.nanonis._guard import NanonisPart, TipGuard, ZState
from bluesky_stm.controllers.nanonis._lockin import Look, NanonisLockIn
from bluesky_stm.controllers.nanonis._module import set_up
from bluesky_stm.controllers.nanonis._passage import Before, Passage, left, patience
from bluesky_stm.controllers.nanonis._rescue import rescued
from bluesky_stm.controllers.nanonis._tip import MOMENT, NanonisTip
from bluesky_stm.controllers.nanonis._witness import Standing, disturbed
from bluesky_stm.controllers.nanonis._z import NanonisZ
from bluesky_stm.controllers.nanonis_wire._commands import FOREVER, Pulse, Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import HARMONICS, Quality, Setpoint, Spectrum
from bluesky_stm.protocols import Progress, Spectroscopy, SweepSettings, TipShape
from bluesky_stm.units import CURRENT, LENGTH
from bluesky_stm.validated import JSON

HANGS_FREE: Final = 0.1
"""Part of the set point below which the tip hangs in the air."""

RAMP: Final = 0.1
"""Time in which a dipping tip goes down, and in which it comes up, in s."""


class NanonisSpectroscopy(NanonisPart, Spectroscopy):
    """Fulfils `protocols.Spectroscopy`.

    Parameters
    ----------
    guard : TipGuard
    bias, drift, tip, z, lockin
        The other parts, which know where and at which set point a sweep is taken.
    save_as : str
        Beginning of the names of the files in which the software saves spectra; empty to leave its saving as it stands.
    """

    def __init__(
        self,
        guard: TipGuard,
        *,
        bias: NanonisBias,
        drift: NanonisDrift,
        tip: NanonisTip,
        z: NanonisZ,
        lockin: NanonisLockIn,
        save_as: str = "",
    ) -> None:
        super().__init__(guard)
        self._drift, self._tip, self._z, self._lockin = drift, tip, z, lockin
        self._passage = Passage(guard, bias, z)
        self._meddled: list[str] = []
        self._file, self._files = "", count(1)
        self._saved_as = f"{save_as}-{secrets.token_hex(3)}" if save_as else ""

    @override
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias where the tip stands; ended by `stop` it comes back INCOMPLETE, padded with NaN.

        Raises
        ------
        TipCrashError
            When Safe Tip withdrew the tip meanwhile: the spectrum is not to be used.
        NanonisError
            When what was set does not read back, or what came back is not what was asked for.
        """
        self._file = f"{self._saved_as}-{next(self._files):05d}-" if self._saved_as else ""
        return self.measured(
            settings,
            lambda lockin, closed, stood: [self._sweep(settings, lockin, closed, stood, progress)],
            base=self._file,
        )[0]

    def measured(
        self,
        settings: SweepSettings,
        measure: Callable[[Look, bool, Standing], list[Spectrum]],
        *,
        base: str = "",
        stays: bool = True,
    ) -> list[Spectrum]:
        """Measure with the module set up, the tip held and everything restored afterwards, as one act.

        Parameters
        ----------
        settings : SweepSettings
            The sweep, or each of them.
        measure : callable
            Takes the lock-in, whether the feedback was closed, and what stands; returns the spectra.
        base : str
            Beginning of the names of the files in which Nanonis saves each spectrum; empty to leave that as it stands.
        stays : bool
            True when the tip stays where it is.

        Returns
        -------
        list of Spectrum
            With the quality that follows from how things stand before and after it.
        """
        guard, passage = self._guard, self._passage
        with guard.act(sweeping=True) as act:
            run, self._meddled = set_up(self._links, settings, self._lockin.further, base)
            lockin = self._lockin.known(run, settings.dwell)
            state = guard.check_contact("swept")
            before = Before(self._z.get_setpoint(), state.on)
            with rescued(lambda: passage.leave_as(before)):
                held = passage.hold(before, settings.setpoint)
                place = self._tip.place(MOMENT) if stays else None
                stood = Standing(held, place, {**lockin.numbers, **self._drift.known()})
                spectra = measure(lockin, before.feedback, stood)
                # One look at set point and z controller after the sweep answers all that is left to ask: whether the spectrum
                # is what it claims to be, whether the tip has touched or is gone, and what has to be restored.
                read, state = self._z.get_setpoint(), guard.check_tip()
                lockin = self._lockin.look(run)
                stands = Standing(
                    _without_sweep(read, held, settings, spectra),
                    self._tip.place() if stays else None,
                    {**lockin.numbers, **self._drift.read()},
                )
                # Where it is untouched, nothing but questions was sent since the state was read.
                act.checked = passage.bring_back(before, left(before, held, stands.setpoint), read, closed=state.on)
        changes = stood.changes(stands, state.status)
        told = [changes] if changes else []
        told += [f"since the sweep before {self._lockin.meddled}"] if self._lockin.meddled else []
        told += [f"{what} of the module were changed, and set again" for what in self._meddled]
        quality = self._contact(state) | disturbed(changes)
        return [replace(spectrum, quality=spectrum.quality | quality, disturbed="; ".join(told)) for spectrum in spectra]

    @override
    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias to change the tip, by ``Bias.Pulse`` with the feedback on hold. This cannot be undone.

        Parameters
        ----------
        bias : float
            Height of the pulse, in V: the bias itself, and not a change of it.
        width : float
            Duration of the pulse, in s; the answer comes after it.
        """
        longest = self._links.timeout + 2 * width
        with self._guard.act():
            self._work.ask("Bias.Pulse", 1, width, bias, Pulse.HOLD_FEEDBACK, Pulse.ABSOLUTE, timeout=longest)

    @override
    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip into the surface with the tip shaper, to change it. This cannot be undone.

        The module waits for the switch-off delay of the z controller, goes to the bias of the dip and down by its depth within
        `RAMP`, holds, comes up, and restores bias and feedback itself.

        Parameters
        ----------
        shape : TipShape
            Depth and lift (nm), bias (V) and hold time (s).

        Raises
        ------
        NanonisError
            When the settings of the module do not read back; nothing has moved. A dip that somebody else had set up may be far
            deeper.
        """
        down, up = si(-shape.depth, LENGTH), si(shape.depth + shape.lift, LENGTH)
        with self._guard.act():
            delay = self._work.ask("ZCtrl.SwitchOffDelayGet")[0]
            dip = [delay, Switch.ON, shape.bias, down, RAMP, shape.bias, shape.hold, up, RAMP, RAMP, Switch.ON]
            self._work.ask("TipShaper.PropsSet", *dip)
            # Read back before it starts: a dip that somebody else set up may be far deeper.
            read = self._work.ask("TipShaper.PropsGet")
            if not np.allclose(read, dip, rtol=1e-5, atol=1e-15):
                raise NanonisError(
                    f"The tip shaper was set to {dip} and reads back {read}. Nothing has moved. Look at the module."
                )
            self._work.ask("TipShaper.Start", 1, FOREVER, timeout=self._links.timeout + delay + 3 * RAMP + 2 * shape.hold)

    # ---- the sweep ----

    def _sweep(
        self,
        settings: SweepSettings,
        lockin: Look,
        closed: bool,
        stood: Standing,
        progress: Progress | None,
    ) -> Spectrum:
        """Sweep, and make a spectrum of the answer.

        Parameters
        ----------
        settings : SweepSettings
            The sweep that is asked for.
        lockin : Look
            As it was seen last.
        closed : bool
            True when the feedback was closed before, so that a current has to flow.
        stood : Standing
            Set point and place, as they read just before.
        progress : callable or None
            Called once, with the number of points that came back.

        Returns
        -------
        Spectrum
        """
        started = self._links.clock.now()
        quality, z = self._check_ready(closed, stood.setpoint)
        place = stood.place or self._tip.place()
        names, data = self._start(settings, lockin.harmonics)
        spectrum = self.spectrum_of(settings, lockin, stood.setpoint, names, data)
        if not data.size and not self._was_ended():
            raise NanonisError("A sweep that nobody stopped gave not a single point. Look at the bias spectroscopy module.")
        if progress and (done := int(np.isfinite(spectrum.current).sum())):
            progress(done, settings.points)
        return replace(
            spectrum,
            position=place,
            time=started,
            z=z + settings.z_offset,
            quality=spectrum.quality | quality,
            native=self._native() if data.size else "",
        )

    def spectrum_of(
        self, settings: SweepSettings, lockin: Look, setpoint: Setpoint, names: Collection[str], data: Floats
    ) -> Spectrum:
        """Return what was recorded in a sweep as a spectrum, of which the place and the time are left to be told.

        Parameters
        ----------
        settings : SweepSettings
            The sweep that was asked for.
        lockin : Look
            As it was seen before.
        setpoint : Setpoint
            What the feedback kept.
        names : collection of str
            Names of the rows, the bias first.
        data : ndarray of shape (rows, points)
            What was recorded, in SI, as far as it came.

        Raises
        ------
        NanonisError
            When it is not what was asked for.
        """
        forth, back = channels_of(self._links.names, settings, list(names), data, lockin.harmonics)
        mean = [np.mean(both, axis=0) for both in zip(forth, back or forth, strict=True)]
        whole = bool(np.isfinite(mean).all())
        measures = lockin.settings.modulated and not lockin.faults(self._links.channels.bias, self._links.channels.current)
        quality = self._clipped([*forth[:1], *back[:1]]) | (Quality.GOOD if whole else Quality.INCOMPLETE)
        return Spectrum(
            position=Point(math.nan, math.nan),
            bias=settings.bias,
            **_channels(lockin, measures, *mean),
            setpoint=setpoint,
            quality=quality | (Quality.GOOD if measures else Quality.UNMODULATED),
            backward=_channels(lockin, measures, *back) if back else {},
        )

    def _start(self, settings: SweepSettings, harmonics: Collection[int]) -> tuple[list[str], Floats]:
        """Let the module sweep, and return names and rows of what came back; nothing where a stop came before.

        A person who changed the channels since they were read has them set again, and the sweep is made once more: nothing but
        the answer tells it.
        """
        for _ in range(2):
            if self._links.stopped.is_set():
                break
            self._links.own.add("sweep")
            names, data, _ = self._work.ask("BiasSpectr.Start", 1, self._file, timeout=patience(self._links, settings))
            self._links.own.discard("sweep")
            if not data.size or set(wanted(self._links.names, harmonics)) <= set(plain(names)):
                return names, data
            self._links.recorded = None
            self._meddled = [*self._meddled, *set_up(self._links, settings, harmonics, self._file).meddled]
        return [], np.empty((0, 0))

    def _native(self) -> str:
        """Return folder and beginning of the name of the file of the sweep; empty where the software was not asked to save."""
        if not self._file:
            return ""
        folder = str(self._watch.ask("Util.SessionPathGet")[0])  # a person may have changed it since
        between = "" if folder.endswith(("/", "\\")) else "\\" if "\\" in folder else "/"
        return f"{folder}{between}{self._file}"

    def _check_ready(self, closed: bool, setpoint: Setpoint) -> tuple[Quality, float]:
        """Look at current and height just before the sweep starts, for Nanonis sweeps wherever the tip is.

        Parameters
        ----------
        closed : bool
            True when the feedback was closed, so that a current has to flow.
        setpoint : Setpoint
            What the feedback keeps.

        Returns
        -------
        quality : Quality
            LOST_CONTACT where hardly a current flows.
        height : float
            Of the tip, in nm.
        """
        channels = self._links.channels
        ((current, height),) = self._watch.ask("Signals.ValsGet", [channels.current, channels.height], 1)
        hanging = closed and abs(ours(current, CURRENT)) < HANGS_FREE * setpoint.current
        return Quality.LOST_CONTACT if hanging else Quality.GOOD, ours(height, LENGTH)

    def _was_ended(self) -> bool:
        """Return True when there is a reason why a sweep gave nothing: it was stopped, or the tip is gone."""
        return self._links.stopped.is_set() or self._guard.withdrawing or self._guard.is_withdrawn()

    def _clipped(self, currents: list[Floats]) -> Quality:
        """Return CLIPPED when a current reaches the end of the preamplifier's range, in either direction."""
        full = self._links.full_scale() * (1 - 1e-6)
        return Quality.CLIPPED if np.nanmax(np.abs(currents), initial=0.0) >= full else Quality.GOOD

    def _contact(self, state: ZState) -> Quality:
        """Return LOST_CONTACT for a tip that was withdrawn meanwhile: it measured nothing."""
        return Quality.LOST_CONTACT if not state.on and self._guard.is_away(state.status) else Quality.GOOD


def _without_sweep(read: Setpoint, held: Setpoint, settings: SweepSettings, spectra: Sequence[Spectrum]) -> Setpoint:
    """Return the set point after a sweep as others left it: a bias at which the sweep itself has ended is none of theirs.

    Parameters
    ----------
    read : Setpoint
        As it reads after the sweep.
    held : Setpoint
        As it read before.
    settings : SweepSettings
        The sweep.
    spectra : sequence of Spectrum
        What came of it; the last one, where it ended early, may leave the bias anywhere, and none at all may, too.
    """
    ends = min(abs(read.bias - end) for end in (settings.start, settings.stop)) <= BIAS_TOLERANCE
    early = not spectra or spectra[-1].quality & Quality.INCOMPLETE
    return replace(read, bias=held.bias) if ends or early else read


def _channels(lockin: Look, measures: bool, current: Floats, x: Floats, y: Floats, *further: Floats) -> JSON:
    """Return the channels of a spectrum by name.

    Parameters
    ----------
    lockin : Look
        What was recorded was recorded with it.
    measures : bool
        False for a lock-in that does not measure dI/dV, which is NaN then.
    current, x, y : ndarray of shape (points,)
        In nA.
    *further : ndarray of shape (points,)
        X and Y of each further harmonic, in nA.
    """
    settings = lockin.settings
    didv = settings.didv(x, y) if measures else np.full(len(x), np.nan)
    channels: JSON = {"current": current, "lockin_x": x, "lockin_y": y, HARMONICS[1]: didv}
    for (harmonic, phase), pair in zip(lockin.harmonics.items(), zip(further[::2], further[1::2], strict=True), strict=True):
        channels[HARMONICS[harmonic]] = settings.derivative(harmonic, *pair, phase=phase)
    return channels
