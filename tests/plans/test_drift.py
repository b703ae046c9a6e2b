"""Drift is measured, compensated, and taken out of the positions; a frame is found again after creep."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import IDEAL, FakeController, SimulatedController
from bluesky_stm.controllers.fake import FakeState
from bluesky_stm.errors import SettingsError
from bluesky_stm.files import read
from bluesky_stm.geometry import Drift, Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.plans import DriftCheck, DriftFinder, Parent, explore, measure_drift
from bluesky_stm.plans._drift_estimate import DriftEstimate
from bluesky_stm.plans._matching import locate
from bluesky_stm.runs import replay, resume
from bluesky_stm.teaching import MeasuredDrift

DRIFTING = IDEAL.changed(drift=(2e-3, -1e-3))
"""7 nm/h: as much as half a pixel of a quick image between two of them."""


class TestDrift:
    def test_it_is_linear_between_measurements_and_grows_with_its_velocity_after_the_last(self):
        drift = Drift(100.0)
        drift.measured(200.0, (1.0, -2.0))
        drift.measured(300.0, (1.0, 0.0), velocity=(0.1, 0.0))
        np.testing.assert_allclose(
            drift.at([50, 100, 150, 200, 250, 300, 310]),
            [[0, 0], [0, 0], [0.5, -1], [1, -2], [1, -1], [1, 0], [2, 0]],
            atol=1e-12,
        )

    def test_time_does_not_run_backwards(self):
        drift = Drift(100.0)
        with pytest.raises(SettingsError, match="after that"):
            drift.measured(99.0, (0.0, 0.0))


def true_shift(controller, since):
    """How far the surface has moved in the coordinates of the tip, by the simulation itself."""
    piezo = controller._junction.piezo
    return since - piezo.displacement(controller.now())


def drifted(make_stm, **changes):
    stm = make_stm(SimulatedController(seed=2, profile=DRIFTING.changed(**changes)))
    return stm


def test_two_images_tell_the_drift_between_them_and_it_is_compensated(RE, docs, make_stm):
    stm = drifted(make_stm)
    RE(measure_drift(stm, Frame.square((0, 0), 30, 96)))
    (event,) = docs.events("drift")
    passed = event["drift_time"] - event["drift_reference_time"]
    pixel = 30 / 96
    assert event["drift_trusted"]
    assert event["drift_x"] == pytest.approx(2e-3 * passed, abs=0.2 * pixel)
    assert event["drift_y"] == pytest.approx(-1e-3 * passed, abs=0.2 * pixel)
    assert stm.controller.get_drift() == pytest.approx((2e-3, -1e-3), abs=0.2 * pixel / passed)


def test_a_velocity_that_is_lost_in_the_error_of_registration_is_not_compensated(RE, docs, make_stm):
    stm = drifted(make_stm, drift=(1e-6, 0.0))
    RE(measure_drift(stm, Frame.square((0, 0), 30, 64)))
    assert stm.controller.get_drift() == (0.0, 0.0)


@pytest.mark.parametrize("compensate", [True, False])
def test_spectra_are_placed_where_they_were_taken_on_the_topograph(RE, docs, make_stm, agent_for, scale, compensate):
    stm = drifted(make_stm)
    controller, truth, began = stm.controller, [], []

    def watch(name, doc):
        if name == "event" and "stm_sweep_x" in doc["data"]:
            truth.append(true_shift(controller, 0.0))
        elif name == "event" and "stm_scanner_topograph" in doc["data"] and not began:
            began.append(true_shift(controller, 0.0) / controller.now() * (controller.now() / 2))

    RE.subscribe(watch)
    agent = agent_for(scale.changed(budget=24))
    RE(explore(stm, agent, drift={"every": 6, "compensate": compensate}))
    raw = np.array([(d["stm_sweep_x"], d["stm_sweep_y"]) for d in docs.events()])
    places = raw - (np.array(truth) - began[0])
    known = np.array([o.point for o in agent.observations])
    assert np.hypot(*(raw - places).T).max() > 0.3  # left alone, they would be off by this
    assert np.hypot(*(known - places).T).max() < 0.2  # of a candidate step
    assert replay(docs).agrees


def test_images_that_do_not_agree_are_recorded_and_not_believed(RE, docs, make_stm, agent):
    stm = make_stm(profile="ideal")
    honest = stm.controller.scan

    def blind(frame, line_time=None, progress=None):
        taken = honest(frame, line_time, progress)
        if not docs.events("topograph"):
            return taken
        return replace(taken, height=np.random.default_rng(len(docs)).normal(size=taken.height.shape))

    stm.controller.scan = blind
    RE(explore(stm, agent, drift={"every": 4, "pixels": 24}))
    assert [stream for stream in docs.order() if "drift" in stream] == ["drift", "drift_fine"] * 2
    for stream, pixels in (("drift", 24), ("drift_fine", 48)):  # the quick one, and one with all pixels
        (declared,) = (doc["data_keys"] for doc in docs.of("descriptor") if doc["name"] == stream)
        events = docs.events(stream)
        assert tuple(declared["stm_scanner_topograph"]["shape"]) == (pixels, pixels)
        assert [event["stm_scanner_topograph"].shape for event in events] == [(pixels, pixels)] * 2
        assert not any(event["drift_trusted"] for event in events)
    assert agent.drift is None
    assert replay(docs).agrees


@pytest.mark.parametrize("seed", [2, 3, 5])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_small_frame_that_has_moved_far_is_found_or_refused_but_never_mistaken(RE, docs, make_stm, seed, share):
    """Somewhere a few spots always fall onto a few others."""
    stm, frame = make_stm(SimulatedController(seed=seed, profile="good_day")), Frame.square((5, 5), 20, 128)
    honest, moved = stm.controller.scan, np.array((0.8, -0.6)) * share * 20

    def scan(*args):
        taken = honest(*args)
        stm.controller._junction.piezo._drifted -= moved if not docs.events("topograph") else 0.0
        return taken

    stm.controller.scan = scan
    RE(measure_drift(stm, frame, compensate=False))
    for event in docs.events("drift"):
        assert not event["drift_trusted"] or (event["drift_x"], event["drift_y"]) == pytest.approx(moved, abs=0.8)


def test_lines_that_stand_still_in_the_frame_and_slow_background_do_not_hold_a_registration():
    """What the scan converters leave, and puddles: in the published images there are few features besides."""
    draw, frame = np.random.default_rng(5), Frame.square((0, 0), 10, 64)
    spots = draw.uniform(-6, 6, (5, 2))

    def image(shift):
        places = frame.points() - np.asarray(shift)
        dots = sum(0.05 * np.exp(-((places - spot) ** 2).sum(axis=-1) / 0.36) for spot in spots)
        lines = np.where(np.indices(frame.pixels)[0] % 16 < 2, 0.002, 0.0)
        return Topograph(frame, dots + lines + 0.05 * np.sin(places[..., 0] / 9), setpoint=Setpoint(-1.5, 0.2))

    found = locate(image((0, 0)), image((0.25, -0.4)))
    assert found.trusted and found.shift == pytest.approx((0.25, -0.4), abs=0.06)  # two fifths of a pixel


def test_a_frame_without_features_is_followed_by_what_lies_around_it(RE, docs, make_stm, agent_for, scale):
    stm = drifted(make_stm)
    RE(explore(stm, agent_for(scale.changed(budget=6)), drift={"every": 6, "share": 2.0, "pixels": 64, "speed": 3e-3}))
    reference, later = docs.events("drift")
    assert (reference["drift_method"], reference["drift_trusted"]) == ("reference", False)
    assert reference["stm_scanner_width"] == later["stm_scanner_width"] == 40
    passed = later["drift_time"] - reference["drift_time"]
    assert (later["drift_x"], later["drift_y"]) == pytest.approx((2e-3 * passed, -1e-3 * passed), abs=0.15)
    assert docs.order()[:3] == ["topograph", "drift", "agent"]
    assert replay(docs).agrees


def test_a_shift_that_no_drift_could_make_is_not_believed(RE, docs, make_stm, agent_for, scale):
    stm, jumped = drifted(make_stm), []

    def jump(name, doc):
        if name == "event" and "stm_sweep_x" in doc["data"] and not jumped:
            jumped.append(True)
            stm.controller._junction.piezo._drifted += (-3.0, 0.0)

    RE.subscribe(jump)
    RE(explore(stm, agent_for(scale.changed(budget=6)), drift={"every": 6, "speed": 1e-3, "pixels": 48}))
    assert [e["drift_trusted"] for e in docs.events("drift")] == [False]
    assert stm.controller.get_drift() == (0.0, 0.0)


class TestDriftEstimate:
    def test_two_images_soon_after_each_other_do_not_turn_their_errors_into_drift(self):
        """An error of 0.1 nm within 100 s looks like 1e-3 nm/s, where not more than 1e-4 nm/s is possible."""
        estimate = DriftEstimate(0.0, 1e-4)
        used = estimate.measured(100.0, (0.1, 0.0), 0.1)
        assert np.hypot(*used) < 0.03
        assert np.hypot(*estimate.velocity) < 1e-5
        assert 0 < estimate.error(100.0) < 0.1 < 0.11 < estimate.error(1e4)

    def test_the_velocity_is_that_of_the_line_through_many_shifts(self):
        draw, true = np.random.default_rng(1), np.array((2e-4, -1e-4))
        estimate = DriftEstimate(0.0, 3e-4)
        for time in range(500, 10_001, 500):
            estimate.measured(time, tuple(true * time + draw.normal(0, 0.05, 2)), 0.05)
        assert estimate.velocity == pytest.approx(true, abs=3 * estimate.velocity_error)
        assert estimate.velocity_error < 3e-4 / 2  # a drift that may change within hours
        assert estimate.shift == pytest.approx(true * 10_000, abs=0.1)

    def test_where_any_speed_is_believed_a_shift_is_taken_as_it_is(self):
        estimate = DriftEstimate(0.0, np.inf)
        assert estimate.measured(200.0, (2.0, -1.0), 0.1) == pytest.approx((2.0, -1.0))
        assert estimate.velocity == pytest.approx((0.01, -0.005))


def test_a_run_that_goes_on_knows_the_drift_as_well_as_one_that_was_not_broken_off():
    image = Topograph(Frame.square((0, 0), 10, 16), np.zeros((16, 16)), setpoint=Setpoint(-1.5, 0.2))
    history, whole = [], DriftFinder(DriftCheck(), image, 0.0)
    for time, shift in ((300.0, (0.1, -0.1)), (600.0, (0.2, -0.1)), (900.0, (9.0, 9.0))):
        estimate = DriftEstimate(0.0, 2 * DriftCheck().speed)
        for earlier in (*history, MeasuredDrift(0.0, time, shift, (0.0, 0.0), True, 0.05, (0.0, 0.0), False)):
            used = estimate.measured(earlier.time, earlier.shift, 0.05)
            estimate.velocity = np.zeros(2)  # it was compensated
        history.append(MeasuredDrift(0.0, time, shift, (0.0, 0.0), time < 900, 0.05, tuple(used), False))
        whole.take(history[-1])
    again = DriftFinder(DriftCheck(), image, 0.0, history)
    assert again.drift.last == whole.drift.last == (600.0, pytest.approx(history[1].used))  # the third was not trusted
    assert again.drift.last[1] != (0.2, -0.1)


@pytest.mark.parametrize("knows", [True, False])
def test_drift_counts_from_the_middle_of_an_image_also_where_the_controller_tells_no_line_time(
    RE, docs, make_stm, agent_for, scale, monkeypatch, knows
):
    """As a Nanonis does not; a run that goes on has then the time of the first spectrum after the image."""
    stm, agent = drifted(make_stm), agent_for(scale)
    RE(explore(stm, agent, budget=2))
    (image,) = docs.events("topograph")
    took = 2 * image["stm_scanner_topograph"].shape[0] * stm.controller.get_line_time(agent.topograph.frame)
    if not knows:
        monkeypatch.setattr(stm.controller, "get_line_time", lambda frame: None)
    RE(explore(stm, agent, budget=2, look=False, drift={"every": 100}))
    (event,) = docs.events("drift")
    assert event["drift_reference_time"] == pytest.approx(agent.topograph.time + took / 2, abs=0.1 * took)


def test_a_run_that_goes_on_takes_images_as_large_as_before(RE, docs, make_stm, agent_for, scale):
    stm = drifted(make_stm)
    RE(explore(stm, agent_for(scale.changed(budget=5)), drift={"every": 4, "share": 2.0, "speed": 3e-3}))
    RE(resume(docs, budget=12).plan(stm))
    assert len(docs.of("start")) == 2
    assert {event["stm_scanner_width"] for event in docs.events("drift")} == {2.0 * scale.frame}


def test_a_tolerance_asks_for_a_measurement_before_the_interval_is_over():
    from bluesky_stm.plans._drift import DriftWatch

    class Still:
        class controller:  # noqa: N801
            @staticmethod
            def now():
                return 1000.0

    image = Topograph(Frame.square((0, 0), 10, 16), np.zeros((16, 16)), setpoint=Setpoint(-1.5, 0.2))
    watch = DriftWatch(Still, DriftCheck(every=50, tolerance=0.2, speed=3e-4), image, 0.0)
    assert 0.6 < watch.error < 0.7  # twice 3e-4 nm/s for 1000 s, and creep
    assert watch.due(1)
    assert not DriftWatch(Still, DriftCheck(every=50), image, 0.0).due(49)


def test_a_frame_is_found_again_after_the_sample_has_moved(RE, docs, make_stm, agent_for, scale):
    """Creep made the published move miss by 1.6 nm."""
    stm = make_stm(profile="ideal")
    before = stm.controller.scan(Frame.square((5, 5), 60, 192))
    stm.controller._junction.piezo._drifted += (-1.6, 0.9)  # the place of the tip; the surface goes the other way
    chosen = Frame.square((8, 1), 20, 48)
    RE(explore(stm, agent_for(), budget=4, frame=chosen, parent=Parent(before)))
    (event,) = docs.events("overview")
    assert event["overview_trusted"]
    assert (event["overview_x"], event["overview_y"]) == pytest.approx((1.6, -0.9), abs=0.15)
    topograph = docs.events("topograph")[0]
    assert topograph["stm_scanner_center_x"] == pytest.approx(9.6, abs=0.15)
    assert docs.order()[:2] == ["overview", "topograph"]


class Unhurried(FakeController):
    """Its images take a quarter of an hour, whoever answers."""

    def __init__(self):
        self.standing = FakeState()
        super().__init__(state=self.standing)

    def scan(self, *args):
        image = super().scan(*args)
        self.standing.time += 900.0
        return image


def test_the_real_pair_of_images_of_silicon_is_found_to_have_drifted_by_eleven_nanometres(RE, docs, make_stm, data_file):
    """Taken one after the other at what the controller believed to be one place; the shift is that of another program."""
    fake = Unhurried()
    first, second = (read(data_file(f"Si_7x7_{number}.sxm")) for number in ("028", "032"))
    frame = replace(first.frame, center=Point(0.0, 0.0))
    fake.answer("scan", replace(first, frame=frame), replace(second, frame=frame))
    RE(measure_drift(make_stm(fake), frame))
    (event,) = docs.events("drift")
    assert event["drift_trusted"]
    assert (event["drift_x"], event["drift_y"]) == pytest.approx((2.1, -10.9), abs=0.2)
