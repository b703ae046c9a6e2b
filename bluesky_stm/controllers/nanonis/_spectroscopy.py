"""Bias sweeps of a Nanonis controller: it holds the feedback and restores it itself, also when nobody listens any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._connected import rescued
from bluesky_stm.controllers.nanonis._scan import Imaging
from bluesky_stm.controllers.nanonis._tip import BIAS_TOLERANCE, SLEW
from bluesky_stm.controllers.nanonis_wire._commands import Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import CHANNELS, Quality, Setpoint, Spectrum
from bluesky_stm.protocols import Progress, SweepSettings
from bluesky_stm.units import CURRENT, LENGTH

Z_AVERAGE, FIRST_SETTLE, END_SETTLE, Z_CONTROL = 0.05, 0.005, 0.005, 0.05
"""Times of a sweep beside its points, in s: those of the published spectra."""

OVERHEAD: Final = 10.0
"""Longest time of a sweep beside its points, in s."""

AVERAGE: Final = " [AVG]"
"""Part of the name of a channel that is the mean of several sweeps, as in ``"Current [AVG] (A)"``."""

LOST: Final = 0.1
"""Part of the set point below which the tip hangs in the air."""


@dataclass(frozen=True)
class _Before:
    """What a sweep has to leave as it was."""

    setpoint: Setpoint
    feedback: bool


class Spectroscopy(Imaging):
    """The part of `protocols.Controller` that sweeps."""

    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias where the tip stands; ended by `stop` it comes back INCOMPLETE, padded with NaN.

        Raises
        ------
        TipCrashError
            When Safe Tip withdrew the tip meanwhile: the spectrum is not to be used.
        NanonisError
            When what was set does not read back, or what came back is not what was asked for.
        """
        self._check(bias=settings.start)
        self._check(bias=settings.stop)
        if settings.setpoint is not None:
            self._check(bias=settings.setpoint.bias, setpoint=settings.setpoint.current)
        with self._act():
            self._check_contact("swept")
            self._check_feedback()
            before = _Before(self.get_setpoint(), self.get_feedback())
            with rescued(lambda: self._leave_as(before)):
                if settings.setpoint is not None:
                    self._hold_at(settings.setpoint)
                self._set_sweep(settings)
                spectrum = self._sweep(settings, before.feedback, progress)
                self._check_tip()
                self._leave_as(before)
        return spectrum

    # ---- setting up ----

    def _set_sweep(self, settings: SweepSettings) -> None:
        """Set up the bias spectroscopy module and read it back: a person may have changed it since the last sweep."""
        channels = [self.channels.current, self.channels.lockin_x, self.channels.lockin_y]
        offset, backward = si(settings.z_offset, LENGTH), Switch.of(settings.backward)
        points, averages = settings.points, settings.averages
        timing = (Z_AVERAGE, offset, FIRST_SETTLE, SLEW, settings.settle, settings.integrate, END_SETTLE, Z_CONTROL)
        ask = self._work.ask
        ask("BiasSpectr.ChsSet", channels)
        ask("BiasSpectr.PropsSet", Switch.OFF, averages, backward, points, offset, Switch.KEEP, Switch.OFF)
        ask("BiasSpectr.TimingSet", *timing)
        ask("BiasSpectr.LimitsSet", settings.start, settings.stop)
        ask("BiasSpectr.AdvPropsSet", Switch.ON, Switch.ON, Switch.KEEP, Switch.ON)
        ask("BiasSpectr.ZOffRevertSet", Switch.ON)
        self._read_back("channels", [list(ask("BiasSpectr.ChsGet")[0])], [channels])
        self._read_back("sweeps, backward, points", ask("BiasSpectr.PropsGet")[1:4], [averages, settings.backward, points])
        self._read_back("timing", ask("BiasSpectr.TimingGet"), timing)
        self._read_back("limits", ask("BiasSpectr.LimitsGet"), [settings.start, settings.stop])
        reset, hold, _, lockin = ask("BiasSpectr.AdvPropsGet")
        self._read_back("bias reset, Z hold and lock-in run", [reset, hold, lockin], [1, 1, 1])
        self._read_back(
            "return from the Z offset, without a dialog",
            [*ask("BiasSpectr.ZOffRevertGet"), ask("BiasSpectr.PropsGet")[-1]],
            [1, 0],
        )

    @staticmethod
    def _read_back(what: str, read: Any, asked: Any) -> None:
        if not np.allclose(np.asarray(read, dtype=float), np.asarray(asked, dtype=float), rtol=1e-5, atol=1e-15):
            raise NanonisError(
                f"The {what} of the bias spectroscopy were set to {asked} and read back {read}. Nothing was swept. "
                "Look at the module in the Nanonis software."
            )

    def _hold_at(self, setpoint: Setpoint) -> None:
        """Another set point; the feedback stands open while the bias goes there, it could lose the current on the way."""
        self._begin_passage(self._work)
        self._ramp(setpoint.bias, self._work)
        self._work.ask("ZCtrl.SetpntSet", si(setpoint.current, CURRENT))
        self._confirm("The set point", setpoint.current, self.get_setpoint().current, CURRENT, 1e-6)
        self._passing = False
        self._close_feedback()

    # ---- the sweep ----

    def _sweep(self, settings: SweepSettings, held: bool, progress: Progress | None) -> Spectrum:
        tip, setpoint, started = self.get_tip(), self.get_setpoint(), self._clock.now()
        once = (settings.settle + settings.integrate) * settings.averages * (1 + settings.backward)
        longest = self._timeout + OVERHEAD + 3 * settings.points * once
        quality = self._check_ready(held, setpoint)
        names, data, _ = self._work.ask("BiasSpectr.Start", 1, "", timeout=longest)
        forth, back = self._channels_of(settings, names, data)
        current, x, y = (np.mean(both, axis=0) for both in zip(forth, back or forth, strict=True))
        done = int(np.isfinite([current, x, y]).all(axis=0).sum())
        if progress and done:
            progress(done, settings.points)
        quality |= self._quality([*forth[:1], *back[:1]]) | (Quality.GOOD if done == settings.points else Quality.INCOMPLETE)
        lockin, place = self.get_lockin(), Point(tip.x, tip.y)
        way_back = dict(zip(CHANNELS[1:], [*back, lockin.didv(back[1])], strict=True)) if back else {}
        measured = (current, x, y, lockin.didv(x), setpoint, started, tip.z, quality)
        return Spectrum(place, settings.bias, *measured, way_back)

    def _check_ready(self, held: bool, setpoint: Setpoint) -> Quality:
        """Asked just before the sweep starts, for Nanonis sweeps wherever the tip is; whether it hangs in the air."""
        self._check_contact("swept")
        self._check_feedback()
        hanging = held and abs(self.read_current()) < LOST * setpoint.current
        return Quality.LOST_CONTACT if hanging else Quality.GOOD

    def _channels_of(self, settings: SweepSettings, names: list[str], data: Floats) -> tuple[list[Floats], list[Floats]]:
        """Current and lock-in in nA, forth and, where it was swept, back; NaN where the sweep had ended."""
        measured = data.shape[1] if len(data) else 0
        step = abs(settings.stop - settings.start) / (settings.points - 1)
        if len(data) != len(names) or not 0 <= measured <= settings.points:
            raise NanonisError(f"A sweep of {settings.points} points gave {names} and {data.shape} values. It was not used.")
        if measured and not np.allclose(data[0], settings.bias[:measured], rtol=0, atol=step / 2):
            raise NanonisError(
                f"A sweep from {settings.start:g} to {settings.stop:g} V came back from {data[0][0]:g} to {data[0][-1]:g} V. "
                "It was not used. Look at the bias spectroscopy module."
            )
        if not measured and not (self._stopped.is_set() or self._withdrawing or self.is_withdrawn()):
            raise NanonisError("A sweep that nobody stopped gave not a single point. Look at the bias spectroscopy module.")
        rows = dict(zip((name.replace(AVERAGE, "") for name in names), data, strict=True))
        wanted = (self.channel_names.current, self.channel_names.lockin_x, self.channel_names.lockin_y)
        forth = [self._padded(rows, name, settings, measured) for name in wanted]
        return forth, [self._padded(rows, _backward(name), settings, measured) for name in wanted if settings.backward]

    @staticmethod
    def _padded(rows: dict[str, Floats], name: str, settings: SweepSettings, measured: int) -> Floats:
        values = np.full(settings.points, np.nan)
        if measured:
            if name not in rows:
                raise NanonisError(f"A sweep gave no {name!r}, only {sorted(rows)}. It was not used.")
            values[:measured] = units.from_si(rows[name], CURRENT)
        return values

    def _quality(self, currents: list[Floats]) -> Quality:
        """Clipped in either direction; a tip that was withdrawn meanwhile measured nothing."""
        full = self._full_scale() * (1 - 1e-6)
        clipped = np.nanmax(np.abs(currents), initial=0.0) >= full
        lost = Quality.LOST_CONTACT if self.is_withdrawn() else Quality.GOOD
        return lost | (Quality.CLIPPED if clipped else Quality.GOOD)

    # ---- after it ----

    def _leave_as(self, before: _Before) -> None:
        """Bias, set point and feedback as before the sweep, over the connection that watches; else the tip is withdrawn."""
        if self.read_only:
            return
        try:
            self._end_sweep()
            self._restore(before)
        except STMError:
            self.withdraw()
            raise

    def _end_sweep(self) -> None:
        if self._watch.ask("BiasSpectr.StatusGet")[0]:
            self._watch.ask("BiasSpectr.Stop", timeout=self._timeout + OVERHEAD)
            self._until(lambda: not self._watch.ask("BiasSpectr.StatusGet")[0], "The end of a sweep", self._timeout)

    def _restore(self, before: _Before) -> None:
        withdrawn, read = self.is_withdrawn(), self.get_setpoint()
        moved = abs(read.bias - before.setpoint.bias) > BIAS_TOLERANCE
        if moved and not withdrawn:
            self._begin_passage(self._watch)
        if moved:
            self._ramp(before.setpoint.bias, self._watch, stoppable=False)
        if not np.isclose(read.current, before.setpoint.current, rtol=1e-5, atol=0):
            self._watch.ask("ZCtrl.SetpntSet", si(before.setpoint.current, CURRENT))
            self._confirm("The set point of before", before.setpoint.current, self.get_setpoint().current, CURRENT, 1e-6)
        self._passing = False
        if before.feedback and not self.get_feedback():
            self._close_feedback()
        if not before.feedback and self.get_feedback():
            self._open_feedback(self._watch)
        self._left_open = not before.feedback


def _backward(name: str) -> str:
    """What Nanonis calls a channel on the way back: ``"Current [bwd] (A)"``."""
    label, _, unit = name.rpartition(" (")
    return f"{label} [bwd] ({unit}"
