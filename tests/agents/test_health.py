"""An agent says how far it can be trusted."""

import numpy as np
import pytest

from bluesky_stm.agents import _model, make_agent
from bluesky_stm.agents._health import coverage, warnings
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
    assert health.model == "kernel on xy" and health.warning == ""  # the picture is noise
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
