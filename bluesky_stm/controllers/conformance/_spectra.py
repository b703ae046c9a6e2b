"""Tests of how a controller sweeps."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers.conformance._suite import SOON, Suite
from bluesky_stm.errors import NotCapableError, STMError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum
from bluesky_stm.protocols import Capability, Controller, SweepSettings


class Spectra(Suite):
    """Sweeps give all of what was asked and leave no trace, also where they are stopped or fail half way."""

    def test_a_sweep_measures_what_was_asked(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """The spectrum is that of the place of the tip, at all the biases asked for."""
        spectrum = self.spectrum(controller, sweep_settings, places[0])
        step = abs(sweep_settings.stop - sweep_settings.start) / (sweep_settings.points - 1)
        assert spectrum.bias == pytest.approx(sweep_settings.bias, abs=step / 2)
        for channel in (spectrum.current, spectrum.lockin_x, spectrum.lockin_y, spectrum.didv):
            assert channel.shape == (sweep_settings.points,)
        assert np.isfinite(spectrum.current).all()
        assert math.dist(spectrum.position, controller.get_tip().point) < 2.0
        assert not spectrum.quality & Quality.INCOMPLETE

    def test_raw_lock_in_and_conductance_agree(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """The settings of the lock-in lead from one to the other."""
        spectrum = self.spectrum(controller, sweep_settings, places[0])
        known = np.isfinite(spectrum.lockin_x)
        didv = controller.get_lockin().didv(spectrum.lockin_x, spectrum.lockin_y)
        assert spectrum.didv[known] == pytest.approx(didv[known], rel=1e-6, abs=1e-9)

    def test_the_conductance_does_not_depend_on_the_modulation(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """Half the amplitude makes half of the gain and of the lock-in's X, and the same dI/dV.

        A gain that stays, or that halves where X does not, makes it wrong by a factor of two; noise and jumps do not.
        """
        self.needs(controller, Capability.LOCKIN)
        before = controller.get_lockin()
        whole = self.spectrum(controller, sweep_settings, places[0])
        try:
            controller.set_lockin(replace(before, amplitude=before.amplitude / 2))
            assert controller.get_lockin().gain == pytest.approx(before.gain / 2, rel=1e-5)
            half = controller.sweep(sweep_settings)
        finally:
            controller.set_lockin(before)
        assert half.didv.mean() == pytest.approx(whole.didv.mean(), rel=0.4)

    def test_without_modulation_there_is_no_conductance(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """It is NaN, and the spectrum is marked; the current is there."""
        self.needs(controller, Capability.LOCKIN)
        before = controller.get_lockin()
        controller.set_lockin(replace(before, on=False))
        try:
            spectrum = self.spectrum(controller, sweep_settings, places[0])
        finally:
            controller.set_lockin(before)
        assert np.isnan(spectrum.didv).all()
        assert np.isfinite(spectrum.current).all()
        assert spectrum.quality & Quality.UNMODULATED

    def test_a_sweep_leaves_no_trace(self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]) -> None:
        """Feedback, bias and set point stand as before."""
        before = controller.get_bias(), controller.get_setpoint(), controller.get_feedback()
        self.spectrum(controller, sweep_settings, places[0])
        assert controller.get_feedback() == before[2]
        assert controller.get_bias() == pytest.approx(before[0], abs=1e-3)
        assert controller.get_setpoint().current == pytest.approx(before[1].current, rel=1e-3)

    def test_a_sweep_both_ways_has_the_same_biases(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """Each way is as long as their average where the ways are kept apart; or the controller says that it can't."""
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(places[0])
        try:
            spectrum = controller.sweep(replace(sweep_settings, backward=True))
        except NotCapableError:
            return
        assert spectrum.current.shape == (sweep_settings.points,)
        assert all(values.shape == spectrum.current.shape for values in spectrum.backward.values())

    def test_a_sweep_reports_each_point(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """Never backwards, and to the end."""
        told: list[tuple[int, int]] = []
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(places[0])
        controller.sweep(sweep_settings, lambda done, total: told.append((done, total)))
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert told[-1][0] == told[-1][1]

    def test_a_sweep_stopped_half_way_comes_back_padded(
        self, unhurried: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """INCOMPLETE, at its full length, NaN from where it ended; feedback and bias restored."""
        self.needs(unhurried, Capability.SWEEP)
        unhurried.move_tip(places[0])
        bias = unhurried.get_bias()
        with self.stopped_soon(unhurried, lambda: unhurried.sweep(sweep_settings)) as swept:
            spectrum: Spectrum = swept.result(SOON)
        assert spectrum.quality & Quality.INCOMPLETE
        assert spectrum.current.shape == (sweep_settings.points,)
        measured = np.isfinite(spectrum.current)
        assert not measured.all()
        assert not measured[measured.argmin() :].any()
        assert unhurried.get_feedback()
        assert unhurried.get_bias() == pytest.approx(bias, abs=1e-3)

    def test_readings_answer_beside_a_sweep(
        self, unhurried: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """Another thread gets its answer without waiting for the end."""
        self.needs(unhurried, Capability.SWEEP)
        unhurried.move_tip(places[0])
        with self.stopped_soon(unhurried, lambda: unhurried.sweep(sweep_settings), after=0.0) as swept:
            begun = time.monotonic()
            for read in (unhurried.get_tip, unhurried.get_bias, unhurried.read_current, unhurried.get_feedback, unhurried.now):
                read()
            assert time.monotonic() - begun < SOON
            assert not swept.done()
            unhurried.stop()
            swept.result(SOON)

    def test_a_fault_inside_a_sweep_leaves_the_tip_safe(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """Raised to the caller; the feedback is closed, or the tip withdrawn and no current flows. The bias is back."""
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(places[0])
        before = controller.get_setpoint()
        if Capability.BIAS in controller.capabilities:
            sweep_settings = replace(sweep_settings, setpoint=Setpoint(0.9 * before.bias, 0.9 * before.current))
        self.break_next_sweep(controller)
        with pytest.raises(STMError):
            controller.sweep(sweep_settings)
        assert controller.get_feedback() or abs(controller.read_current()) < 0.01
        assert controller.get_bias() == pytest.approx(before.bias, abs=1e-3)
        assert controller.get_setpoint().current == pytest.approx(before.current, rel=1e-3)
