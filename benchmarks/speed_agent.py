"""What a step of the default agent costs: measures of `bench_speed`, run in an environment of either build."""

import time

import numpy as np
import torch
from bench_speed import report
from scipy.ndimage import gaussian_filter

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

FRAME = Frame.square((0.0, 0.0), 250.0, 256)
SIDE = 48
"""Rows and columns of candidates."""


def lessons(agent, image, count):
    """Return noisy observations of a value that follows place and image."""
    rng = np.random.default_rng(1)
    places = agent.candidates[rng.permutation(len(agent.candidates))[:count]]
    rows, columns = np.rint(FRAME.to_pixel(places)).astype(int).T
    values = np.sin(places[:, 0] / 30) + 20 * image[rows, columns] + 0.1 * rng.standard_normal(count)
    return [Observation(Point(*p), float(v)) for p, v in zip(places, values, strict=True)]


def timed(first, more):
    """Return processor times of ``more`` steps from ``first`` values on: of all, and of those without and with a refit."""
    image = gaussian_filter(np.random.default_rng(0).standard_normal(FRAME.pixels), 4)
    places = Frame(Point(0.0, 0.0), (230.0, 230.0), (SIDE, SIDE)).points().reshape(-1, 2).tolist()
    agent = make_agent("dkl", seed=0, patch=15.0, candidates=places)
    agent.observe(Topograph(FRAME, image, setpoint=Setpoint(-1.5, 0.2)))
    told = lessons(agent, image, first + more)
    agent.ingest(told[:first])
    agent.suggest()
    seconds, due = [], [agent._model.due]  # noqa: SLF001
    for one in told[first:]:
        begun = time.process_time()
        agent.ingest([one])
        agent.suggest()
        seconds.append(time.process_time() - begun)
        due.append(agent._model.due)  # noqa: SLF001
    again = np.array([a != b for a, b in zip(due[1:], due[:-1], strict=True)])
    return np.array(seconds), again


def exact(count):
    """Return the processor time of an exact Gaussian process from nothing: factor, and mean and variance of all candidates."""
    generator = torch.Generator().manual_seed(0)
    x, c = (torch.randn(n, 4, dtype=torch.float64, generator=generator) for n in (count, SIDE**2))
    y = torch.randn(count, 1, dtype=torch.float64, generator=generator)

    def matern(a, b):
        r = torch.cdist(a, b).mul_(5**0.5 / 2)
        return (1 + r + r * r / 3) * torch.exp(-r)

    taken = []
    for _ in range(3):
        begun = time.process_time()
        factor = torch.linalg.cholesky(matern(x, x) + 0.1 * torch.eye(count, dtype=torch.float64))
        rows = torch.linalg.solve_triangular(factor, matern(x, c), upper=False)
        _ = torch.linalg.solve_triangular(factor, y, upper=False).T @ rows, (rows * rows).sum(0)
        taken.append(time.process_time() - begun)
    return min(taken)


def steps():
    """Processor time of a step at 25, 50 and 1000 values, and of an exact Gaussian process with 1000, in s."""
    torch.set_num_threads(1)
    late, again = timed(1000, 4)
    return {
        # The mean, as a refit comes at some steps only.
        "agent step, n = 25": float(np.mean(timed(20, 10)[0])),
        "agent step, n = 50": float(np.mean(timed(45, 10)[0])),
        "quiet agent step, n = 1000": float(np.median(late[~again])),
        "exact GP, n = 1000": exact(1000),
    }


if __name__ == "__main__":
    report(steps)
