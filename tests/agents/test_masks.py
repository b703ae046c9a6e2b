"""Where an agent does not look: the rim, dirt, holes, what was measured, what a person forbids."""

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Failed, Observation

FRAME = Frame.square((5.0, -3.0), 20.0, 100, angle=30.0)
DIRT = np.array([[2.0, -1.0]])


def topograph():
    """Small bumps everywhere, a cluster 1.5 nm high at `DIRT`, and a corner that was not measured."""
    height = 0.05 * np.random.default_rng(0).standard_normal(FRAME.pixels)
    distance = np.linalg.norm(FRAME.points() - DIRT, axis=-1)
    height[distance < 0.6] += 1.5
    height[:20, :20] = np.nan
    return Topograph(FRAME, height, setpoint=Setpoint(-1.5, 0.2))


def suggested(n, mask=None, **settings):
    agent = make_agent("space-filling", patch=2.0, step=1.0, **settings)
    agent.observe(topograph())
    return agent, agent.suggest(n, mask=mask)


def free(**settings):
    """All candidates that are suggested when everything is asked for."""
    agent = make_agent("space-filling", patch=2.0, step=1.0, **settings)
    agent.observe(topograph())
    with pytest.raises(SettingsError, match=r"and (\d+) of 361") as refusal:
        agent.suggest(1000)
    return agent, int(str(refusal.value).split("and ")[1].split(" of")[0])


def test_no_candidate_lies_at_the_rim():
    agent, count = free()
    pixels = FRAME.to_pixel(agent.candidates)
    assert count == len(agent.candidates)
    assert pixels.min() >= 4.5 and pixels.max() <= 99 - 4.5


def test_dirt_and_holes_are_left_out_where_that_is_asked_for():
    agent, count = free(tallest=0.5)
    _, decisions = suggested(count, tallest=0.5)
    places = np.array([d.point for d in decisions])
    assert np.linalg.norm(places - DIRT, axis=1).min() > 1.0
    assert (FRAME.to_pixel(places).min(axis=1) >= 0).all()
    assert not (FRAME.to_pixel(places) < 15).all(axis=1).any()
    around = np.linalg.norm(agent.candidates - DIRT, axis=1) < 3
    assert 0 < around.sum() - (np.linalg.norm(places - DIRT, axis=1) < 3).sum() < around.sum()


def test_the_taller_dirt_may_be_the_less_is_left_out_and_holes_always_are():
    assert free(tallest=0.5)[1] < free(tallest=2.0)[1] < free()[1]


def test_masks_of_a_person_dirt_and_what_was_measured_add_up():
    agent, count = free(tallest=0.5)
    mask = agent.candidates[:, 0] > 5.0
    allowed = agent.suggest(1, mask=mask)[0]
    agent.ingest([Observation(allowed.point, Failed("clipped")), Observation(Point(*DIRT[0]), 1.0)])
    with pytest.raises(SettingsError, match="2 are measured, 1 pending, the others masked or dirty"):
        agent.suggest(count, pending=[agent.suggest(1, mask=mask)[0].point])
    assert agent.suggest(1, mask=mask)[0].point.x > 5.0


def test_a_failed_spectrum_may_be_taken_again_where_its_reason_says_so():
    agent, (decision,) = suggested(1)
    agent.ingest([Observation(decision.point, Failed("tip change", again=True))])
    only = np.arange(len(agent.candidates)) == decision.candidate
    assert agent.suggest(1, mask=only)[0].candidate == decision.candidate


def test_nothing_but_dirt_is_a_refusal():
    with pytest.raises(SettingsError, match="masked or dirty"):
        suggested(1, tallest=1e-6)
