"""Tests of what a controller refuses before anything moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from bluesky_stm.controllers.conformance._suite import HAIR, Suite
from bluesky_stm.errors import LimitError, NotCapableError, SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import (
    BiasControl,
    Capability,
    Controller,
    DriftControl,
    LockInControl,
    Scanning,
    Spectroscopy,
    SweepSettings,
    TipControl,
    ZControl,
    ZSpectroscopy,
)

ACTS: Final = {
    name
    for control in (BiasControl, TipControl, ZControl, Scanning, Spectroscopy, ZSpectroscopy, LockInControl, DriftControl)
    for name in vars(control)
    if not name.startswith(("_", "get_", "is_", "image"))
} | {"ask", "send"}
"""Methods by which something reaches an instrument, and those of a connection."""


class Refusals(Suite):
    """Values outside its ranges, NaN included."""

    def test_nothing_public_leads_round_what_the_controller_refuses(self, controller: Controller) -> None:
        """A public part or connection would do what the controller refuses, for the ranges are checked in the controller."""
        public = {name: getattr(controller, name) for name in dir(controller) if not name.startswith("_")}
        ways = [
            f"{name}.{act}"
            for name, value in public.items()
            for act in sorted(ACTS)
            if value is not controller and callable(getattr(value, act, None))
        ]
        assert ways == []

    @pytest.mark.parametrize("axis", ["x", "y"])
    def test_a_place_outside_is_refused_before_anything_moves(
        self, controller: Controller, places: list[Point], axis: str
    ) -> None:
        """Places on either side are refused, and one that is no number at all."""
        self.needs(controller, Capability.TIP)
        controller.move_tip(places[0])
        before = controller.get_tip().point
        low, high = controller.ranges[axis]
        for value in (low - 1.0, high + 1.0, math.nan, math.inf):
            with pytest.raises(LimitError):
                controller.move_tip(places[0]._replace(**{axis: value}))
        assert math.dist(controller.get_tip().point, before) < HAIR

    def test_a_bias_outside_is_refused(self, controller: Controller) -> None:
        """A ramp to either side is refused, and one to NaN."""
        self.needs(controller, Capability.BIAS)
        before, (low, high) = controller.get_bias(), controller.ranges["bias"]
        for value in (low - 0.1, high + 0.1, math.nan):
            with pytest.raises(LimitError):
                controller.ramp_bias(value)
        assert controller.get_bias() == pytest.approx(before)

    def test_a_set_point_outside_is_refused(self, controller: Controller) -> None:
        """Set points on either side are refused, and NaN."""
        self.needs(controller, Capability.FEEDBACK)
        before, (low, high) = controller.get_setpoint().current, controller.ranges["setpoint"]
        for value in (low / 2, high * 2, math.nan):
            with pytest.raises(LimitError):
                controller.set_setpoint_current(value)
        assert controller.get_setpoint().current == pytest.approx(before)

    def test_a_sweep_outside_is_refused(self, controller: Controller, sweep_settings: SweepSettings) -> None:
        """The refusal comes before the feedback is opened."""
        self.needs(controller, Capability.SWEEP)
        with pytest.raises((LimitError, NotCapableError)):
            controller.sweep(replace(sweep_settings, stop=controller.ranges["bias"][1] + 1))
        assert controller.get_feedback()

    @pytest.mark.parametrize("value", [0.0, 1e308, math.nan])
    def test_what_would_never_end_is_refused_before_anything_moves(
        self, controller: Controller, frame: Frame, places: list[Point], sweep_settings: SweepSettings, value: float
    ) -> None:
        """A speed or a time for a line of nothing, or beyond everything, and the width of a pulse."""
        before = controller.get_tip().point
        asked: list[Callable[[], object]] = [
            lambda: controller.move_tip(places[0], speed=value),
            lambda: controller.scan(frame, line_time=value),
            lambda: controller.pulse(0.5, value),
            lambda: controller.sweep(replace(sweep_settings, settle=value or math.inf)),
        ]
        for act in asked:
            with pytest.raises((LimitError, NotCapableError, SettingsError)):
                act()
        assert controller.get_tip().point == before
        assert controller.get_feedback()

    def test_a_frame_outside_is_refused(self, controller: Controller, frame: Frame) -> None:
        """The whole frame is refused, even if only one corner is outside."""
        self.needs(controller, Capability.SCAN)
        with pytest.raises((LimitError, NotCapableError)):
            controller.scan(replace(frame, center=Point(controller.ranges["x"][1], frame.center.y)))
