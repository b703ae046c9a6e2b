"""Time of one step (ingest, fit, suggest) of the default agent, as a multiple of the linear-algebra floor in the same process.

    OMP_NUM_THREADS=1 python benchmarks/bench_agents_step.py benchmarks/results/agents_step.md

The floor is what any exact Gaussian process has to do once: a Cholesky factor of n values, and mean and variance of all
candidates, with as many features as the agent has, in double precision. Times are CPU seconds of one thread.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

FRAME = Frame.square((0.0, 0.0), 250.0, 512)
PIXEL = 250 / 512
CASES = {"2304": 10, "16,000": 4, "65,000": 2}
"""Distance between candidates, in pixels; the window is 30 pixels wide."""

SPECTRA, FIRST = 250, 200
FEATURES = 27
"""Of the agent: x, y, three windows of eight components, the height."""


def floor(n: int, candidates: int, features: int) -> float:
    """CPU seconds: the best of three."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, features, dtype=torch.float64, generator=generator)
    c = torch.randn(candidates, features, dtype=torch.float64, generator=generator)
    y = torch.randn(n, 1, dtype=torch.float64, generator=generator)

    def once() -> float:
        start = time.process_time()
        factor = torch.linalg.cholesky(_matern(x, x) + 0.1 * torch.eye(n, dtype=torch.float64))
        rows = torch.linalg.solve_triangular(factor, _matern(x, c), upper=False)
        _ = torch.linalg.solve_triangular(factor, y, upper=False).T @ rows, (rows * rows).sum(0)
        return time.process_time() - start

    return min(once() for _ in range(3))


def _matern(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    r = torch.cdist(a, b).mul_(5**0.5 / a.shape[1] ** 0.5)
    return (1 + r + r * r / 3) * torch.exp(-r)


def steps(step: int) -> tuple[int, int, float, np.ndarray]:
    """Candidates, features, seconds to take in the image, and seconds of each step from `FIRST` to `SPECTRA`."""
    rng = np.random.default_rng(0)
    image = gaussian_filter(rng.standard_normal(FRAME.pixels), 8)
    agent = make_agent("dkl", seed=0, patch=30 * PIXEL, step=step * PIXEL)
    start = time.process_time()
    agent.observe(Topograph(FRAME, image, Setpoint(-1.5, 0.2)))
    observed = time.process_time() - start
    places = agent.candidates[rng.permutation(len(agent.candidates))[:SPECTRA]]
    rows, columns = np.rint(FRAME.to_pixel(places)).astype(int).T
    values = np.sin(places[:, 0] / 30) + 20 * image[rows, columns] + 0.1 * rng.standard_normal(SPECTRA)
    lessons = [Observation(Point(*p), float(v)) for p, v in zip(places, values, strict=True)]
    agent.ingest(lessons[:FIRST])
    agent.suggest()
    return len(agent.candidates), FEATURES, observed, _timed(agent, lessons)


def _timed(agent, lessons) -> np.ndarray:
    seconds = []
    for lesson in lessons[FIRST:]:
        start = time.process_time()
        agent.ingest([lesson])
        agent.suggest()
        seconds.append(time.process_time() - start)
    return np.array(seconds)


def table() -> str:
    """One row for each number of candidates."""
    lines = [
        f"| candidates | features | image, s | floor at n = {SPECTRA}, s | median step, s | 99th percentile, s | worst, s "
        "| median / floor | worst / floor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for step in CASES.values():
        count, features, observed, seconds = steps(step)
        least = floor(SPECTRA, count, features)
        middle, high, worst = np.median(seconds), np.quantile(seconds, 0.99), seconds.max()
        lines.append(
            f"| {count} | {features} | {observed:.2f} | {least:.4f} | {middle:.4f} | {high:.3f} | {worst:.3f} "
            f"| {middle / least:.2f} | {worst / least:.1f} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table()}\n")
