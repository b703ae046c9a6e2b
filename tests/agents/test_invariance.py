"""What must not matter: units, offset, tilt and turn of the image, unit of the value, order of the lessons."""

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

FRAME = Frame.square((0.0, 0.0), 20.0, 64)
NAMES = ["dkl", "gp-patch", "gp-xy"]
IMAGE = np.random.default_rng(3).standard_normal(FRAME.pixels).cumsum(0).cumsum(1)
TILT = 3.0 * np.indices(FRAME.pixels)[0] - 2.0 * np.indices(FRAME.pixels)[1]


def lessons(n=40):
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(-9, 10), np.arange(-9, 10)), axis=-1).reshape(-1, 2).astype(float)
    points = grid[rng.permutation(len(grid))]
    row, column = np.rint(FRAME.to_pixel(points)).astype(int).T
    values = np.sin(points[:, 0] / 4) + IMAGE[row, column] / IMAGE.std() + 0.1 * rng.standard_normal(len(points))
    return points, values, n


def predicted(name, image=IMAGE, unit=1.0, turn=False, order=None):
    """Means at the places not learned, the suggested place, turned back, and how far other places are behind it."""
    points, values, n = lessons()
    places = np.stack([-points[:, 1], points[:, 0]], axis=1) if turn else points
    agent = make_agent(name, seed=0, candidates=places.tolist(), patch=4.0, seeds=1)
    agent.observe(Topograph(FRAME, np.rot90(image, -1) if turn else image, Setpoint(-1.5, 0.2)))
    agent.ingest([Observation(Point(*places[i]), unit * values[i]) for i in (range(n) if order is None else order)])
    decision = agent.suggest()[0]
    return agent.posterior().mean[n:] / unit, decision.candidate, values[n:]


CHANGES = {
    "heights in m": {"image": 1e-9 * IMAGE},
    "heights a hundredfold": {"image": 100 * IMAGE},
    "offset": {"image": IMAGE + 1e4},
    "tilt": {"image": IMAGE + TILT},
    "value in another unit": {"unit": 1e-12},
    "turned by 90 degrees": {"turn": True},
    "another order": {"order": np.random.default_rng(5).permutation(40)},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_matter(name, change):
    mean, candidate, truth = predicted(name)
    other, same, _ = predicted(name, **CHANGES[change])

    def r2(prediction):
        return 1 - np.mean((truth - prediction) ** 2) / truth.var()

    assert abs(r2(mean) - r2(other)) < 0.01
    assert other == pytest.approx(mean, abs=0.02 * truth.std())
    assert same == candidate
