"""Kernels that may contradict each other, and what their disagreement means."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

FRAME = Frame.square((0.0, 0.0), 20.0, 64)
IMAGE = gaussian_filter(np.random.default_rng(3).standard_normal(FRAME.pixels), 2)
PLACES = np.stack(np.meshgrid(np.arange(-9.0, 9.1), np.arange(-9.0, 9.1)), axis=-1).reshape(-1, 2)
PICTURE = map_coordinates(IMAGE, FRAME.to_pixel(PLACES).T, order=1) / IMAGE.std()
ORDER = np.random.default_rng(1).permutation(len(PLACES))


def learned(values, n=60, noise=0.05):
    """An agent that knows ``n`` of the values, and the indices of the others."""
    noisy = values + noise * np.random.default_rng(2).standard_normal(len(values))
    agent = make_agent("dkl", candidates=PLACES.tolist(), patch=3.0, seeds=5)
    agent.observe(Topograph(FRAME, IMAGE, setpoint=Setpoint(-1.5, 0.2)))
    agent.ingest([Observation(Point(*PLACES[i]), float(noisy[i])) for i in ORDER[:n]])
    return agent, ORDER[n:]


@pytest.mark.parametrize("values", [np.sin(PLACES[:, 0] / 4), PICTURE], ids=["position", "picture"])
def test_whichever_kernel_is_right_is_heard(values):
    agent, rest = learned(values)
    error = np.mean((agent.posterior(PLACES[rest]).mean - values[rest]) ** 2) / values[rest].var()
    assert error < 0.3
    if values is PICTURE:
        assert agent.suggest()[0].health.model != "kernel on xy"


def test_disagreement_adds_to_the_uncertainty():
    agent, rest = learned(np.sin(PLACES[:, 0] / 4), n=12, noise=0.3)
    mixture = agent._updated().process
    means, variances = (np.array(x) for x in zip(*((p.mean, p.variance) for p in mixture.processes), strict=True))
    # The constant: mean 0, and of its variance of 1 what is not noise.
    weights = np.array([*mixture.weights, mixture.constant])
    means = np.vstack([means, np.zeros_like(means[0])])
    variances = np.vstack([variances, np.full_like(variances[0], 1 - mixture.noise)])
    assert len(weights) > 2
    rng = np.random.default_rng(0)
    which, at = rng.choice(len(weights), 400_000, p=weights), int(rest[0])
    samples = means[which, at] + np.sqrt(variances[which, at]) * rng.standard_normal(len(which))
    assert float(mixture.mean[at]) == pytest.approx(samples.mean(), abs=0.01)
    assert float(mixture.variance[at]) == pytest.approx(samples.var(), rel=0.02)
    assert float(mixture.variance[at]) >= weights @ variances[:, at]
