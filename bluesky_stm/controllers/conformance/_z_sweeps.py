"""Tests of how a controller sweeps the height of its tip.

They hold where it declares that it can: the simulated one, a scripted one, a real one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.barrier import barrier_height
from bluesky_stm.controllers.conformance._suite import SOON, Suite
from bluesky_stm.errors import LimitError, NotCapableError, STMError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint, ZSpectrum
from bluesky_stm.protocols import Capability, Controller, ZSweepSettings


class ZSweeps(Suite):
    """I(z) falls as over a barrier, and a sweep leaves no trace, also where it is stopped or fails half way.

    Refused is what leaves the range of z, or may carry more current at its nearest point than is allowed.
    """

    @pytest.fixture
    def z_sweep_settings(self, controller: Controller) -> ZSweepSettings:
        """A z sweep that the controller can do.

        By default it goes 0.4 nm away from where the feedback holds the tip, and no nearer.
        """
        return ZSweepSettings(0.0, 0.4, 41)

    def test_the_current_falls_as_over_a_barrier(
        self, controller: Controller, z_sweep_settings: ZSweepSettings, places: list[Point]
    ) -> None:
        """Barriers between metals are of 3 to 6.5 eV; the feedback, the bias and the height are as before.

        A current that grows, or falls ten times more slowly, is none that tunnels.
        """
        self.needs(controller, Capability.Z_SWEEP)
        controller.move_tip(places[0])
        before = controller.get_bias(), controller.get_setpoint(), controller.get_feedback(), controller.get_tip().z
        taken = controller.z_sweep(z_sweep_settings)
        assert taken.distance == pytest.approx(z_sweep_settings.distance, abs=1e-6)
        assert not taken.quality & Quality.INCOMPLETE
        assert 3.0 < barrier_height(taken.distance, taken.current).value < 6.5
        assert (controller.get_feedback(), controller.get_setpoint().current) == (before[2], pytest.approx(before[1].current))
        assert controller.get_bias() == pytest.approx(before[0], abs=1e-3)
        assert controller.get_tip().z == pytest.approx(before[3], abs=0.05)

    def test_a_z_sweep_out_of_range_or_with_too_much_current_is_refused_before_anything_moves(
        self, controller: Controller, z_sweep_settings: ZSweepSettings
    ) -> None:
        """Beyond either end of z, and where the nearest point may carry more than what is allowed.

        The tip stands where it stood, and the feedback is closed.
        """
        self.needs(controller, Capability.Z_SWEEP)
        before, current = controller.get_tip().z, controller.get_setpoint().current
        far = replace(z_sweep_settings, stop=1e6)
        near = replace(z_sweep_settings, start=-0.2, most=current)
        for wrong in (far, near, replace(near, start=0.0, most=0.9 * current)):
            with pytest.raises((LimitError, NotCapableError)):
                controller.z_sweep(wrong)
        assert controller.get_feedback()
        assert controller.get_tip().z == pytest.approx(before, abs=0.05)

    def test_a_z_sweep_stopped_half_way_comes_back_padded(
        self, unhurried: Controller, z_sweep_settings: ZSweepSettings, places: list[Point]
    ) -> None:
        """INCOMPLETE, at its full length, NaN from where it ended; the feedback is closed.

        A stop never takes what was measured before it.
        """
        self.needs(unhurried, Capability.Z_SWEEP)
        unhurried.move_tip(places[0])
        with self.stopped_soon(unhurried, lambda: unhurried.z_sweep(z_sweep_settings)) as swept:
            taken: ZSpectrum = swept.result(SOON)
        assert taken.quality & Quality.INCOMPLETE
        measured = np.isfinite(taken.current)
        assert taken.current.shape == (z_sweep_settings.points,)
        assert not measured.all() and not measured[measured.argmin() :].any()
        assert unhurried.get_feedback()

    def test_a_fault_inside_a_z_sweep_leaves_the_tip_safe(
        self, controller: Controller, z_sweep_settings: ZSweepSettings, places: list[Point]
    ) -> None:
        """Raised to the caller; the feedback is closed, or the tip withdrawn. Bias and set point are back.

        It was swept from another set point, so that there is a way back.
        """
        self.needs(controller, Capability.Z_SWEEP)
        controller.move_tip(places[0])
        before = controller.get_setpoint()
        if Capability.BIAS in controller.capabilities:
            z_sweep_settings = replace(z_sweep_settings, setpoint=Setpoint(0.9 * before.bias, 0.9 * before.current))
        self.break_next_z_sweep(controller)
        with pytest.raises(STMError):
            controller.z_sweep(z_sweep_settings)
        assert controller.get_feedback() or controller.is_withdrawn()
        assert controller.get_bias() == pytest.approx(before.bias, abs=1e-3)
        assert controller.get_setpoint().current == pytest.approx(before.current, rel=1e-3)
