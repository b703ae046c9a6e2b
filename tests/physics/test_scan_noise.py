"""Noise of a scan follows from the time of a pixel: a faster one has a wider bandwidth."""

import math

import numpy as np
import pytest

from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import FeedbackGains

CHARGE, BOLTZMANN = 1.602177e-19, 1.380649e-23
JOHNSON = 1e12 * math.sqrt(4 * BOLTZMANN * 300 / 1e9 * 50)
"""Noise of a resistor of 1 GOhm at 300 K in the 50 Hz that 10 ms leave, in pA: J. B. Johnson, Phys. Rev. 32, 97 (1928)."""


def current_noise(stm, place, line_time, pixels=128):
    stm.scan(Frame.square(place, 0.02, pixels), line_time=line_time)
    image = stm.image("current")
    return (image - np.median(image, axis=1, keepdims=True)).std() * 1e3  # pA


@pytest.mark.parametrize("line_time", [0.1, 1.0, 10.0])
def test_thermal_and_shot_noise_of_the_current_have_the_bandwidth_of_a_pixel(ideal_but, terrace, line_time):
    """sqrt((4 kT / R + 2 e I) / 2t): 0.23 pA at 0.2 nA and 0.78 ms, 0.023 pA at 78 ms."""
    stm = ideal_but(current_white=JOHNSON * 1e-3, shot=1.0)
    bandwidth = 1 / (2 * line_time / 128)
    expected = 1e12 * math.sqrt((4 * BOLTZMANN * 300 / 1e9 + 2 * CHARGE * 0.2e-9) * bandwidth)
    assert current_noise(stm, terrace, line_time) == pytest.approx(expected, rel=0.05)


def test_vibration_is_slower_than_pixels_and_the_same_at_every_speed(ideal_but, terrace):
    """0.6 % of 200 pA, as in the published spectra (data sheet, section 7)."""
    stm = ideal_but(junction=0.006)
    assert [current_noise(stm, terrace, t) for t in (0.1, 1.0)] == pytest.approx([1.2, 1.2], rel=0.1)


def test_a_preamplifier_limits_the_bandwidth(ideal_but, terrace):
    """It averages over twice its time constant at least: 1 / (4 tau) is the noise bandwidth of one pole."""
    stm = ideal_but(current_white=JOHNSON * 1e-3, response=1e-3)
    stm.set_gains(FeedbackGains(0.0, 1000.0))
    expected = 1e12 * math.sqrt(4 * BOLTZMANN * 300 / 1e9 / (4 * 1e-3))
    assert current_noise(stm, terrace, 0.0128) == pytest.approx(expected, rel=0.05)


def white_height(stm, place, line_time):
    frame = Frame.square(place, 0.02, 128)
    noise = stm.scan(frame, line_time=line_time).height - stm.truth_topograph(frame).height
    return noise.std() * 1e3  # pm


def test_heights_are_noisier_the_faster_they_are_taken_up_to_the_bandwidth_of_the_feedback(ideal_but, terrace):
    """By the square root of the speed; a feedback of 100 Hz averages over 5 ms, however short a pixel is."""
    ideal = ideal_but(z_white=0.0003)
    assert white_height(ideal, terrace, 128 * 7.8e-3) == pytest.approx(0.3, rel=0.05)
    assert white_height(ideal, terrace, 128 * 7.8e-4) == pytest.approx(0.3 * math.sqrt(10), rel=0.05)
    slow = ideal_but(z_white=0.0003, response=1e-5)
    slow.set_gains(FeedbackGains(0.0, 2 * math.pi * 100 / slow.surface.barrier.mean_decay))
    assert white_height(slow, terrace, 128 * 7.8e-5) == pytest.approx(0.3 * math.sqrt(7.8e-3 * 200), rel=0.05)


def test_at_a_small_current_the_noise_of_the_preamplifier_is_seen_in_the_heights(ideal_but, terrace):
    """By i / (2 kappa I): 0.1 pA of 1 pA are 4.6 pm."""
    stm = ideal_but(current_white=1e-4)
    stm.set_setpoint_current(0.001)
    expected = 1e3 * 0.1 / stm.surface.barrier.mean_decay
    assert white_height(stm, terrace, 128 * 0.01) == pytest.approx(expected, rel=0.05)


def test_slow_noise_is_remembered_over_a_time_not_over_pixels(ideal_but, terrace):
    """0.9 over 7.8 ms is 0.81 over twice that."""
    found = []
    for line_time in (128 * 7.8e-3, 128 * 15.6e-3):
        frame, stm = Frame.square(terrace, 0.02, 128), ideal_but(z_noise=0.002, z_memory=0.9)
        noise = stm.scan(frame, line_time=line_time).height - stm.truth_topograph(frame).height
        found.append((noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean())
    assert found == pytest.approx([0.9, 0.81], abs=0.03)
