"""What every controller must do, as tests: run them on your own.

    from bluesky_stm.controllers.conformance import ControllerConformance

    class TestMyController(ControllerConformance):
        @pytest.fixture
        def controller(self):
            return MyController(...)

Where acts take time that a test can't wait for, ``controller`` should run in simulated time; ``unhurried`` is one whose acts
take some tenths of a second, so that they can be interrupted. What a controller does not declare among its ``capabilities`` is
tested to be refused, and otherwise left out.
"""

from __future__ import annotations

import gc
import json
import math
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bluesky_stm.errors import LimitError, MotionStoppedError, NotCapableError, STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Capability, Controller, SweepSettings

HAIR = 0.05
"""How far from the place asked for a tip may arrive, in nm."""

SOON = 2.0
"""Wall time, in s, within which a stopped act has to end, and a reading beside it to answer."""

ACTS: dict[Capability, Callable[[Controller], object]] = {
    Capability.BIAS: lambda c: c.ramp_bias(c.get_bias()),
    Capability.TIP: lambda c: c.move_tip(c.get_tip().point),
    Capability.FEEDBACK: lambda c: c.set_feedback(True),
    Capability.WITHDRAW: lambda c: c.withdraw(),
    Capability.APPROACH: lambda c: c.approach(),
    Capability.PULSE: lambda c: c.pulse(1.0, 0.01),
    Capability.LOCKIN: lambda c: c.set_lockin(c.get_lockin()),
    Capability.DRIFT: lambda c: c.set_drift((0.0, 0.0)),
}


