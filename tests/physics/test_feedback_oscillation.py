"""A feedback with too much gain oscillates at the resonance of the z piezo, and is not left oscillating."""

import math

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import FailedStatus

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.simulated._feedback import FeedbackLoop
from bluesky_stm.devices import STM
from bluesky_stm.errors import OscillationError, TipCrashError
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import FeedbackGains

DECAY, PUBLISHED = 21.7, FeedbackGains(0.0273, 87.8)


@pytest.mark.parametrize(("resonance", "quality"), [(1000.0, 5.0), (9000.0, 3.0), (20_000.0, 30.0)])
def test_an_integrator_oscillates_where_routh_says(resonance, quality):
    """s (s2 / w2 + s / (w Q) + 1) + K = 0 is stable for K < w / Q (Routh's criterion), behind a preamplifier without delay."""
    limit = 2 * math.pi * resonance / quality / DECAY
    for factor, stable in ((0.98, True), (1.02, False)):
        loop = FeedbackLoop(FeedbackGains(0.0, factor * limit), DECAY, 1e-12, resonance, quality)
        assert loop.stable is stable


def test_a_proportional_gain_oscillates_where_routh_says_too():
    """(t s + 1)(s2 / w2 + s / (w Q) + 1) + p = 0 behind a preamplifier of the time constant t (Routh's criterion)."""
    t, w, q = 7e-5, 2 * math.pi * 9000.0, 3.0
    limit = (1 / w**2 + t / (w * q)) * (t + 1 / (w * q)) * w**2 / t - 1
    for factor, stable in ((0.98, True), (1.02, False)):
        gains = FeedbackGains(factor * limit / DECAY, 1e-6)
        assert FeedbackLoop(gains, DECAY, t, 9000.0, q).stable is stable


@pytest.mark.parametrize("profile", ["good_day", "bad_day"])
def test_the_published_gains_are_stable_on_every_day_and_ten_times_as_much_is_not(profile):
    """P 27.3 pm and I 87.8 nm/s took the published images (data sheet, section 1)."""
    for factor, stable in ((1, True), (2, True), (10, False)):
        stm = SimulatedController(seed=1, profile=profile)
        stm.set_gains(FeedbackGains(factor * PUBLISHED.proportional, factor * PUBLISHED.integral))
        assert stm._junction.loop.stable is stable


def test_a_resonance_above_the_loop_does_not_change_how_it_follows():
    """At the published gains and 9 kHz, as far as 0.1 %."""
    wave = np.sin(np.linspace(0, 20, 2000))
    plain = FeedbackLoop(PUBLISHED, DECAY, 7e-5).follow(wave, 1e-3)
    assert FeedbackLoop(PUBLISHED, DECAY, 7e-5, 9000.0, 3.0).follow(wave, 1e-3) == pytest.approx(plain, abs=1e-3)


def oscillating(gain=10.0):
    stm = SimulatedController(seed=1, profile="good_day")
    stm.move_tip((60.0, 30.0))
    stm.set_gains(FeedbackGains(gain * PUBLISHED.proportional, gain * PUBLISHED.integral))
    return stm


def test_its_current_swings_up_to_the_end_of_the_preamplifier_and_its_image_is_noise():
    """And as far down, logarithmically, into the noise: ln(10 / 0.2) / 2 kappa = 0.18 nm."""
    stm = oscillating()
    currents = np.abs([stm.read_current() for _ in range(300)])
    assert currents.max() == pytest.approx(10.0, rel=0.1)
    assert currents.min() < 0.01
    frame = Frame.square((60.0, 30.0), 5, 32)
    rough = stm.scan(frame).height - stm.truth_topograph(frame).height
    assert rough.std() == pytest.approx(0.18 / math.sqrt(2), rel=0.1)


def test_close_to_the_surface_an_oscillation_is_a_crash():
    stm = SimulatedController(seed=1, profile="good_day:preamp_range=1e5")
    stm.move_tip((60.0, 30.0))
    stm.set_setpoint_current(1.0)
    with pytest.raises(TipCrashError, match=r"oscillates by 0\.53 nm.*withdrawn"):
        stm.set_gains(FeedbackGains(0.3, 87.8))
    assert stm.is_withdrawn()


# ---- what the devices do then


@pytest.fixture
def stm():
    made = STM(controller=SimulatedController(seed=1, profile="good_day"), name="stm")
    yield made
    made.worker.close()


def test_gains_that_oscillate_are_taken_back(stm):
    """The error says so, the gains of before are in force, and the current is that of the set point."""
    with pytest.raises(FailedStatus) as failed:
        RunEngine()(bps.mv(stm.z.proportional, 0.5))
    error = failed.value.__cause__ or failed.value.args[0]
    assert "oscillates" in str(error) and "restored" in str(error)
    assert stm.controller.get_gains() == PUBLISHED
    assert stm.controller.get_feedback() and not stm.withdrawn
    assert abs(stm.controller.read_current()) == pytest.approx(0.2, rel=0.1)


def test_gains_that_are_steady_are_taken(stm):
    RunEngine()(bps.mv(stm.z.integral, 150.0))
    assert stm.controller.get_gains().integral == 150.0


def test_before_an_image_an_oscillation_is_seen_and_the_tip_withdrawn(stm):
    """Gains that somebody has turned up beside us: which ones were steady nobody knows."""
    stm.controller.set_gains(FeedbackGains(0.5, 87.8))
    stm.scanner.set(Frame.square((60.0, 30.0), 5, 16))
    with pytest.raises(OscillationError, match="has been withdrawn"):
        stm.scanner.trigger().wait(20)
    assert stm.withdrawn


def test_a_noisy_current_at_a_small_set_point_is_no_oscillation():
    """0.44 pA of noise at 2 pA."""
    made = STM(controller=SimulatedController(seed=1, profile="bad_day"), name="stm")
    made.controller.set_setpoint_current(0.002)
    made.z.integral.put(90.0)
    assert made.controller.get_gains().integral == 90.0
    made.worker.close()
