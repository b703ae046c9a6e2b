"""The agent of the published runs says how far to trust it, and finds a way out where its fit does not."""

import numpy as np
import pytest
import torch

from bluesky_stm.agents import PublishedDKL
from bluesky_stm.agents._published import EmbeddedProcess
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

FRAME = Frame.square((0.0, 0.0), 20.0, 40)


def decided(height):
    return taught(height).suggest()[0]


def taught(height, count=25):
    agent = PublishedDKL(patch=3.0, step=1.0, seeds=5, steps=20).build(seed=1)
    agent.observe(Topograph(FRAME, height, setpoint=Setpoint(-1.5, 0.2)))
    places = np.random.default_rng(1).permutation(agent.candidates)[:count]
    agent.ingest([Observation(Point(*p), float(2 + np.sin(p[0] / 3))) for p in places])
    return agent


def rough():
    return np.random.default_rng(0).standard_normal(FRAME.pixels).cumsum(0)


def test_leaving_one_out_is_what_the_process_predicts_without_it():
    rng = np.random.default_rng(0)
    windows, values = torch.as_tensor(rng.standard_normal((12, 9))), torch.as_tensor(rng.uniform(size=12))
    process = EmbeddedProcess(windows, values, torch.Generator().manual_seed(0))
    process.fit(20)
    residual, std = process.leave_one_out()
    rest = torch.arange(12) != 4
    process.set_train_data(windows[rest], values[rest], strict=False)
    mean, spread = process.predict(windows[4:5])
    sd = float(values.std(correction=0))
    assert residual[4] * sd == pytest.approx(float(values[4]) - mean[0], abs=1e-6)
    assert std[4] * sd == pytest.approx(spread[0], rel=1e-6)


def test_its_health_has_all_that_the_others_report():
    health = decided(rough()).health
    assert np.isfinite([health.error, health.coverage, health.noise]).all() and 0 <= health.coverage <= 1
    assert health.depth == 1.0 and health.device == "cpu"


def test_of_a_constant_image_its_net_makes_one_point_and_that_is_said():
    assert "all candidates look alike to the net" in decided(np.full(FRAME.pixels, 3.0)).health.warning


@pytest.mark.parametrize("fault", [RuntimeError("not positive definite"), torch.linalg.LinAlgError("not positive definite")])
def test_where_the_fit_fails_it_fills_space_and_says_so(fault, monkeypatch):
    def failing(*args):
        raise fault

    monkeypatch.setattr(EmbeddedProcess, "fit", failing)
    decision = decided(rough())
    assert decision.why == "space filling" and "the fit failed (not positive definite)" in decision.health.warning


@pytest.mark.parametrize("step", ["fit", "predict"])
def test_where_the_fit_fails_its_map_is_empty_and_no_exception(step, monkeypatch):
    def failing(*args):
        raise torch.linalg.LinAlgError("not positive definite")

    agent = taught(rough())
    assert np.isfinite(agent.posterior().mean).all() and np.isfinite(agent.insight().features).all()
    monkeypatch.setattr(EmbeddedProcess, step, failing)
    agent.ingest([Observation(Point(0.0, 0.0), 2.5)])
    assert np.isnan([agent.posterior().mean, agent.posterior().std]).all()
    assert np.isnan(agent.insight().acquisition).all()
    assert "the fit failed (not positive definite)" in agent.suggest()[0].health.warning


def test_a_prediction_that_is_no_number_is_never_followed(monkeypatch):
    monkeypatch.setattr(EmbeddedProcess, "predict", lambda self, windows: (np.full(len(windows), np.nan),) * 2)
    decision = decided(rough())
    assert decision.why == "space filling" and "no candidate has a finite acquisition" in decision.health.warning


def test_too_few_values_are_said():
    agent = PublishedDKL(patch=3.0, step=1.0, seeds=1).build()
    agent.observe(Topograph(FRAME, rough(), setpoint=Setpoint(-1.5, 0.2)))
    agent.ingest([Observation(Point(0.0, 0.0), 1.0)])
    assert "fewer than three spectra have a positive value" in agent.suggest()[0].health.warning


def test_beyond_800_values_it_is_as_exact_and_as_repeatable_as_before():
    """gpytorch would go over to conjugate gradients and draw random vectors from torch's global generator."""
    rng = np.random.default_rng(3)
    windows, values = torch.as_tensor(rng.normal(size=(801, 4))), torch.as_tensor(rng.uniform(size=801))
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        process = EmbeddedProcess(windows, values, torch.Generator().manual_seed(0))
        process.fit(1)
        losses.append(process.predict(windows[:5]))
    for one, other in zip(*losses, strict=True):
        np.testing.assert_array_equal(one, other)