class ControllerConformance:
    """Subclass it with a fixture ``controller``, and ``unhurried`` where acts can be made to take time."""

    cycles = 1000
    """Moves and sweeps after which no thread and no memory may be left over."""

    left_over = 500_000
    """Bytes that may be left after so many."""

    # ---- what a subclass gives ----

    @pytest.fixture
    def unhurried(self) -> Controller:
        """A controller whose acts take some tenths of a second of wall time."""
        pytest.skip("this controller has no acts that take wall time")

    @pytest.fixture
    def sweep_settings(self, controller: Controller) -> SweepSettings:
        """A sweep that the controller can do."""
        return SweepSettings(-1.0, 1.0, 41, settle=0.002, integrate=0.008)

    @pytest.fixture
    def frame(self, controller: Controller) -> Frame:
        """A frame that the controller can scan."""
        low, high = (np.array([controller.ranges[axis][end] for axis in "xy"]) for end in (0, 1))
        middle, side = (low + high) / 2, min(10.0, *(high - low) / 2)
        return Frame.square(tuple(middle), side, 16)

    @pytest.fixture
    def places(self, controller: Controller, frame: Frame) -> list[Point]:
        """Places that the tip may go to, and where spectra can be had."""
        found = controller.locations()
        chosen = frame.corners * 0.9 + np.array(frame.center) * 0.1 if found is None else found[:: max(1, len(found) // 4)]
        return [Point(float(x), float(y)) for x, y in chosen]

    def break_next_sweep(self, controller: Controller) -> None:
        """Make the next sweep fail half way, with any `STMError`."""
        pytest.skip("this controller can't be made to fail")

    # ---- what it says of itself ----

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
        """As in ``"simulated:bias"``."""
        assert controller.source("bias").endswith(":bias")

    def test_getters_answer_in_our_units(self, controller: Controller) -> None:
        """Numbers, booleans and the dataclasses of the protocol."""
        assert isinstance(controller.get_feedback(), bool)
        assert all(isinstance(v, float) for v in (controller.get_bias(), controller.read_current(), controller.now()))
        assert isinstance(controller.get_tip().point, Point)
        assert controller.get_setpoint().current >= 0

    @pytest.mark.parametrize("capability", ACTS)
    def test_what_it_cannot_do_it_refuses(self, controller: Controller, capability: Capability) -> None:
        """With the error that says so, and nothing else happens."""
        if capability in controller.capabilities:
            pytest.skip(f"it can do {capability}")
        with pytest.raises(NotCapableError):
            ACTS[capability](controller)

    # ---- limits ----

    @pytest.mark.parametrize("axis", ["x", "y"])
    def test_a_place_outside_is_refused_before_anything_moves(
        self, controller: Controller, places: list[Point], axis: str
    ) -> None:
        """On either side, and where it is no number at all."""
        self.needs(controller, Capability.TIP)
        controller.move_tip(places[0])
        before = controller.get_tip().point
        low, high = controller.ranges[axis]
        for value in (low - 1.0, high + 1.0, math.nan, math.inf):
            with pytest.raises(LimitError):
                controller.move_tip(places[0]._replace(**{axis: value}))
        assert math.dist(controller.get_tip().point, before) < HAIR

    def test_a_bias_outside_is_refused(self, controller: Controller) -> None:
        """For a ramp, on either side, and NaN."""
        self.needs(controller, Capability.BIAS)
        before, (low, high) = controller.get_bias(), controller.ranges["bias"]
        for value in (low - 0.1, high + 0.1, math.nan):
            with pytest.raises(LimitError):
                controller.ramp_bias(value)
        assert controller.get_bias() == pytest.approx(before)

    def test_a_set_point_outside_is_refused(self, controller: Controller) -> None:
        """On either side, and NaN."""
        self.needs(controller, Capability.FEEDBACK)
        before, (low, high) = controller.get_setpoint().current, controller.ranges["setpoint"]
        for value in (low / 2, high * 2, math.nan):
            with pytest.raises(LimitError):
                controller.set_setpoint_current(value)
        assert controller.get_setpoint().current == pytest.approx(before)

    def test_a_sweep_outside_is_refused(self, controller: Controller, sweep_settings: SweepSettings) -> None:
        """Before the feedback is opened."""
        self.needs(controller, Capability.SWEEP)
        with pytest.raises((LimitError, NotCapableError)):
            controller.sweep(replace(sweep_settings, stop=controller.ranges["bias"][1] + 1))
        assert controller.get_feedback()

    def test_a_frame_outside_is_refused(self, controller: Controller, frame: Frame) -> None:
        """As a whole, even if only one corner is outside."""
        self.needs(controller, Capability.SCAN)
        with pytest.raises((LimitError, NotCapableError)):
            controller.scan(replace(frame, center=Point(controller.ranges["x"][1], frame.center.y)))

    # ---- motion ----

    def test_the_tip_arrives(self, controller: Controller, places: list[Point]) -> None:
        """Everywhere, and again where it was."""
        self.needs(controller, Capability.TIP)
        for place in [*places, places[-1], places[0]]:
            controller.move_tip(place)
            assert math.dist(controller.get_tip().point, place) <= HAIR

    def test_the_bias_arrives(self, controller: Controller) -> None:
        """On the same side of 0 V."""
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
        """At once, on the straight line between both ends, with the feedback closed."""
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

    # ---- spectra ----

    def test_a_sweep_measures_what_was_asked(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """At the place of the tip, at the biases asked for, all of it."""
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
        """By the gain and offset that the lock-in says."""
        spectrum = self.spectrum(controller, sweep_settings, places[0])
        known = np.isfinite(spectrum.lockin_x)
        assert spectrum.didv[known] == pytest.approx(controller.get_lockin().didv(spectrum.lockin_x)[known], rel=1e-6, abs=1e-9)

    def test_a_sweep_leaves_no_trace(self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]) -> None:
        """Feedback, bias and set point stand as before."""
        before = controller.get_bias(), controller.get_setpoint(), controller.get_feedback()
        self.spectrum(controller, sweep_settings, places[0])
        assert controller.get_feedback() == before[2]
        assert controller.get_bias() == pytest.approx(before[0], abs=1e-3)
        assert controller.get_setpoint().current == pytest.approx(before[1].current, rel=1e-3)

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
        """From another thread, without waiting for its end."""
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

    # ---- images ----

    def test_an_image_has_the_frame_asked_for(self, controller: Controller, frame: Frame) -> None:
        """Its pixels, its place, the set point; nothing missing."""
        self.needs(controller, Capability.SCAN)
        told: list[tuple[int, int]] = []
        image = controller.scan(frame, None, lambda done, total: told.append((done, total)))
        assert image.frame == frame
        assert image.height.shape == frame.pixels
        assert np.isfinite(image.height).all()
        assert image.quality == Quality.GOOD
        assert image.setpoint.current == pytest.approx(controller.get_setpoint().current, rel=1e-3, nan_ok=True)
        assert told[-1][0] == told[-1][1]

    def test_an_image_stopped_half_way_keeps_its_lines(self, unhurried: Controller, frame: Frame) -> None:
        """INCOMPLETE; the rows that were not scanned are NaN, the others whole."""
        self.needs(unhurried, Capability.SCAN)
        with self.stopped_soon(unhurried, lambda: unhurried.scan(frame)) as scanned:
            image: Topograph = scanned.result(SOON)
        assert image.quality & Quality.INCOMPLETE
        missing = np.isnan(image.height)
        assert missing.any()
        assert (missing.all(axis=1) | ~missing.any(axis=1)).all()
        assert unhurried.get_feedback()

    # ---- withdrawal ----

    def test_withdrawn_and_approached(self, controller: Controller) -> None:
        """Withdrawn, the feedback is open and no current flows; a stop changes nothing of that; approached, it is closed."""
        self.needs(controller, Capability.WITHDRAW)
        controller.withdraw()
        controller.stop()
        assert not controller.get_feedback()
        assert abs(controller.read_current()) < 0.01
        self.needs(controller, Capability.APPROACH)
        controller.approach()
        assert controller.get_feedback()

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
        """The second time nothing happens."""
        controller.close()
        controller.close()

    # ---- wear ----

    def test_nothing_is_left_over(self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]) -> None:
        """After many moves and sweeps: no thread, no memory."""
        self.needs(controller, Capability.SWEEP)

        def work(times: int) -> None:
            for cycle in range(times):
                controller.move_tip(places[cycle % len(places)])
                controller.sweep(sweep_settings)

        work(10)
        threads = threading.active_count()
        tracemalloc.start()
        try:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            work(self.cycles)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert threading.active_count() <= threads
        assert after - before < self.left_over

    # ---- helpers ----

    @staticmethod
    def needs(controller: Controller, capability: Capability) -> None:
        """Skip the test where the controller does not declare the capability."""
        if capability not in controller.capabilities:
            pytest.skip(f"{controller.name} does not declare {capability}")

    def spectrum(self, controller: Controller, settings: SweepSettings, place: Point) -> Spectrum:
        """A sweep at ``place``."""
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(place)
        return controller.sweep(settings)

    @staticmethod
    def stopped_soon(controller: Controller, act: Callable[[], Any], after: float = 0.1) -> _StoppedSoon:
        """Begin ``act`` in a thread, let some time pass, and stop the controller; gives the future of the act."""
        return _StoppedSoon(controller, act, after)


class _StoppedSoon:
    """Context of an act that runs in another thread and is stopped on its way."""

    def __init__(self, controller: Controller, act: Callable[[], Any], after: float) -> None:
        self._controller, self._act, self._after = controller, act, after
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Future[Any]:
        future = self._pool.submit(self._act)
        time.sleep(self._after or 0.05)
        if self._after:
            self._controller.stop()
        return future

    def __exit__(self, *error: object) -> None:
        self._controller.stop()
        self._pool.shutdown()
