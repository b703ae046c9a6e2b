"""The tip of the simulated microscope: where it goes, and what a person does to its end."""

from __future__ import annotations

import math

import numpy as np

from bluesky_stm.controllers.base._acts import SPEED
from bluesky_stm.controllers.simulated._z import SimulatedJunction
from bluesky_stm.errors import MotionStoppedError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipShape

WITHDRAWING, LIFTING, APPROACHING = 1.0, 0.5, 5.0
"""How long it takes to withdraw, to lift the tip home, and to approach, in s."""


class SimulatedTip(SimulatedJunction):
    """The part of `SimulatedController` that moves and treats the tip."""

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line; ended by `stop`, the tip stays on the way.

        Raises
        ------
        TipCrashError
            When the surface is in the way of an open feedback, or of one that is too slow.
        """
        self._check(x=point[0], y=point[1], **({} if speed is None else {"speed": speed}))
        with self._acts.one():
            start, distance = np.array(self._junction.asked), math.dist(self._junction.asked, point)
            steps = max(1, math.ceil(distance))
            way = self._acts.take(distance / (speed or SPEED), steps) / steps
            end = Point(*(start + way * (np.array(point) - start))) if way < 1 else point
            self._junction.go_to(end, self.now(), speed or SPEED)
        if way < 1:
            x, y = self._junction.asked
            raise MotionStoppedError(
                f"The tip was stopped at ({x:.3f}, {y:.3f}) nm, {way:.0%} of the way. Ask for the move again."
            )

    def withdraw(self) -> None:
        """Pull the tip back to the end of its range; `stop` does not end it."""
        with self._acts.one():
            self._junction.withdraw()
            self._acts.clock.sleep(WITHDRAWING)

    def home(self) -> None:
        """Lift the tip to its home height, the feedback open."""
        with self._acts.one():
            self._junction.lift_home(self.now())
            self._acts.clock.sleep(LIFTING)

    def approach(self) -> None:
        """Bring a withdrawn tip back, and close the feedback."""
        with self._acts.one():
            self._acts.clock.sleep(APPROACHING)
            self._junction.close_feedback(self.now())

    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias, V for s, the feedback open meanwhile: the tip may change, and leaves something where it stands."""
        self._check(bias=bias)
        with self._acts.one():
            self._check_contact()
            self._acts.clock.sleep(width)
            if abs(bias) >= self.profile.treatment_bias:
                self._junction.treat(self.now(), "pulse")

    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip: if it reaches the surface it may change, and leaves something there."""
        self._check(bias=shape.bias)
        with self._acts.one():
            self._check_contact()
            self._acts.clock.sleep(shape.hold)
            if shape.depth > self._junction.gap(self.now()):
                self._junction.treat(self.now(), "dip")

    def stop(self) -> None:
        """End motion, scan and sweep, hold still; the feedback is closed unless the tip is withdrawn."""
        self._acts.stop()

    def close(self) -> None:
        """End what is under way; there is nothing to let go of."""
        self.stop()
