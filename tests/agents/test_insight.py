"""What an agent lets people see: what each candidate is worth, and what looks alike to it."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from bluesky_stm.agents import make_agent
from bluesky_stm.agents._embedding import principal_plane
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Insightful, Observation

FRAME = Frame.square((0, 0), 20, 64)
RNG = np.random.default_rng(4)


def rough_on_the_right():
    """Flat on the left, ripples of 0.1 nm on the right."""
    x, y = np.moveaxis(FRAME.points(), -1, 0)
    return Topograph(FRAME, np.where(x > 0, 0.05 * np.sin(2.5 * x) * np.sin(2.5 * y), 0.0), setpoint=Setpoint(1.0, 0.1))


def taught(name, count=12, **settings):
    """An agent that was told the roughness of some places."""
    agent = make_agent(name, seed=1, patch=4, step=1, seeds=4, **settings)
    agent.observe(rough_on_the_right())
    chosen = np.random.default_rng(2).choice(len(agent.candidates), count, replace=False)
    for x, y in agent.candidates[chosen]:
        agent.ingest([Observation(Point(float(x), float(y)), float(1.0 + (x > 0) + 0.02 * y))])
    return agent


@pytest.mark.parametrize(("name", "settings"), [("gp-xy", {}), ("gp-patch", {}), ("dkl", {}), ("paper-dkl", {"steps": 10})])
def test_it_goes_to_the_free_candidate_that_is_worth_most(name, settings):
    agent = taught(name, **settings)
    assert isinstance(agent, Insightful)
    (decision,) = agent.suggest()
    worth = agent.insight().acquisition
    assert decision.candidate == np.nanargmax(worth)
    assert decision.acquisition == worth[decision.candidate]
    measured = {tuple(observation.point) for observation in agent.observations}
    assert np.isnan(worth).tolist() == [tuple(place) in measured for place in agent.candidates]


@pytest.mark.parametrize("name", ["gp-patch", "dkl"])
def test_what_looks_alike_lies_close_in_its_feature_space(name):
    agent = taught(name)
    features, x = agent.insight().features, agent.candidates[:, 0]
    flat, rough = features[x < -3], features[x > 3]
    spread = [np.sqrt(part.var(axis=0).sum()) for part in (flat, rough)]
    assert spread[0] < 0.25 * spread[1], "what is flat all around is nearly one spot, ripples are not"


def test_to_look_into_it_changes_no_decision():
    seen, unseen = taught("dkl"), taught("dkl")
    seen.insight()
    assert seen.suggest(2) == unseen.suggest(2)


def test_before_it_has_learned_it_does_not_say():
    insight = taught("dkl", count=2).insight()
    assert np.isnan(insight.acquisition).all() and np.isnan(insight.features).all()


def test_laying_flat_keeps_all_distances_of_what_is_flat():
    plane = np.linalg.qr(RNG.normal(size=(7, 2)))[0]
    points = RNG.normal(size=(50, 2)) * [5.0, 1.0] @ plane.T
    assert pdist(principal_plane(points)) == pytest.approx(pdist(points))
    assert principal_plane(points[:, ::-1]) == pytest.approx(principal_plane(points)), "whatever the order of the features"


def test_one_feature_lies_on_a_line():
    flat = principal_plane(np.array([[1.0], [3.0], [5.0]]))
    assert flat == pytest.approx(np.array([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]]))
