"""Our agents drive the plans of bluesky-adaptive 1.x, as it is installed."""

import math

import numpy as np
import pytest
from bluesky import RunEngine
from ophyd.sim import SynAxis, SynSignal

from bluesky_stm.agents import as_optimizer, make_agent
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Failed


@pytest.fixture
def agent():
    agent = make_agent("gp-xy", seed=3, patch=2, step=1, seeds=5)
    frame = Frame.square((0, 0), 12, 24)
    agent.observe(Topograph(frame, np.random.default_rng(0).normal(size=frame.pixels), setpoint=Setpoint(-1.5, 0.2)))
    return agent


def hill(x, y):
    return math.exp(-((x - 2) ** 2 + (y + 1) ** 2) / 8)


def test_it_satisfies_the_protocols_of_the_installed_package(agent):
    protocols = pytest.importorskip("bluesky_adaptive.protocols", reason="bluesky-adaptive is not installed")
    for name in ("Optimizer", "TrialFaultAware", "SupportsStoppingCriteria", "Checkpointable"):
        assert isinstance(as_optimizer(agent), getattr(protocols, name))


def test_it_climbs_a_hill_under_optimize_in_run(agent):
    plans = pytest.importorskip("bluesky_adaptive.plans", reason="bluesky-adaptive is not installed")
    from bluesky_adaptive.protocols import OptimizationProblem

    x, y = SynAxis(name="stm_tip_x"), SynAxis(name="stm_tip_y")
    height = SynSignal(func=lambda: hill(x.position, y.position), name="height")
    optimizer = as_optimizer(agent, stop=lambda decisions: "thirty are enough" if len(decisions) >= 30 else None)
    measured = []

    def evaluate(uid, suggestions):
        values = [{"_id": s["_id"], "value": hill(s["stm_tip_x"], s["stm_tip_y"])} for s in suggestions]
        measured.extend(values)
        return values

    problem = OptimizationProblem(optimizer=optimizer, actuators=[x, y], sensors=[height], evaluation_function=evaluate)
    RunEngine(context_managers=[])(plans.optimize_in_run(problem, iterations=50))
    assert len(measured) == len(agent.observations) == 30
    ((_, place, outcome),) = optimizer.get_best_points()
    assert outcome["value"] > 0.9
    assert math.dist((place["stm_tip_x"], place["stm_tip_y"]), (2, -1)) < 1


def test_places_that_are_out_are_not_suggested_again(agent):
    optimizer = as_optimizer(agent)
    places = {(s["stm_tip_x"], s["stm_tip_y"]) for s in [*optimizer.suggest(3), *optimizer.suggest(3), *optimizer.suggest()]}
    assert len(places) == 7


def test_failed_trials_count_as_tried_and_carry_no_value(agent):
    optimizer = as_optimizer(agent)
    first, second = optimizer.suggest(2)
    optimizer.register_failures([first])
    optimizer.ingest([{"_id": second["_id"], "value": math.nan}])
    assert [type(o.value) for o in agent.observations] == [Failed, Failed]
    assert optimizer.get_best_points() == []


def test_others_measurements_are_learned_too(agent):
    optimizer = as_optimizer(agent)
    optimizer.ingest([{"stm_tip_x": 1.0, "stm_tip_y": 2.0, "value": 5.0}])
    assert agent.observations[0].point == (1.0, 2.0)
    assert optimizer.get_best_points()[0][1:] == ({"stm_tip_x": 1.0, "stm_tip_y": 2.0}, {"value": 5.0})
    with pytest.raises(SettingsError, match="neither"):
        optimizer.ingest([{"value": 5.0}])


def test_a_checkpoint_brings_everything_back(agent, tmp_path):
    optimizer = as_optimizer(agent, path=tmp_path / "state")
    for suggestion in optimizer.suggest(6):
        optimizer.ingest([{**suggestion, "value": hill(suggestion["stm_tip_x"], suggestion["stm_tip_y"])}])
    optimizer.checkpoint()
    later = as_optimizer(make_agent("gp-xy"), path=tmp_path / "state")
    later.restore()
    assert later.suggest() == optimizer.suggest()
    assert later.get_best_points() == optimizer.get_best_points()
    with pytest.raises(SettingsError, match="path="):
        as_optimizer(agent).checkpoint()
