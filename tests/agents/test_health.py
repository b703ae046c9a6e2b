"""An agent says how far it can be trusted."""

import numpy as np
import pytest

from bluesky_stm.agents import _model, make_agent
from bluesky_stm.agents._health import CHOSEN, ahead, coverage, warnings
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Failed, Observation

GRID = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), axis=-1).reshape(-1, 2)
SPREAD = GRID[::41]


def test_nothing_is_said_when_all_is_well():
    assert warnings(0.4, 0.9, 40, SPREAD, GRID, reasons=["clipped"]) == ""


def test_each_trap_is_named():
    assert "stuck" in warnings(0.4, 0.9, 40, np.tile([[3.0, 3.0]], (10, 1)), GRID, [])
    rim = np.stack([np.zeros(10), np.linspace(1, 18, 10)], axis=1)
    assert "100% of the last 10 places lie on the rim" in warnings(0.4, 0.9, 40, rim, GRID, [])
    assert "worse than a constant" in warnings(1.3, 0.9, 40, SPREAD, GRID, [])
    assert "too narrow" in warnings(0.4, 0.5, 40, SPREAD, GRID, [])
    assert "8 of the last 10 spectra have no value" in warnings(0.4, 0.9, 40, SPREAD, GRID, [""] * 2 + ["clipped"] * 8)


def test_nine_of_ten_normal_residuals_lie_in_the_interval():
    residual = np.random.default_rng(0).standard_normal(20_000)
    assert coverage(residual, np.ones(20_000)) == pytest.approx(0.9, abs=0.01)


def test_predictions_of_chosen_places_that_hold_are_not_warned_of():
    inside, off, warned = ahead(np.random.default_rng(0).standard_normal(CHOSEN))
    assert inside >= 0.75 and abs(off) < 0.6 and warned == []
    assert np.isnan(ahead(np.zeros(CHOSEN - 1))[0])  # too few to judge


def test_predictions_of_chosen_places_that_fail_are_warned_of():
    missed = np.tile([2.0, -2.0, 0.0, 0.1], CHOSEN)  # half of them outside, none on average
    assert ahead(missed)[2] == ["predictions of chosen places fail (10 of the last 20 values lie in their 90 % interval)"]
    assert ahead(np.full(CHOSEN, -1.0)) == (
        1.0,
        -1.0,
        ["chosen places give less than predicted (by 1.00 sd, mean of the last 20)"],
    )
    assert ahead(np.concatenate([np.full(50, 9.0), np.zeros(CHOSEN)]))[2] == []  # what was long ago is forgotten


def test_an_agent_that_is_disappointed_by_its_choices_says_so():
    rng = np.random.default_rng(5)
    frame = Frame.square((9.5, 9.5), 20.0, 40)
    agent = make_agent("gp-xy", candidates=GRID.tolist(), patch=3.0, seeds=20)
    agent.observe(Topograph(frame, np.zeros(frame.pixels), setpoint=Setpoint(-1.5, 0.2)))
    smooth = [p for p in rng.permutation(GRID[GRID[:, 0] < 10])[:60]]
    agent.ingest([Observation(Point(*p), float(np.sin(p[0] / 4) + 0.01 * rng.standard_normal())) for p in smooth])
    assert "chosen places" not in agent.suggest()[0].health.warning
    rough = [p for p in rng.permutation(GRID[GRID[:, 0] >= 10])[:20]]
    agent.ingest([Observation(Point(*p), float(8 * rng.standard_normal() ** 3)) for p in rough])
    health = agent.suggest()[0].health
    assert health.ahead < 0.7 and "predictions of chosen places fail" in health.warning


def learned(value, n=40, name="dkl"):
    frame = Frame.square((9.5, 9.5), 20.0, 40)
    agent = make_agent(name, seed=0, candidates=GRID.tolist(), patch=3.0, seeds=5)
    agent.observe(Topograph(frame, np.random.default_rng(0).standard_normal(frame.pixels), setpoint=Setpoint(-1.5, 0.2)))
    places = np.random.default_rng(1).permutation(GRID)[:n]
    agent.ingest([Observation(Point(*p), value(p, i)) for i, p in enumerate(places)])
    return agent.suggest()[0].health


def test_health_of_a_smooth_property_is_good_and_its_noise_known():
    noise = 0.3 * np.random.default_rng(2).standard_normal(40)
    health = learned(lambda p, i: 5 * np.sin(p[0] / 5) + noise[i])
    assert health.model != "constant" and health.warning == ""
    assert health.error < 0.5
    assert 0.75 < health.coverage <= 1
    assert health.noise == pytest.approx(0.3, rel=0.6)
    assert 1 < health.length < 60
    assert 0 < health.depth < 1


def test_depth_is_zero_without_a_net():
    assert learned(lambda p, i: p[0], name="gp-xy").depth == 0


