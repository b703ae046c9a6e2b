"""Values that were picked because they are large stand for few places, and the map is that of the surface."""

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.agents._shares import EVEN, shares
from bluesky_stm.agents._targets import weighted_quantiles
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

FRAME = Frame.square((0.0, 0.0), 20.0, 64)
LINE = {"xy": np.column_stack([np.linspace(0, 1, 101), np.zeros(101)])}


def at(*places):
    return [{"xy": np.array([[x, 0.0]])} for x in places]


def test_each_value_stands_for_the_candidates_that_are_nearest_to_it():
    found = shares(LINE, at(0.1, 0.9))  # the middle of the line is as near to one as to the other
    assert found == pytest.approx([0.5, 0.5])
    left, right = shares(LINE, at(0.0, 0.25))
    assert right == pytest.approx((1 - EVEN) * 88 / 101 + EVEN / 2)  # all from 0.13 on; 0.125 is the middle
    assert left + right == pytest.approx(1)


def test_a_crowd_stands_for_no_more_than_its_own_place():
    alone = shares(LINE, at(0.2, 0.8))
    crowd = shares(LINE, at(0.2, *np.linspace(0.7999, 0.8001, 50)))
    assert crowd[0] == pytest.approx(alone[0], abs=EVEN)
    assert crowd[1:].sum() == pytest.approx(alone[1], abs=EVEN)


def test_repeats_at_one_place_share_its_part():
    once, first, second = shares(LINE, at(0.2, 0.8, 0.8))
    assert first == second
    assert once == pytest.approx(shares(LINE, at(0.2, 0.8))[0], abs=EVEN)


def test_a_quantile_lies_between_the_middles_of_the_weights():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.25, 0.5])
    assert weighted_quantiles(values, weights, [0.0, 0.125, 0.3125, 0.5, 0.875, 1.0]) == pytest.approx([1, 1, 1.5, 2, 3, 3])


@pytest.fixture(scope="module")
def picked():
    """An agent that knows 20 spread values around 0 and 40 that were picked on a small patch where they are 5."""
    rng = np.random.default_rng(4)
    places = np.stack(np.meshgrid(np.arange(-9.0, 9.1), np.arange(-9.0, 9.1)), axis=-1).reshape(-1, 2)
    high = np.hypot(*(places - 6).T) < 3.6
    values = 5.0 * high + 0.3 * rng.standard_normal(len(places))
    spread = rng.permutation(np.flatnonzero(~high))[:20]
    taken = [*spread, *np.flatnonzero(high)[:40]]
    agent = make_agent("dkl", candidates=places.tolist(), patch=3.0, seeds=20)
    agent.observe(Topograph(FRAME, rng.standard_normal(FRAME.pixels), setpoint=Setpoint(-1.5, 0.2)))
    agent.ingest([Observation(Point(*places[i]), float(values[i])) for i in taken])
    far = np.hypot(*(places - 6).T) > 9
    return agent, np.setdiff1d(np.flatnonzero(far), taken), values[taken]


def test_the_map_of_what_was_not_picked_is_that_of_the_surface(picked):
    agent, rest, values = picked
    assert values.mean() > 3  # two thirds of all values are 5
    assert agent.posterior().mean[rest].mean() == pytest.approx(0, abs=0.3)
    assert agent._updated().warp.center == pytest.approx(0, abs=0.3)


def test_each_value_is_predicted_from_those_before_it(picked):
    model = picked[0]._updated()
    (process, *_) = model.process.processes
    covariance, values = process.factor @ process.factor.T, process.values
    residual, std = process.ahead()
    for i in (1, 7, 40):
        weights = np.linalg.solve(covariance[:i, :i], covariance[:i, i])
        assert float(residual[i]) == pytest.approx(float(values[i] - weights @ values[:i]), abs=1e-8)
        assert float(std[i]) == pytest.approx(float(np.sqrt(covariance[i, i] - weights @ covariance[:i, i])), abs=1e-8)
