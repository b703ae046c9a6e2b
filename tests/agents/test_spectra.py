"""Whole spectra: reconstruction and novelty."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.agents._acquisition import expected_novelty
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Experience, Failed, Observation

FRAME = Frame.square((0.0, 0.0), 20.0, 48)
BIAS = np.linspace(-1.5, 1.5, 41)
RNG = np.random.default_rng(0)
PLACES = np.stack(np.meshgrid(np.arange(-9.0, 9.1), np.arange(-9.0, 9.1)), axis=-1).reshape(-1, 2)


def didv(point):
    """A gap whose upper edge drifts across the frame."""
    edge = 0.5 + 0.02 * point[0] + 0.1 * np.sin(point[1] / 4)
    return 4 * np.clip(BIAS - edge, 0, None) ** 2 + 4 * np.clip(-1.0 - BIAS, 0, None) ** 2


def lesson(point, curve=None, failed=False):
    curve = didv(point) + 0.01 * RNG.standard_normal(len(BIAS)) if curve is None else curve
    spectrum = Spectrum(
        position=Point(*point),
        bias=BIAS,
        current=np.cumsum(curve),
        lockin_x=curve,
        lockin_y=0 * curve,
        didv=curve,
        setpoint=Setpoint(-1.5, 0.2),
    )
    return Observation(Point(*point), Failed("no gap") if failed else float(curve.sum()), spectrum)


def agent_at(name="dkl", **settings):
    agent = make_agent(name, seed=0, candidates=PLACES.tolist(), patch=3.0, seeds=5, **settings)
    agent.observe(Topograph(FRAME, np.random.default_rng(1).standard_normal(FRAME.pixels), setpoint=Setpoint(-1.5, 0.2)))
    return agent


def test_spectra_that_were_not_measured_are_predicted_with_their_uncertainty():
    order = np.random.default_rng(2).permutation(len(PLACES))
    agent = agent_at()
    agent.ingest([lesson(PLACES[i]) for i in order[:40]])
    rest = PLACES[order[40:]]
    cube, truth = agent.reconstruct(rest), np.array([didv(p) for p in rest])
    nearest = PLACES[order[:40]][np.linalg.norm(rest[:, None] - PLACES[order[:40]], axis=-1).argmin(axis=1)]
    by_neighbour = np.array([didv(p) for p in nearest])
    assert np.mean((cube.didv - truth) ** 2) < 0.3 * np.mean((by_neighbour - truth) ** 2)
    noisy = truth + 0.01 * RNG.standard_normal(truth.shape)
    assert 0.8 < np.mean((cube.low <= noisy) & (noisy <= cube.high)) <= 1.0
    assert agent.reconstruct().didv.shape == (len(PLACES), len(BIAS))


def test_spectra_are_predicted_where_the_scalarizer_failed():
    agent = agent_at()
    agent.ingest([lesson(p, failed=True) for p in PLACES[::9]])
    assert np.isfinite(agent.reconstruct(PLACES[:3]).didv).all()


@pytest.mark.parametrize("name", ["dkl", "novelty", "pareto"])
def test_whole_spectra_of_earlier_runs_are_known_too(name):
    lessons = [lesson(p) for p in PLACES[::30]]
    heir, fresh = agent_at(name), agent_at(name)
    heir.observe(heir.topograph, [Experience(heir.topograph, lessons)])
    fresh.ingest(lessons)
    assert np.array_equal(heir.reconstruct(PLACES[:20]).didv, fresh.reconstruct(PLACES[:20]).didv)
    weighed = fresh.insight().acquisition
    left = np.isfinite(weighed)
    assert left.sum() > len(PLACES) / 2
    assert np.array_equal(heir.insight().acquisition[left], weighed[left])


@pytest.mark.parametrize("name", ["novelty", "pareto"])
def test_agents_that_need_no_value_know_spectra_of_earlier_runs_in_which_the_scalarizer_failed(name):
    """But for those that were taken back: nobody knows what these are of."""
    lessons = [lesson(p, failed=True) for p in PLACES[::30]]
    back = [replace(lesson(p), value=Failed("the tip has changed", again=True)) for p in PLACES[1::60]]
    heir, fresh = agent_at(name), agent_at(name)
    heir.observe(heir.topograph, [Experience(heir.topograph, [*lessons, *back])])
    fresh.ingest(lessons)
    weighed = fresh.insight().acquisition
    left = np.isfinite(weighed)
    assert left.sum() > len(PLACES) / 2
    assert np.array_equal(heir.insight().acquisition[left], weighed[left])


def test_a_checkpoint_keeps_the_spectra():
    agent, other = agent_at(), agent_at()
    agent.ingest([lesson(p) for p in PLACES[::30]])
    other.restore(agent.checkpoint())
    assert np.array_equal(other.reconstruct().didv, agent.reconstruct().didv)


def test_without_spectra_reconstruction_is_refused():
    agent = agent_at()
    agent.ingest([Observation(Point(*p), 1.0) for p in PLACES[:10]])
    with pytest.raises(SettingsError, match=r"5 whole ones on; this agent was given 0"):
        agent.reconstruct()


def test_expected_novelty_is_the_distance_to_what_is_known():
    known = np.array([[0.0, 0.0], [1.0, 0.0]])
    mean, std = np.array([[0.0, 3.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 2.0]])
    assert expected_novelty(mean, std, known, 1) == pytest.approx([3.0, 2.0])


@pytest.mark.parametrize("name", ["novelty", "pareto"])
def test_an_agent_that_weighs_in_its_own_way_takes_no_acquisition_function(name):
    with pytest.raises(SettingsError, match="acquisition: there is no such setting"):
        make_agent(name, acquisition="ei")


@pytest.mark.slow
def test_curiosity_finds_rare_spectra_sooner_than_chance():
    """A corner of the frame, one place in twenty, has a state in the gap."""
    odd = (PLACES[:, 0] > 5) & (PLACES[:, 1] > 5)

    def found(name, seed):
        agent = agent_at(name, net=False) if name == "novelty" else agent_at(name)
        agent.seed = seed
        for _ in range(25):
            decision = agent.suggest()[0]
            state = 1.5 * np.exp(-((BIAS + 0.3) ** 2) / 0.01) if odd[decision.candidate] else 0.0
            agent.ingest([lesson(decision.point, didv(decision.point) + state)])
        return sum(odd[agent._nearest(o.point)] for o in agent.observations)

    assert np.mean([found("novelty", s) for s in range(2)]) >= np.mean([found("random", s) for s in range(6)]) + 1
