"""Bias, current, tip, set point and drift of a Nanonis controller."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.base import SLEW
from bluesky_stm.controllers.nanonis._connected import ARRIVED
from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis._lockin import NanonisLockIn
from bluesky_stm.controllers.nanonis_wire._commands import FOREVER, Pulse, Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import MotionStoppedError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, TipShape, TipState
from bluesky_stm.units import CURRENT, LENGTH

STEP: Final = 0.05
"""Steps of a bias ramp, in V."""

BIAS_TOLERANCE: Final = 1e-3
"""How far the bias may be from what was asked for, in V."""

RAMP: Final = 0.1
"""Time in which a dipping tip goes down, and in which it comes up, in s."""


class NanonisTip(NanonisLockIn):
    """The part of `protocols.Controller` that sets the junction: where the tip stands, and at what bias and current."""

    # ---- bias and current ----

    def get_bias(self) -> float:
        """Bias now, in V."""
        return self._watch.ask("Bias.Get")[0]

    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V, in small steps; return on arrival."""
        self._check(bias=bias)
        with self._act():
            self._ramp(bias, self._work)

    def _ramp(self, bias: float, link: Link, *, stoppable: bool = True) -> None:
        start = self.get_bias()
        steps = max(1, math.ceil(abs(bias - start) / STEP))
        for step in range(1, steps + 1):
            if stoppable and self._stopped.is_set():
                raise MotionStoppedError(f"The ramp was stopped at {self.get_bias():g} V, before {bias:g} V. Ask again.")
            link.ask("Bias.Set", start + (bias - start) * step / steps)
            if step < steps:
                self._clock.sleep(STEP / SLEW, self._stopped if stoppable else None)
        self._until(lambda: abs(self.get_bias() - bias) < BIAS_TOLERANCE, f"A bias of {bias:g} V", self._timeout)

    def read_current(self) -> float:
        """Tunneling current, in nA, newer than the question."""
        return ours(self._watch.ask("Signals.ValGet", self.channels.current, 1)[0], CURRENT)

    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias, V for s, with the feedback held."""
        self._check(bias=bias)
        with self._act():
            self._work.ask("Bias.Pulse", 1, width, bias, Pulse.HOLD_FEEDBACK, Pulse.ABSOLUTE, timeout=self._timeout + 2 * width)

    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip with the tip shaper, which restores bias and feedback itself."""
        self._check(bias=shape.bias)
        down, up = si(-shape.depth, LENGTH), si(shape.depth + shape.lift, LENGTH)
        with self._act():
            delay = self._work.ask("ZCtrl.SwitchOffDelayGet")[0]
            dip = (Switch.ON, shape.bias, down, RAMP, shape.bias, shape.hold, up, RAMP, RAMP, Switch.ON)
            self._work.ask("TipShaper.PropsSet", delay, *dip)
            self._check_shaper([delay, *dip])
            self._work.ask("TipShaper.Start", 1, FOREVER, timeout=self._timeout + delay + 3 * RAMP + 2 * shape.hold)

    def _check_shaper(self, asked: list[float]) -> None:
        """Read back before it starts: a dip that somebody else set up may be far deeper."""
        read = self._work.ask("TipShaper.PropsGet")
        if not np.allclose(read, asked, rtol=1e-5, atol=1e-15):
            raise NanonisError(
                f"The tip shaper was set to {asked} and reads back {read}. Nothing has moved. Look at the module."
            )

    # ---- tip ----

    def get_tip(self) -> TipState:
        """Return the place of the tip, newer than the question."""
        return TipState(*self._place(), ours(self._watch.ask("ZCtrl.ZPosGet")[0], LENGTH))

    def get_speed(self) -> float:
        """Speed of a move where none is asked for, in nm/s."""
        return ours(self._watch.ask("FolMe.SpeedGet")[0], LENGTH)

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line; `stop` ends it on the way.

        Raises
        ------
        MotionStoppedError
            When the tip did not arrive, whoever stopped it.
        """
        self._check(x=point[0], y=point[1], **({} if speed is None else {"speed": speed}))
        with self._act():
            self._check_feedback()
            own = self._work.ask("FolMe.SpeedGet")
            if speed is not None:
                self._work.ask("FolMe.SpeedSet", si(speed, LENGTH), 1)
                self._confirm(
                    "The speed of the tip", speed, ours(self._work.ask("FolMe.SpeedGet")[0], LENGTH), units.SPEED, 1e-6
                )
            try:
                self._move(Point(*map(float, point)), speed or ours(own[0], LENGTH))
            finally:
                if speed is not None and self._work.connected:
                    self._work.ask("FolMe.SpeedSet", *own)

    def _place(self) -> Point:
        """Return where the tip is, in nm, newer than the question; a move has no use for its height."""
        x, y = self._watch.ask("FolMe.XYPosGet", 1)
        return Point(ours(x, LENGTH), ours(y, LENGTH))

    def _move(self, point: Point, speed: float) -> None:
        far = math.dist(self._place(), point)
        longest = self._timeout + 3 * far / speed if speed > 0 else 3600.0
        self._work.ask("FolMe.XYPosSet", si(point.x, LENGTH), si(point.y, LENGTH), 1, timeout=longest)
        here = self._place()
        if math.dist(here, point) > ARRIVED:
            self._check_feedback()
            raise MotionStoppedError(
                f"The tip stands at ({here.x:.3f}, {here.y:.3f}) nm, not at ({point.x:.3f}, {point.y:.3f}) nm: the move was "
                "stopped. Ask for it again."
            )

    # ---- set point and gains ----

    def get_setpoint(self) -> Setpoint:
        """Bias and current that the feedback keeps."""
        return Setpoint(self.get_bias(), abs(ours(self._watch.ask("ZCtrl.SetpntGet")[0], CURRENT)))

    def set_setpoint_current(self, current: float) -> None:
        """Current, in nA, that the feedback keeps."""
        self._check(setpoint=current)
        with self._act():
            self._work.ask("ZCtrl.SetpntSet", si(current, CURRENT))
            self._confirm("The set point", current, self.get_setpoint().current, CURRENT, 1e-6)

    def get_gains(self) -> FeedbackGains:
        """Gains of the feedback."""
        proportional, _, integral = self._watch.ask("ZCtrl.GainGet")
        return FeedbackGains(ours(proportional, LENGTH), ours(integral, LENGTH))

    def set_gains(self, gains: FeedbackGains) -> None:
        """Change the gains; the time constant that Nanonis also has follows from them."""
        time = gains.proportional / gains.integral if gains.integral else 0.0
        with self._act():
            self._work.ask("ZCtrl.GainSet", si(gains.proportional, LENGTH), time, si(gains.integral, LENGTH))
            self._confirm("The proportional gain", gains.proportional, self.get_gains().proportional, LENGTH, 1e-9)
            self._confirm("The integral gain", gains.integral, self.get_gains().integral, units.SPEED, 1e-6)

    # ---- drift ----

    def get_drift(self) -> tuple[float, float]:
        """Drift that is compensated, in nm/s; none where the compensation is off."""
        on, vx, vy, *_ = self._watch.ask("Piezo.DriftCompGet")
        return (ours(vx, LENGTH), ours(vy, LENGTH)) if on else (0.0, 0.0)

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s; the one along z stays as it is."""
        on, _, _, vz, _, _, _, saturation = self._watch.ask("Piezo.DriftCompGet")
        asked = [si(value, LENGTH) for value in velocity]
        with self._act():
            keep = Switch.of(bool(any(velocity) or (on and vz)))
            self._work.ask("Piezo.DriftCompSet", keep, *asked, vz if on else 0.0, saturation)
            for axis, wanted, read in zip("xy", velocity, self.get_drift(), strict=True):
                self._confirm(f"Drift compensation along {axis}", wanted, read, units.SPEED, 1e-9)
