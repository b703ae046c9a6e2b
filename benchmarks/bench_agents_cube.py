"""Reconstruct the dI/dV cube of a simulated grid from 5 % of its spectra.

    python benchmarks/bench_agents_cube.py benchmarks/results/agents_cube.md [SEEDS]

48 x 48 spectra in frames of 250, 50 and 10 nm (scenes of ``bench_agents_loop.py``), 115 of them at random measured on a good
day. The error is the root mean square of asinh(dI/dV / 0.05 nS) against the truth without noise, relative to predicting the
mean spectrum everywhere; "cover" is the share of the spectra as measured, noise included, inside the 90 % interval.
Kriging each energy over x and y is represented by the same components over (x, y) alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from bench_agents_loop import FIRST_SEED, SIDES, scene

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Grid, Topograph
from bluesky_stm.protocols import Failed, Observation

SHARE = 0.05
AGENTS = {"xy-kriging": ("gp-xy", {}), "net off": ("dkl", {"net": False}), "dkl": ("dkl", {})}


def errors(side: float, seed: int) -> dict[str, tuple[float, float]]:
    """Error and coverage of each way to predict, for one scene."""
    topograph, noisy, clean = scene(side, seed)
    places = noisy.frame.points().reshape(-1, 2)
    measured, truth = (grid.didv.reshape(len(places), -1) for grid in (noisy, clean))
    order = np.random.default_rng(seed).permutation(len(places))
    known, rest = np.split(order, [round(SHARE * len(places))])
    scale = _rms(np.arcsinh(truth[rest] / 0.05) - np.arcsinh(measured[known] / 0.05).mean(axis=0))
    nearest = known[np.linalg.norm(places[rest, None] - places[known], axis=-1).argmin(axis=1)]
    found = {"nearest neighbour": (_rms(np.arcsinh(truth[rest] / 0.05) - np.arcsinh(measured[nearest] / 0.05)) / scale, np.nan)}
    for label, (name, settings) in AGENTS.items():
        cube = _taught(name, settings, side, topograph, noisy, known).reconstruct(places[rest])
        error = _rms(np.arcsinh(truth[rest] / 0.05) - np.arcsinh(cube.didv / 0.05)) / scale
        found[label] = error, float(np.mean((cube.low <= measured[rest]) & (measured[rest] <= cube.high)))
    return found


def _taught(name: str, settings: dict, side: float, topograph: Topograph, grid: Grid, known: np.ndarray):
    places = grid.frame.points().reshape(-1, 2)
    agent = make_agent(name, seed=0, candidates=places.tolist(), patch=30 / 512 * side, **settings)
    agent.observe(topograph)
    pixels = [divmod(int(i), grid.frame.pixels[1]) for i in known]
    agent.ingest(
        [Observation(Point(*places[i]), Failed("not asked"), grid.spectrum(*p)) for i, p in zip(known, pixels, strict=True)]
    )
    return agent


def _rms(difference: Floats) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def table(seeds: int) -> str:
    """One row for each frame and way to predict."""
    lines = ["| frame, nm | from 5 % | seeds | error | cover |", "|---|---|---|---|---|"]
    for side in SIDES:
        every = [errors(side, seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
        for label in every[0]:
            error, cover = np.mean([found[label] for found in every], axis=0)
            lines.append(f"| {side:g} | {label} | {seeds} | {error:.3f} | {cover:.3f} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 5)}\n")
