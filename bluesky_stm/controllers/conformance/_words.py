"""Tests of what a controller says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bluesky_stm.controllers.conformance._suite import Suite
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Capability, Controller, TipShape, ZSweepSettings

ACTS: dict[Capability, Callable[[Controller], object]] = {
    Capability.BIAS: lambda c: c.ramp_bias(c.get_bias()),
    Capability.TIP: lambda c: c.move_tip(c.get_tip().point),
    Capability.FEEDBACK: lambda c: c.set_feedback(True),
    Capability.WITHDRAW: lambda c: c.withdraw(),
    Capability.APPROACH: lambda c: c.approach(),
    Capability.HOME: lambda c: c.home(),
    Capability.PULSE: lambda c: c.pulse(1.0, 0.01),
    Capability.SHAPE: lambda c: c.shape_tip(TipShape(0.5)),
    Capability.Z_SWEEP: lambda c: c.z_sweep(ZSweepSettings()),
    Capability.LOCKIN: lambda c: c.set_lockin(c.get_lockin()),
    Capability.DRIFT: lambda c: c.set_drift((0.0, 0.0)),
}


class Words(Suite):
    """Name, capabilities, ranges, sources, units."""

    def test_it_fulfils_the_protocol(self, controller: Controller) -> None:
        """All methods and attributes are there."""
        assert isinstance(controller, Controller)
        assert controller.name
        assert controller.capabilities <= set(Capability)

    def test_its_ranges_are_ordered(self, controller: Controller) -> None:
        """Lower end below the upper one, and x and y are always known."""
        assert {"x", "y"} <= set(controller.ranges)
        assert all(low < high for low, high in controller.ranges.values())

    def test_its_description_can_be_stored(self, controller: Controller) -> None:
        """It stands in every start document."""
        described = json.loads(json.dumps(controller.describe()))
        assert described["name"]

    def test_sources_name_controller_and_signal(self, controller: Controller) -> None:
        """A source reads like ``"simulated:bias"``."""
        assert controller.source("bias").endswith(":bias")

    def test_getters_answer_in_our_units(self, controller: Controller) -> None:
        """Numbers, booleans and the dataclasses of the protocol."""
        assert isinstance(controller.get_feedback(), bool) and isinstance(controller.is_withdrawn(), bool)
        assert all(isinstance(v, float) for v in (controller.get_bias(), controller.read_current(), controller.now()))
        assert controller.get_speed() > 0
        assert isinstance(controller.get_tip().point, Point)
        assert controller.get_setpoint().current >= 0

    @pytest.mark.parametrize("capability", ACTS)
    def test_what_it_cannot_do_it_refuses(self, controller: Controller, capability: Capability) -> None:
        """The error says so, and nothing else happens."""
        if capability in controller.capabilities:
            pytest.skip(f"it can do {capability}")
        with pytest.raises(NotCapableError):
            ACTS[capability](controller)
