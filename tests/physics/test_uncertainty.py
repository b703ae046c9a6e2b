"""Each value has the uncertainty that the noise of its spectrum gives it, and an agent believes a noisy spectrum less."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Failed, Observation
from bluesky_stm.scalarizers import make_scalarizer

BIAS = np.linspace(-1.5, 1.5, 121)
STEP = 0.025  # V


def flat(noise, seed=0, scale=1.0):
    """An ohmic contact of 2 nS with white noise of dI/dV (nS), its current at the set point times ``scale``."""
    rng = np.random.default_rng(seed)
    didv = 2.0 + noise * rng.standard_normal(121)
    current = 2.0 * BIAS * scale
    return Spectrum(
        position=Point(0, 0), bias=BIAS, current=current, lockin_x=0.02 * didv, lockin_y=0 * BIAS, didv=didv,
        setpoint=Setpoint(-1.5, 3.0),
    )  # fmt: skip


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_a_mean_of_n_samples_is_known_to_the_noise_of_one_over_the_root_of_n(noise):
    """Propagation of independent errors; the window of 0.5 V holds 21 samples."""
    mean = make_scalarizer("conductance:width=0.5")
    found = np.median([mean.deviation(flat(noise, seed)) for seed in range(20)])
    assert found == pytest.approx(noise / np.sqrt(21), rel=0.25)


def test_an_integral_is_known_to_the_noise_of_one_times_the_step_and_the_root_of_n():
    """Propagation of independent errors through the trapezoidal rule."""
    integral = make_scalarizer("integral:between=[0,1]")
    found = np.median([integral.deviation(flat(0.1, seed)) for seed in range(20)])
    assert found == pytest.approx(0.1 * STEP * np.sqrt(40.5), rel=0.25)


def test_a_set_point_that_was_missed_by_a_tenth_makes_a_conductance_uncertain_by_a_tenth():
    """The conductance is proportional to the current at which the tip is held; the normalised one does not know of it."""
    missed = flat(1e-6, scale=1.1)
    assert make_scalarizer("conductance").deviation(missed) == pytest.approx(0.1 * 2.0, rel=0.35)
    assert make_scalarizer("conductance:normalized=true").deviation(missed) < 1e-5


@pytest.mark.parametrize(
    "choice",
    ["gap", "bandgap_slopefit", "positive_channel_area", "area_ratio", "integral:between=[0,0.5]", "conductance:bias=-1.3"],
)
def test_the_deviation_is_that_of_spectra_taken_at_the_same_place_again(spectra_at, choice):
    """Between a third and three times: five spectra a place, each with its own noise and its own hold of the tip."""
    scalarizer = make_scalarizer(choice)
    repeats = [spectra_at("terrace", "good_day", 0.05, seed=seed) for seed in range(2, 7)]
    values = np.array([[scalarizer(s) for s in taken] for taken in repeats], dtype=object)
    there = np.array([[np.nan if isinstance(v, Failed) else v for v in row] for row in values], dtype=float)
    scatter = np.nanmedian(np.nanstd(there, axis=0, ddof=1))
    said = np.nanmedian([scalarizer.deviation(s) for s in repeats[0]])
    assert scatter / 3 < said < 3 * scatter


def test_the_same_spectrum_has_the_same_deviation_every_time():
    """A replay has to reach the same decisions bit for bit."""
    for choice in ("gap", "conductance", "bandgap_slopefit"):
        spectrum = flat(0.1)
        first, again = (make_scalarizer(choice).deviation(one) for one in (spectrum, replace(spectrum)))
        assert np.array_equal(first, again, equal_nan=True)


def agent_that_knows(deviation, name="gp-xy"):
    """An agent that was told a smooth map in 60 places, and in the middle a value that is far off, known to ``deviation``."""
    frame = Frame(Point(0, 0), (20.0, 20.0), (64, 64))
    height = np.random.default_rng(0).normal(size=frame.pixels)
    agent = make_agent(name, seed=1, patch=2.0, step=1.0, seeds=3)
    agent.observe(Topograph(frame, height, setpoint=Setpoint(-1.5, 0.2)))
    places = np.random.default_rng(1).uniform(-9, 9, (60, 2))
    agent.ingest([Observation(Point(*p), float(np.sin(p[0] / 4)), deviation=0.02) for p in places])
    agent.ingest([Observation(Point(0.0, 0.0), 1.5, deviation=deviation)])
    return agent


@pytest.mark.parametrize("name", ["gp-xy", "dkl"])
def test_a_noisier_spectrum_pulls_the_posterior_less(name):
    """The posterior of a Gaussian process goes between the value and what its neighbours say, by the ratio of variances."""
    means = [float(agent_that_knows(d, name).posterior([[0.0, 0.0]]).mean[0]) for d in (0.02, 0.5, 5.0)]
    truth = 0.0  # sin(0)
    assert means[0] > means[1] > means[2] - 1e-6
    assert abs(means[2] - truth) < 0.5 * abs(means[0] - truth)


def test_an_agent_that_goes_on_and_one_that_is_taught_anew_predict_the_same_bits():
    """State follows from the ordered observations, their deviations included (contract of the agents)."""
    whole = agent_that_knows(0.5)
    whole.posterior()
    for i in range(12):
        whole.ingest([Observation(Point(1.0 + i / 2, 2.0), 0.1 * i, deviation=0.05 * i)])
        whole.posterior()
    anew = make_agent("gp-xy", seed=1, patch=2.0, step=1.0, seeds=3)
    anew.restore(whole.checkpoint())
    assert np.array_equal(whole.posterior().mean, anew.posterior().mean)
    assert np.array_equal(whole.posterior().std, anew.posterior().std)
    assert [o.deviation for o in anew.observations][-2:] == [0.5, pytest.approx(0.55)]
