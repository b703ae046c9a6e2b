"""The z feedback of the simulated microscope against the theory of linear loops, and what it does to images and moves."""

import math

import numpy as np
import pytest

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.controllers.simulated._feedback import FeedbackLoop
from bluesky_stm.errors import LimitError, TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import FeedbackGains
from bluesky_stm.surface import Au111, Surface

PUBLISHED = FeedbackGains(0.0273, 87.8)
DECAY = 21.7
TERRACE = Point(60.0, 30.0)


def lagging(**changes):
    """Nothing but a feedback of finite bandwidth is wrong with this one."""
    return SimulatedController(seed=1, profile=IDEAL.changed(response=7e-5, **changes))


def test_a_step_is_followed_exponentially_with_the_time_constant_of_an_integrator():
    """Without a proportional part and behind a fast preamplifier: tau = 1 / (2 kappa I)."""
    loop = FeedbackLoop(FeedbackGains(0.0, 10.0), DECAY, 1e-7)
    step = np.ones(400)
    step[0] = 0.0
    followed = loop.follow(step, 1e-4)
    time = 1e-4 * np.arange(400)
    assert followed[20:] == pytest.approx(1 - np.exp(-(time[20:] - 0.5e-4) * DECAY * 10.0), abs=2e-4)


@pytest.mark.parametrize("gains", [PUBLISHED, FeedbackGains(0.0, 10.0), FeedbackGains(0.1, 30.0)])
def test_a_slope_is_followed_late_by_the_inverse_of_the_integral_gain(gains):
    """Type-one loop: the lag behind a ramp is its slope over 2 kappa I, whatever the proportional gain."""
    ramp = np.linspace(0, 50, 5000)
    interval = 1e-3
    lag = ramp - FeedbackLoop(gains, DECAY, 7e-5).follow(ramp, interval)
    assert lag[-1] == pytest.approx(ramp[1] / interval / (DECAY * gains.integral), rel=1e-3)


def test_a_loop_with_too_much_gain_rings():
    """Damping (1 + 2 kappa P) / (2 sqrt(2 kappa I tau)) below 1 overshoots as a second-order system does."""
    step = np.ones(4000)
    step[0] = 0.0
    response, integral = 1e-3, 500.0
    damping = 1 / (2 * math.sqrt(DECAY * integral * response))
    followed = FeedbackLoop(FeedbackGains(0.0, integral), DECAY, response).follow(step, 2e-6)
    assert followed.max() - 1 == pytest.approx(math.exp(-math.pi * damping / math.sqrt(1 - damping**2)), rel=0.02)
    assert FeedbackLoop(PUBLISHED, DECAY, 7e-5).follow(step, 2e-6).max() < 1.001


def test_an_image_taken_at_the_published_pace_is_followed_within_a_picometre():
    """4 s a line: the time constant of some tenths of a millisecond is far below a pixel."""
    frame = Frame.square(TERRACE, 20, 128)
    stm = lagging()
    assert np.abs(stm.scan(frame, line_time=4.0).height - stm.truth_topograph(frame).height).max() < 1e-3


def test_trace_and_retrace_of_a_fast_scan_are_late_in_opposite_directions():
    """Each by speed times 1 / (2 kappa I): measured as the shift between both images."""
    stm = lagging()
    frame, line_time = Frame.square(TERRACE, 20, 256), 0.05
    stm.scan(frame, line_time)
    trace, retrace = stm.image("height"), stm.image("height_backward")
    assert np.abs(trace - retrace).max() > 0.01
    shifts = np.arange(-20, 21)
    apart = [np.nanstd(trace[:, 30:-30] - np.roll(retrace, s, axis=1)[:, 30:-30]) for s in shifts]
    late = frame.size[0] / line_time / (stm.surface.barrier.mean_decay * PUBLISHED.integral)
    assert shifts[np.argmin(apart)] * frame.pixel_size[1] == pytest.approx(2 * late, abs=1.5 * frame.pixel_size[1])


def test_the_current_image_is_the_error_of_the_feedback():
    """The set point where it is flat, more uphill; an ideal feedback shows nothing but the set point."""
    stm, frame = lagging(), Frame.square(TERRACE, 20, 64)
    topograph = stm.scan(frame, 0.05)
    current = stm.image("current")
    expected = -0.2 * np.exp(stm.surface.barrier.mean_decay * (stm.truth_topograph(frame).height - topograph.height))
    assert current == pytest.approx(expected, rel=1e-6)
    ideal = SimulatedController(seed=1, profile="ideal")
    ideal.scan(frame, 0.05)
    assert ideal.image("current") == pytest.approx(-0.2)


def test_gains_matter():
    """Ten times the integral gain, a tenth of the lag."""
    frame = Frame.square(TERRACE, 20, 128)
    lags = []
    for factor in (1, 10):
        stm = lagging()
        stm.set_gains(FeedbackGains(0.0, PUBLISHED.integral * factor))
        lags.append(np.std(stm.scan(frame, 0.2).height - stm.truth_topograph(frame).height))
    assert lags[0] / lags[1] == pytest.approx(10, rel=0.25)


