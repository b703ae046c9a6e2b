"""Bias sweeps of a Nanonis controller: it holds the feedback and restores it itself, also when nobody listens any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.base import SLEW, time_of_a_point
from bluesky_stm.controllers.nanonis._connected import rescued
from bluesky_stm.controllers.nanonis._scan import NanonisScanning
from bluesky_stm.controllers.nanonis._tip import BIAS_TOLERANCE
from bluesky_stm.controllers.nanonis._z import ZState
from bluesky_stm.controllers.nanonis_wire._commands import Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality, Setpoint, Spectrum
from bluesky_stm.protocols import LockInSettings, Progress, SweepSettings
from bluesky_stm.tip_changes import marked
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
    """State that a sweep has to leave as it found it."""

    setpoint: Setpoint
    feedback: bool


@dataclass(frozen=True)
class _Setting:
    """A setting of the bias spectroscopy module.

    Attributes
    ----------
    what : str
        What a person calls it.
    name : str
        Its commands are ``BiasSpectr.{name}Set`` and ``BiasSpectr.{name}Get``.
    send : sequence
        Values of ``Set``, in SI.
    expect : sequence of float
        What ``Get`` has to answer.
    read : callable
        Takes the values of ``Get`` that are compared.
    """

    what: str
    name: str
    send: Sequence[Any]
    expect: Sequence[float]
    read: Callable[[list[Any]], Sequence[float]] = list


class NanonisSpectroscopy(NanonisScanning):
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
        with self._act() as act:
            state, lockin = self._check_contact("swept"), self.get_lockin()
            lockin.check_dwell(settings.dwell)
            before = _Before(self.get_setpoint(), state.on)
            with rescued(lambda: self._leave_as(before)):
                held = before.setpoint if settings.setpoint is None else self._hold_at(settings.setpoint)
                self._set_sweep(settings)
                spectrum = self._sweep(settings, lockin, before.feedback, held, progress)
                # One look at set point and z controller after the sweep answers all that is left to ask: whether the spectrum
                # is what it claims to be, whether the tip has touched or is gone, and what has to be restored.
                read, state = self._check_undisturbed(held), self._check_tip()
                untouched = self._restore(before, read) and state.on == before.feedback
                if not untouched:
                    self._restore_feedback(before)
                act.checked = untouched  # nothing but questions was sent since the state was read
        return marked(replace(spectrum, quality=spectrum.quality | self._contact(state)))

    # ---- setting up ----

    def _set_sweep(self, settings: SweepSettings) -> None:
        """Set up the bias spectroscopy module where it reads otherwise: a person may have changed it since the last sweep.

        Only what is read back is believed, so that a setting that already reads as it should need not be sent.
        """
        wrong = [setting for setting in self._settings_of(settings) if not self._reads(setting)[0]]
        for setting in wrong:
            self._work.ask(f"BiasSpectr.{setting.name}Set", *setting.send)
        # All are read again after the last one was sent: the z offset is one value that stands in two of them.
        for setting in wrong:
            same, read = self._reads(setting)
            if not same:
                raise NanonisError(
                    f"The {setting.what} of the bias spectroscopy were set to {setting.expect} and read back {read}. "
                    "Nothing was swept. Look at the module in the Nanonis software."
                )

    def _settings_of(self, settings: SweepSettings) -> list[_Setting]:
        channels = [self.channels.current, self.channels.lockin_x, self.channels.lockin_y]
        offset, points, averages = si(settings.z_offset, LENGTH), settings.points, settings.averages
        timing = (Z_AVERAGE, offset, FIRST_SETTLE, SLEW, settings.settle, settings.integrate, END_SETTLE, Z_CONTROL)
        ends, backward = (settings.start, settings.stop), settings.backward
        props = (Switch.OFF, averages, Switch.of(backward), points, offset, Switch.KEEP, Switch.OFF)
        return [
            _Setting("channels", "Chs", (channels,), channels, lambda read: read[0]),
            # Averages, backward and points, and the last one: a dialog would wait for a person at the end.
            _Setting(
                "averages, backward, points, dialog",
                "Props",
                props,
                (0, averages, backward, points, 0),
                lambda r: [*r[:4], r[-1]],
            ),
            _Setting("timing", "Timing", timing, timing),
            _Setting("limits", "Limits", ends, ends),
            # Bias reset and z hold; whether the final z is recorded and the lock-in is run is left as it is.
            _Setting(
                "bias reset and Z hold",
                "AdvProps",
                (Switch.ON, Switch.ON, Switch.KEEP, Switch.KEEP),
                (1, 1),
                lambda read: read[:2],
            ),
            _Setting("return from the Z offset", "ZOffRevert", (Switch.ON,), (1,)),
        ]

    def _reads(self, setting: _Setting) -> tuple[bool, list[float]]:
        """Return True when a setting reads as it should, and how it reads."""
        read = [float(value) for value in setting.read(self._work.ask(f"BiasSpectr.{setting.name}Get"))]
        wanted = [float(value) for value in setting.expect]
        return len(read) == len(wanted) and np.allclose(read, wanted, rtol=1e-5, atol=1e-15), read

    def _hold_at(self, setpoint: Setpoint) -> Setpoint:
        """Go to another set point and return how it reads back.

        The feedback stands open while the bias goes there, for it could lose the current on the way.
        """
        self._begin_passage(self._work)
        self._ramp(setpoint.bias, self._work)
        self._work.ask("ZCtrl.SetpntSet", si(setpoint.current, CURRENT))
        read = self.get_setpoint()
        self._confirm("The set point", setpoint.current, read.current, CURRENT, 1e-6)
        self._passing = False
        self._close_feedback()
        return read

    # ---- the sweep ----

    def _sweep(
        self, settings: SweepSettings, lockin: LockInSettings, closed: bool, setpoint: Setpoint, progress: Progress | None
    ) -> Spectrum:
        """Sweep, and make a spectrum of the answer.

        Parameters
        ----------
        settings : SweepSettings
            The sweep that is asked for.
        lockin : LockInSettings
            As it read just before.
        closed : bool
            True when the feedback was closed before, so that a current has to flow.
        setpoint : Setpoint
            As it read when the feedback was there.
        progress : callable or None
            Called once, with the number of points that came back.

        Returns
        -------
        Spectrum
        """
        tip, started = self.get_tip(), self._clock.now()
        longest = self._timeout + OVERHEAD + 3 * settings.points * time_of_a_point(settings)
        quality = self._check_ready(closed, setpoint)
        names, data, _ = self._work.ask("BiasSpectr.Start", 1, "", timeout=longest)
        forth, back = self._channels_of(settings, names, data)
        current, x, y = (np.mean(both, axis=0) for both in zip(forth, back or forth, strict=True))
        done = int(np.isfinite([current, x, y]).all(axis=0).sum())
        if progress and done:
            progress(done, settings.points)
        quality |= self._clipped([*forth[:1], *back[:1]]) | (Quality.GOOD if done == settings.points else Quality.INCOMPLETE)
        quality |= Quality.GOOD if lockin.modulated else Quality.UNMODULATED
        return Spectrum(
            position=tip.point,
            bias=settings.bias,
            **_channels(lockin, current, x, y),
            setpoint=setpoint,
            time=started,
            z=tip.z + settings.z_offset,
            quality=quality,
            backward=_channels(lockin, *back) if back else {},
        )

    def _check_ready(self, closed: bool, setpoint: Setpoint) -> Quality:
        """Look once more just before the sweep starts, for Nanonis sweeps wherever the tip is."""
        self._check_contact("swept")
        hanging = closed and abs(self.read_current()) < LOST * setpoint.current
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

    def _clipped(self, currents: list[Floats]) -> Quality:
        """Return CLIPPED when a current reaches the end of the preamplifier's range, in either direction."""
        full = self._full_scale() * (1 - 1e-6)
        return Quality.CLIPPED if np.nanmax(np.abs(currents), initial=0.0) >= full else Quality.GOOD

    def _contact(self, state: ZState) -> Quality:
        """Return LOST_CONTACT for a tip that was withdrawn meanwhile: it measured nothing."""
        return Quality.LOST_CONTACT if not state.on and self._is_away(state.status) else Quality.GOOD

    # ---- after it ----

    def _check_undisturbed(self, held: Setpoint) -> Setpoint:
        """Read the set point after a sweep, and refuse the spectrum when it is another one than it was held at."""
        read = self.get_setpoint()
        if not np.isclose(read.current, held.current, rtol=1e-5, atol=0):
            raise NanonisError(
                f"Somebody changed the set point from {held.current:g} nA to {read.current:g} nA during a sweep. "
                "The spectrum was not used. Measure again."
            )
        return read

    def _leave_as(self, before: _Before) -> None:
        """Bring back bias, set point and feedback over the connection that watches; else the tip is withdrawn."""
        if self.read_only:
            return
        try:
            self._end_sweep()
            self._restore(before, self.get_setpoint())
            self._restore_feedback(before)
        except STMError:
            self.withdraw()
            raise

    def _end_sweep(self) -> None:
        if self._watch.ask("BiasSpectr.StatusGet")[0]:
            self._watch.ask("BiasSpectr.Stop", timeout=self._timeout + OVERHEAD)
            self._until(lambda: not self._watch.ask("BiasSpectr.StatusGet")[0], "The end of a sweep", self._timeout)

    def _restore(self, before: _Before, read: Setpoint) -> bool:
        """Bring back the bias and the set point of before a sweep.

        Parameters
        ----------
        before : _Before
            Bias, set point and feedback of before the sweep.
        read : Setpoint
            As it stands now.

        Returns
        -------
        bool
            True when nothing had to be done.
        """
        moved = abs(read.bias - before.setpoint.bias) > BIAS_TOLERANCE
        changed = not np.isclose(read.current, before.setpoint.current, rtol=1e-5, atol=0)
        if moved and not self.is_withdrawn():
            self._begin_passage(self._watch)
        if moved:
            self._ramp(before.setpoint.bias, self._watch, stoppable=False)
        if changed:
            self._watch.ask("ZCtrl.SetpntSet", si(before.setpoint.current, CURRENT))
            self._confirm("The set point of before", before.setpoint.current, self.get_setpoint().current, CURRENT, 1e-6)
        self._passing = False
        return not (moved or changed)

    def _restore_feedback(self, before: _Before) -> None:
        on = self.get_feedback()
        if before.feedback and not on:
            self._close_feedback()
        if not before.feedback and on:
            self._open_feedback(self._watch)
        self._left_open = not before.feedback


def _channels(lockin: LockInSettings, current: Floats, x: Floats, y: Floats) -> dict[str, Floats]:
    """Channels of a spectrum by name, from what was recorded."""
    return {"current": current, "lockin_x": x, "lockin_y": y, "didv": lockin.didv(x, y)}


def _backward(name: str) -> str:
    """Return the name of a channel on the way back: ``"Current [bwd] (A)"``."""
    label, _, unit = name.rpartition(" (")
    return f"{label} [bwd] ({unit}"
