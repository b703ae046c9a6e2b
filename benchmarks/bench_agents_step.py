"""Time and memory of one step (ingest, fit, suggest) of the default agent, beside the linear algebra that nobody is spared.

    OMP_NUM_THREADS=1 python benchmarks/bench_agents_step.py benchmarks/results/agents_step.md [SIDE ...]

The floor is what any exact Gaussian process has to do once: a Cholesky factor of n values, and mean and variance of all
candidates, with as many features as the agent has, in double precision. Times are CPU seconds of one thread, of 50 steps from
n = 200 to 250, in floors of the same process. "Refits" are steps in which a kernel was fitted again. Memory is the peak of a
process of its own less that before the image was taken in, in candidates x (features + n) numbers of double precision.
"""

from __future__ import annotations

import resource
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

FRAME = Frame.square((0.0, 0.0), 250.0, 512)
PIXEL = 250 / 512
SIDES = (48, 121, 256, 512)
"""Rows and columns of candidates; the last are all pixels."""

SPECTRA, FIRST = 250, 200


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


def steps(side: int) -> str:
    """A row of the table."""
    torch.set_num_threads(1)
    image = gaussian_filter(np.random.default_rng(0).standard_normal(FRAME.pixels), 8)
    _observed(image, 8, Point(0.0, 0.0))  # what is loaded at first use belongs to no step
    before, start = _peak(), time.process_time()
    agent = _observed(image, side, Point(0.0, 0.0))
    observed = time.process_time() - start
    seconds, refits = _timed(agent, _lessons(agent, image))
    used = _peak() - before
    count, features = len(agent.candidates), sum(group.shape[1] for group in agent._known.values())  # noqa: SLF001
    memory = used / (8 * count * (features + SPECTRA))
    least = floor(SPECTRA, count, features)
    middle, high, worst = np.array([np.median(seconds), np.quantile(seconds, 0.99), seconds.max()]) / least
    return (
        f"| {count} | {features} | {observed:.2f} | {least:.4f} | {middle:.2f} | {high:.1f} | {worst:.1f} "
        f"| {refits} of {len(seconds)} | {memory:.1f} |"
    )


def _observed(image: np.ndarray, side: int, center: Point) -> Any:
    """The agent, with a square of ``side`` rows and columns of candidates."""
    inside = FRAME if side == FRAME.pixels[0] else Frame(center, (0.92 * 250,) * 2, (side, side))
    agent = make_agent("dkl", seed=0, patch=30 * PIXEL, candidates=inside.points().reshape(-1, 2).tolist())
    agent.observe(Topograph(FRAME, image, setpoint=Setpoint(-1.5, 0.2)))
    return agent


def _lessons(agent: Any, image: np.ndarray) -> list[Observation]:
    rng = np.random.default_rng(1)
    places = agent.candidates[rng.permutation(len(agent.candidates))[:SPECTRA]]
    rows, columns = np.rint(FRAME.to_pixel(places)).astype(int).T
    values = np.sin(places[:, 0] / 30) + 20 * image[rows, columns] + 0.1 * rng.standard_normal(SPECTRA)
    return [Observation(Point(*p), float(v)) for p, v in zip(places, values, strict=True)]


def _timed(agent: Any, lessons: list[Observation]) -> tuple[np.ndarray, int]:
    """Seconds of each step beyond `FIRST`, and in how many a kernel was fitted again."""
    agent.ingest(lessons[:FIRST])
    agent.suggest()
    seconds, due = [], [agent._model.due]  # noqa: SLF001
    for lesson in lessons[FIRST:]:
        start = time.process_time()
        agent.ingest([lesson])
        agent.suggest()
        seconds.append(time.process_time() - start)
        due.append(agent._model.due)  # noqa: SLF001
    return np.array(seconds), sum(a != b for a, b in zip(due[1:], due[:-1], strict=True))


def _peak() -> int:
    """Largest resident memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def table(sides: list[int]) -> str:
    """One row for each number of candidates, each in a fresh process."""
    lines = [
        f"| candidates | features | image, s | floor at n = {SPECTRA}, s | median / floor | 99th percentile / floor "
        "| worst / floor | refits | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for side in sides:
        with get_context("spawn").Pool(1) as pool:
            lines.append(pool.apply(steps, (side,)))
        print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    chosen = [int(side) for side in sys.argv[2:]] or list(SIDES)
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(chosen)}\n")
