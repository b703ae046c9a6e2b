"""Tests of how a controller moves tip and bias, and holds still."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bluesky_stm.controllers.conformance._suite import HAIR, SOON, Suite
from bluesky_stm.errors import MotionStoppedError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Capability, Controller


class Motion(Suite):
    """Arrival, settings that read back, and stops."""

    def test_the_tip_arrives(self, controller: Controller, places: list[Point]) -> None:
        """Everywhere, and again where it was."""
        self.needs(controller, Capability.TIP)
        for place in [*places, places[-1], places[0]]:
            reached = controller.move_tip(place)
            assert math.dist(reached, place) <= HAIR
            assert math.dist(controller.get_tip().point, place) <= HAIR

    def test_the_bias_arrives(self, controller: Controller) -> None:
        """A ramp on the same side of 0 V ends at the bias that was asked for."""
        self.needs(controller, Capability.BIAS)
        for value in (controller.get_bias() * 0.8, controller.get_bias()):
            controller.ramp_bias(value)
            assert controller.get_bias() == pytest.approx(value, abs=1e-3)

    def test_settings_are_read_back(self, controller: Controller) -> None:
        """Set point, gains, lock-in and drift, as far as it can set them."""
        if Capability.FEEDBACK in controller.capabilities:
            controller.set_setpoint_current(0.8 * controller.get_setpoint().current)
            gains = replace(controller.get_gains(), integral=1.1 * controller.get_gains().integral)
            before = controller.get_setpoint().current
            controller.set_setpoint_current(before)
            controller.set_gains(gains)
            assert controller.get_setpoint().current == pytest.approx(before, rel=1e-3)
            assert controller.get_gains().integral == pytest.approx(gains.integral, rel=1e-3)
        if Capability.LOCKIN in controller.capabilities:
            lockin = replace(controller.get_lockin(), amplitude=0.007)
            controller.set_lockin(lockin)
            assert controller.get_lockin().amplitude == pytest.approx(0.007, rel=1e-3)
        if Capability.DRIFT in controller.capabilities:
            controller.set_drift((0.001, -0.002))
            assert controller.get_drift() == pytest.approx((0.001, -0.002))

    def test_stop_is_idempotent_and_holds_the_tip(self, controller: Controller) -> None:
        """Also where nothing moves; the next act is not stopped by it."""
        before = controller.get_tip().point
        for _ in range(3):
            controller.stop()
        assert controller.get_feedback()
        assert math.dist(controller.get_tip().point, before) < HAIR
        if Capability.TIP in controller.capabilities:
            controller.move_tip(before)

    def test_a_stop_ends_a_move_on_its_way(self, unhurried: Controller, places: list[Point]) -> None:
        """The tip stops at once, on the straight line between both ends, with the feedback closed."""
        self.needs(unhurried, Capability.TIP)
        start, end = places[0], max(places, key=lambda p: math.dist(p, places[0]))
        unhurried.move_tip(start)
        with (
            self.stopped_soon(unhurried, lambda: unhurried.move_tip(end), after=0.04) as moved,
            pytest.raises(MotionStoppedError),
        ):
            moved.result(SOON)
        here = unhurried.get_tip().point
        detour = math.dist(start, here) + math.dist(here, end) - math.dist(start, end)
        assert detour < HAIR
        assert unhurried.get_feedback()
        unhurried.move_tip(start)
