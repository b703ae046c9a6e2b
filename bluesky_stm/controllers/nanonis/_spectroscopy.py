"""Bias sweeps of a Nanonis controller: it holds the feedback and restores it itself, also when nobody listens any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.nanonis._answer import channels_of
from bluesky_stm.controllers.nanonis._bias import NanonisBias
from bluesky_stm.controllers.nanonis._current import NanonisCurrent
from bluesky_stm.controllers.nanonis._guard import NanonisPart, TipGuard, ZState, rescued
from bluesky_stm.controllers.nanonis._lockin import NanonisLockIn
from bluesky_stm.controllers.nanonis._module import set_up
from bluesky_stm.controllers.nanonis._passage import Before, Passage, patience
from bluesky_stm.controllers.nanonis._tip import NanonisTip
from bluesky_stm.controllers.nanonis._z import NanonisZ
from bluesky_stm.controllers.nanonis_wire._commands import FOREVER, Pulse, Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import HARMONICS, Quality, Setpoint, Spectrum
from bluesky_stm.protocols import LockInSettings, Progress, Spectroscopy, SweepSettings, TipShape
from bluesky_stm.units import LENGTH
from bluesky_stm.validated import JSON

LOST: Final = 0.1
"""Part of the set point below which the tip hangs in the air."""

RAMP: Final = 0.1
"""Time in which a dipping tip goes down, and in which it comes up, in s."""


class NanonisSpectroscopy(NanonisPart, Spectroscopy):
    """Fulfils `protocols.Spectroscopy`.

    Parameters
    ----------
    guard : TipGuard
    bias, current, tip, z, lockin
        The other parts, which know where and at which set point a sweep is taken.
    """

    def __init__(
        self,
        guard: TipGuard,
        *,
        bias: NanonisBias,
        current: NanonisCurrent,
        tip: NanonisTip,
        z: NanonisZ,
        lockin: NanonisLockIn,
    ) -> None:
        super().__init__(guard)
        self._current, self._tip, self._z, self._lockin = current, tip, z, lockin
        self._passage = Passage(guard, bias, z)

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
        guard, passage = self._guard, self._passage
        with guard.act() as act:
            state = guard.check_contact("swept")
            lockin, harmonics = self._lockin.get_lockin(), self._lockin.harmonics()
            lockin.check_dwell(settings.dwell)
            before = Before(self._z.get_setpoint(), state.on)
            with rescued(lambda: passage.leave_as(before)):
                held = before.setpoint if settings.setpoint is None else passage.hold_at(settings.setpoint)
                set_up(self._links, settings, harmonics)
                spectrum = self._sweep(settings, lockin, harmonics, before.feedback, held, progress)
                # One look at set point and z controller after the sweep answers all that is left to ask: whether the spectrum
                # is what it claims to be, whether the tip has touched or is gone, and what has to be restored.
                read, state = self._check_undisturbed(held), guard.check_tip()
                untouched = passage.restore(before, read) and state.on == before.feedback
                if not untouched:
                    passage.restore_feedback(before)
                act.checked = untouched  # nothing but questions was sent since the state was read
        return replace(spectrum, quality=spectrum.quality | self._contact(state))

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
        lockin: LockInSettings,
        harmonics: Mapping[int, float],
        closed: bool,
        setpoint: Setpoint,
        progress: Progress | None,
    ) -> Spectrum:
        """Sweep, and make a spectrum of the answer.

        Parameters
        ----------
        settings : SweepSettings
            The sweep that is asked for.
        lockin : LockInSettings
            As it read just before.
        harmonics : mapping of int to float
            Phase, in degrees, of the demodulator of each further harmonic.
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
        tip, started = self._tip.get_tip(), self._links.clock.now()
        quality = self._check_ready(closed, setpoint)
        names, data = [], np.empty((0, 0))
        if not self._links.stopped.is_set():
            names, data, _ = self._work.ask("BiasSpectr.Start", 1, "", timeout=patience(self._links, settings))
        forth, back = channels_of(self._links.names, settings, names, data, harmonics)
        if not data.size and not self._was_ended():
            raise NanonisError("A sweep that nobody stopped gave not a single point. Look at the bias spectroscopy module.")
        mean = [np.mean(both, axis=0) for both in zip(forth, back or forth, strict=True)]
        done = int(np.isfinite(mean).all(axis=0).sum())
        if progress and done:
            progress(done, settings.points)
        quality |= self._clipped([*forth[:1], *back[:1]]) | (Quality.GOOD if done == settings.points else Quality.INCOMPLETE)
        quality |= Quality.GOOD if lockin.modulated else Quality.UNMODULATED
        return Spectrum(
            position=tip.point,
            bias=settings.bias,
            **_channels(lockin, harmonics, *mean),
            setpoint=setpoint,
            time=started,
            z=tip.z + settings.z_offset,
            quality=quality,
            backward=_channels(lockin, harmonics, *back) if back else {},
        )

    def _check_ready(self, closed: bool, setpoint: Setpoint) -> Quality:
        """Look once more just before the sweep starts, for Nanonis sweeps wherever the tip is."""
        self._guard.check_contact("swept")
        hanging = closed and abs(self._current.read_current()) < LOST * setpoint.current
        return Quality.LOST_CONTACT if hanging else Quality.GOOD

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

    def _check_undisturbed(self, held: Setpoint) -> Setpoint:
        """Read the set point after a sweep, and refuse the spectrum when it is another one than it was held at."""
        read = self._z.get_setpoint()
        if not np.isclose(read.current, held.current, rtol=1e-5, atol=0):
            raise NanonisError(
                f"Somebody changed the set point from {held.current:g} nA to {read.current:g} nA during a sweep. "
                "The spectrum was not used. Measure again."
            )
        return read


def _channels(
    lockin: LockInSettings, harmonics: Mapping[int, float], current: Floats, x: Floats, y: Floats, *further: Floats
) -> JSON:
    """Channels of a spectrum by name, from what was recorded: ``further`` has X and Y of each of the ``harmonics``."""
    channels: JSON = {"current": current, "lockin_x": x, "lockin_y": y, HARMONICS[1]: lockin.didv(x, y)}
    for (harmonic, phase), pair in zip(harmonics.items(), zip(further[::2], further[1::2], strict=True), strict=True):
        channels[HARMONICS[harmonic]] = lockin.derivative(harmonic, *pair, phase=phase)
    return channels
