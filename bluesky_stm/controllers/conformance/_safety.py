"""Tests of how a controller takes the tip away from the surface, and lets go of it."""

from __future__ import annotations

import pytest

from bluesky_stm.controllers.conformance._suite import Suite
from bluesky_stm.errors import LimitError, STMError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import Capability, Controller, SweepSettings, TipShape


class Safety(Suite):
    """Withdrawal, home, approach, shaping, and the end."""

    def test_withdrawn_and_approached(self, controller: Controller) -> None:
        """Withdrawn, the feedback is open and no current flows; a stop changes nothing of that; approached, it is closed."""
        self.needs(controller, Capability.WITHDRAW)
        controller.withdraw()
        controller.stop()
        assert not controller.get_feedback()
        assert controller.is_withdrawn()
        assert abs(controller.read_current()) < 0.01
        self.needs(controller, Capability.APPROACH)
        controller.approach()
        assert controller.get_feedback()
        assert not controller.is_withdrawn()

    def test_at_home_the_tip_is_away_from_the_surface(self, controller: Controller) -> None:
        """Higher than it was, and it stays there until it is approached; a home below the tip is refused, and nothing moves."""
        self.needs(controller, Capability.HOME)
        before = controller.get_tip().z
        try:
            controller.home()
        except LimitError:
            assert controller.get_feedback()
            return
        controller.stop()
        assert controller.is_withdrawn()
        assert controller.get_tip().z > before
        controller.approach()
        assert controller.get_feedback()

    def test_a_withdrawn_tip_is_closed_by_an_approach_only(self, controller: Controller) -> None:
        """A feedback that is simply switched on would run it into the surface."""
        self.needs(controller, Capability.WITHDRAW)
        self.needs(controller, Capability.FEEDBACK)
        controller.withdraw()
        with pytest.raises(STMError):
            controller.set_feedback(True)
        assert controller.is_withdrawn()

    def test_a_dip_leaves_bias_and_feedback_as_they_were(self, controller: Controller, places: list[Point]) -> None:
        """A dip may be refused; one at another bias than the hardware has always is."""
        self.needs(controller, Capability.SHAPE)
        controller.move_tip(places[0])
        before = controller.get_setpoint()
        with pytest.raises(LimitError):
            controller.shape_tip(TipShape(0.3, bias=2 * controller.ranges["bias"][1]))
        controller.shape_tip(TipShape(0.3, bias=0.1, hold=0.01))
        assert controller.get_feedback()
        assert controller.get_bias() == pytest.approx(before.bias, abs=1e-3)
        assert controller.get_setpoint().current == pytest.approx(before.current, rel=1e-3)

    def test_a_withdrawn_tip_gives_no_spectrum_that_looks_good(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """Refused, or marked as lost contact."""
        self.needs(controller, Capability.WITHDRAW)
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(places[0])
        controller.withdraw()
        try:
            spectrum = controller.sweep(sweep_settings)
        except STMError:
            return
        assert spectrum.quality & Quality.LOST_CONTACT

    def test_closed_twice_it_leaves_the_tip_safe(self, controller: Controller) -> None:
        """Held or withdrawn, also when it is closed in the air; the second time nothing happens."""
        if Capability.WITHDRAW in controller.capabilities:
            controller.withdraw()
        for _ in range(2):
            controller.close()
            assert self.is_safe(controller)