@pytest.mark.parametrize("gains", [FeedbackGains(0.1, 0.0), FeedbackGains(0.1, -1.0), FeedbackGains(-0.1, 10.0)])
def test_gains_with_which_no_height_is_found_are_refused(gains):
    with pytest.raises(LimitError, match="gain of the feedback"):
        lagging().set_gains(gains)


def uphill():
    """A sharp tip on the low terrace beside a bunch, and a place beyond the bunch."""
    edge = Surface(seed=1).staircase.edges(0)[0]
    return Point(float(edge[-1]) + 30.0, 0.0), Point(float(edge[0]) - 10.0, 0.0)


def test_a_move_too_fast_for_the_feedback_meets_the_steps_uphill():
    """At the published speed the tip climbs them, at a hundred times that speed it does not."""
    low, high = uphill()
    slow, fast = lagging(flank=25.0), lagging(flank=25.0)
    for stm in (slow, fast):
        stm.move_tip(low)
    slow.move_tip(high)
    assert slow.get_tip().point == high
    with pytest.raises(TipCrashError, match="could not follow"):
        fast.move_tip(high, speed=6000.0)
    assert fast.is_withdrawn()


def test_lines_too_fast_for_the_feedback_touch():
    low, high = uphill()
    frame = Frame(Point((low.x + high.x) / 2, 0.0), (abs(low.x - high.x), 5.0), (8, 256), 180.0)  # from low to high
    stm = lagging(flank=25.0)
    stm.move_tip(low)
    stm.scan(frame, 4.0)
    stm.move_tip(low)
    with pytest.raises(TipCrashError, match="could not keep"):
        stm.scan(frame, 0.01)


def test_the_way_back_lies_beside_the_way_forth_by_the_hysteresis():
    """In the middle of a line longer than the play, by twice hysteresis times play; on a short line not at all."""
    stm = SimulatedController(seed=1, profile=IDEAL.changed(hysteresis=0.05, hysteresis_range=10.0))
    piezo = stm._junction.piezo
    assert piezo.opening(np.array([50.0]), 100.0) == pytest.approx([2 * 0.05 * 10.0])
    assert piezo.opening(np.linspace(0, 15, 7), 15.0) == pytest.approx(np.zeros(7), abs=1e-12)
    frame = Frame.square(TERRACE, 100, 200)
    trace = stm.scan(frame).height
    retrace = stm.image("height_backward")
    middle = slice(60, 140)
    apart = {s: np.std(trace[:, middle] - np.roll(retrace, s, axis=1)[:, middle]) for s in range(-4, 5)}
    assert min(apart, key=apart.get) * frame.pixel_size[1] == pytest.approx(1.0)


def test_a_reversal_of_the_piezo_is_late_and_a_move_creeps():
    """Hysteresis: a part of the way, over its range. Creep: the same part in each of four decades of time."""
    late = SimulatedController(seed=1, profile=IDEAL.changed(hysteresis=0.01, hysteresis_range=40.0))
    late.move_tip(Point(100.0, 0.0))
    there = late._junction.place(late.now())[0, 0]
    late.move_tip(Point(250.0, 0.0))
    late.move_tip(Point(100.0, 0.0))
    assert late._junction.place(late.now())[0, 0] - there == pytest.approx(0.01 * 80.0)
    creeping = SimulatedController(seed=1, profile=IDEAL.changed(creep=0.02))
    creeping.move_tip(Point(100.0, 0.0))
    arrived, settled = (creeping._junction.place(creeping.now() + wait)[0, 0] for wait in (0.0, 36000.0))
    assert settled - arrived == pytest.approx(8.0, rel=0.01)
    assert settled == pytest.approx(100.0, abs=1e-6)


def test_within_the_range_of_the_hysteresis_a_place_is_where_the_image_has_it_whichever_way_the_tip_comes():
    """The play operator is reversible there; beyond, a place to the left is late by the part of the way, twice the range."""
    stm = SimulatedController(seed=1, profile=IDEAL.changed(hysteresis=0.05, hysteresis_range=20.0))
    frame = Frame.square((0, 0), 20, 32)
    for end in (20.0, -20.0):  # a loop as long as twice the range, around the frame
        stm.move_tip((end, end))
    stm.scan(frame)
    seen = stm._scanning._scan.off
    assert np.ptp(seen[:, :, 0]) == pytest.approx(0.05 * 20, rel=0.1), "the image is drawn out by its part"
    for pixel in ((3, 28), (30, 2), (16, 16)):
        place = Point(*frame.to_sample(pixel))
        stm.move_tip(place)
        assert stm._junction.place(stm.now())[0] - place == pytest.approx(seen[pixel], abs=1e-6)
    stm.move_tip((100.0, 100.0))
    stm.move_tip(place)
    assert stm._junction.place(stm.now())[0] - place != pytest.approx(seen[16, 16], abs=0.1)


def test_gold_is_followed_as_well():
    stm = SimulatedController(Surface(Au111().build(), seed=1), profile=IDEAL.changed(response=7e-5))
    frame = Frame.square((0, 0), 20, 32)
    assert stm.scan(frame).height == pytest.approx(stm.truth_topograph(frame).height, abs=0.01)