@pytest.mark.parametrize(("bad", "depth"), [("deep", False), ("picture", True)])
def test_a_kernel_whose_fit_is_bad_is_left_out_and_that_is_said(bad, depth, monkeypatch):
    takes = {"deep": "'deep kernel'", "picture": "'kernel, net off'"}
    sound = _model._sound

    def judged(process):
        kind = "deep" if "deep" in process.fit.kernel.groups else "picture" if len(process.fit.kernel.groups) > 1 else "xy"
        return kind != bad and sound(process)

    monkeypatch.setattr(_model, "_sound", judged)
    health = learned(lambda p, i: 5 * np.sin(p[0] / 5))
    assert health.warning == f"{takes[bad]} is left out, its fit is bad"
    assert (health.depth > 0) == depth


def test_failed_spectra_are_counted():
    health = learned(lambda p, i: Failed("clipped") if i > 32 else p[0])
    assert "7 of the last 10 spectra have no value" in health.warning


def test_nothing_but_failures_are_told_with_their_reason_from_the_seed_points_on():
    agent = make_agent("random", candidates=[list(place) for place in GRID[:40].tolist()], seeds=20)
    agent.observe(Topograph(Frame.square((10, 10), 25, 25), np.zeros((25, 25)), setpoint=Setpoint(-1.0, 0.1)))
    for place in GRID[:6]:
        agent.ingest([Observation(Point(*place), Failed("too narrow; 5 mV"))])
    assert agent.suggest()[0].health.warning == "none of 6 spectra has a value, mostly because: too narrow, 5 mV"
    agent.ingest([Observation(Point(*GRID[6]), 1.0)])
    assert agent.suggest()[0].health.warning == "6 of the last 10 spectra have no value"


def test_without_values_it_fills_space_and_says_why():
    health = learned(lambda p, i: Failed("clipped"))
    assert health.model == "space filling" and "fewer than three" in health.warning


def flat(values, taken, **settings):
    """An agent on position alone that has measured ``taken`` of the places of a picture that shows nothing."""
    frame = Frame.square((9.5, 9.5), 20.0, 40)
    agent = make_agent("gp-xy", candidates=GRID.tolist(), patch=3.0, seeds=5, **settings)
    agent.observe(Topograph(frame, np.zeros(frame.pixels), setpoint=Setpoint(-1.5, 0.2)))
    agent.ingest([Observation(Point(*GRID[i]), float(values[i])) for i in taken])
    return agent


def test_what_is_left_is_what_one_in_a_thousand_of_the_places_left_is_expected_to_exceed():
    """Counted in draws of the mixture at each place, which are not those of the code: it adds up probabilities."""
    rng = np.random.default_rng(4)
    agent = flat(np.sin(GRID[:, 0] / 3) + 0.2 * rng.standard_normal(400), rng.permutation(400)[:30])
    left, model, free = agent.suggest()[0].health.left, agent._updated(), ~agent._measured
    mixture = model.process
    which = rng.choice(len(mixture.weights) + 1, 40_000, p=[*mixture.weights, mixture.constant])
    means = np.vstack([*(p.mean for p in mixture.processes), np.zeros(400)])[:, free]
    spread = np.sqrt(np.vstack([*(p.variance for p in mixture.processes), np.full(400, 1 - mixture.noise)]))[:, free]
    ends = model.warp(model.warp.back(np.array([model.best])) + left)
    above = [
        np.mean(m[which] + s[which] * rng.standard_normal(len(which)) > ends) for m, s in zip(means.T, spread.T, strict=True)
    ]
    assert left > 0
    assert np.mean(above) == pytest.approx(0.001, rel=0.1)


def test_nothing_is_left_where_the_hill_is_known_and_much_where_little_is():
    hill = np.exp(-((GRID - 9.5) ** 2).sum(axis=1) / 50)
    known = flat(hill, np.random.default_rng(0).permutation(400)[:200]).suggest()[0].health
    unknown = flat(hill, np.flatnonzero(GRID[:, 0] < 4)[:40]).suggest()[0].health
    assert known.left < 0.05 < 0.3 < unknown.left


def test_a_promise_is_kept_as_often_as_it_says_where_the_model_is_right():
    """Surfaces drawn from a Gaussian process of fixed length: 90 % of 60 promises hold; fewer than 46 once in 1,500 times."""
    rng, kept = np.random.default_rng(8), 0
    apart = ((GRID[:, None] - GRID[None]) ** 2).sum(axis=-1)
    root = np.linalg.cholesky(np.exp(-apart / 2 / 3.0**2) + 1e-6 * np.eye(400))
    for _ in range(60):
        values = root @ rng.standard_normal(400)
        taken = [*rng.permutation(400)[:40]]
        agent = flat(values, taken)
        decision = agent.suggest()[0]
        rest = np.delete(values, taken)
        kept += np.mean(rest > values[taken].max() + decision.health.left) <= 0.01
    assert kept >= 46


def test_nothing_is_promised_where_large_values_are_not_sought():
    values = np.sin(GRID[:, 0] / 3)
    assert np.isnan(flat(values, range(0, 400, 13), acquisition="variance").suggest()[0].health.left)
    assert np.isnan(flat(values, [3, 200]).suggest()[0].health.left)  # no fit yet


def test_nothing_is_promised_of_values_that_no_place_explains():
    rng = np.random.default_rng(6)
    health = flat(rng.standard_normal(400), rng.permutation(400)[:60]).suggest()[0].health
    assert health.model == "constant" and np.isnan(health.left)
