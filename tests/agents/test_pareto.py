"""Two objectives, against areas that can be counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from bluesky_stm.agents import make_agent
from bluesky_stm.agents._hypervolume import front, hypervolume, log_expected_gain
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Failed, Observation

ORIGIN = np.zeros(2)
whole = arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(-2, 9).map(float))


@given(whole)
def test_a_front_is_beaten_by_nothing_and_beats_the_rest(values):
    edge = front(values)
    for value in values:
        beaten = ((edge >= value).all(axis=1) & (edge > value).any(axis=1)).any()
        assert beaten != (edge == value).all(axis=1).any()
    assert (np.diff(edge[:, 0]) > 0).all() and (np.diff(edge[:, 1]) < 0).all()


@given(whole)
def test_a_hypervolume_is_the_count_of_unit_squares_below(values):
    squares = {(i, j) for x, y in values for i in range(int(max(x, 0))) for j in range(int(max(y, 0)))}
    assert hypervolume(values, ORIGIN) == pytest.approx(len(squares))


def test_without_anything_known_the_gain_is_a_product_of_two_improvements():
    mean, std = np.array([[0.5, -1.0]]), np.array([[1.0, 2.0]])
    z = mean / std
    improvements = std * (norm.pdf(z) + z * norm.cdf(z))
    assert np.exp(log_expected_gain(mean, std, np.empty((0, 2)), ORIGIN)) == pytest.approx(improvements.prod())


def test_the_expected_gain_is_the_mean_over_samples():
    rng = np.random.default_rng(0)
    known = np.array([[1.0, 3.0], [2.0, 2.0], [2.5, 0.5], [0.5, 0.5], [4.0, -1.0]])
    mean, std = np.array([[2.0, 2.5], [0.0, 0.0], [3.0, 0.2]]), np.array([[0.5, 0.8], [1.0, 2.0], [0.3, 0.1]])
    for m, s, found in zip(mean, std, np.exp(log_expected_gain(mean, std, known, ORIGIN)), strict=True):
        samples = m + s * rng.standard_normal((20_000, 2))
        gains = [hypervolume(np.vstack([known, sample]), ORIGIN) - hypervolume(known, ORIGIN) for sample in samples]
        assert found == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / np.sqrt(len(gains)))


def test_hopeless_candidates_are_still_ranked():
    gain = log_expected_gain(np.array([[-40.0, -40.0], [-41.0, -40.0]]), np.ones((2, 2)), np.array([[1.0, 1.0]]), ORIGIN)
    assert np.isfinite(gain).all() and gain[0] > gain[1]


FRAME = Frame.square((0.0, 0.0), 20.0, 48)
BIAS = np.linspace(-1.0, 1.0, 41)
PLACES = np.stack(np.meshgrid(np.arange(-9.0, 9.1), np.arange(-9.0, 9.1)), axis=-1).reshape(-1, 2)
OBJECTIVES = [{"name": "conductance", "bias": -0.5}, {"name": "conductance", "bias": 0.5}]


def pair(point):
    """Two bumps apart: what is good for one is bad for the other."""
    distances = [np.hypot(point[0] - x, point[1] - y) for x, y in ((-4, 0), (4, 2))]
    return np.array([5 * np.exp(-((d / 5) ** 2)) for d in distances])


def lesson(point, value=0.0):
    left, right = pair(point)
    didv = np.where(BIAS < 0, left, right)
    return Observation(
        Point(*point),
        value,
        Spectrum(
            position=Point(*point),
            bias=BIAS,
            current=didv,
            lockin_x=didv,
            lockin_y=0 * didv,
            didv=didv,
            setpoint=Setpoint(-1, 0.1),
        ),
    )


def agent_at(**settings):
    agent = make_agent("pareto", objectives=OBJECTIVES, candidates=PLACES.tolist(), patch=3.0, seeds=8, net=False, **settings)
    agent.observe(Topograph(FRAME, np.random.default_rng(1).standard_normal(FRAME.pixels), setpoint=Setpoint(-1.5, 0.2)))
    return agent


def test_the_whole_front_between_two_bumps_is_found_whatever_the_scalar_of_the_run():
    agent = agent_at()
    for _ in range(24):
        agent.ingest([lesson(agent.suggest()[0].point, Failed("not asked"))])
    found = np.array([pair(o.point) for o in agent.observations])
    everywhere = np.array([pair(p) for p in PLACES])
    ordinary = np.median(everywhere, axis=0)
    assert hypervolume(found, ordinary) > 0.9 * hypervolume(everywhere, ordinary)
    decision = agent.suggest()[0]
    assert decision.why == "ehvi" and np.isfinite(decision.acquisition)


def test_a_place_that_is_pending_is_worth_less_and_so_is_what_lies_beside_it():
    agent = agent_at()
    agent.ingest([lesson(p) for p in PLACES[::23]])
    first, second = agent.suggest(2)
    assert second.candidate != first.candidate and second.acquisition < first.acquisition
    assert str(agent.suggest(1, pending=[first.point])[0]) == str(second)


def test_without_spectra_it_fills_space_and_says_why():
    agent = agent_at()
    agent.ingest([Observation(Point(*p), 1.0) for p in PLACES[:10]])
    decision = agent.suggest()[0]
    assert decision.why == "space filling" and "both objectives" in decision.health.warning
