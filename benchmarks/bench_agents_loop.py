"""Closed loop on dense simulated maps: 20 seed points, then 100 spectra of the agent's choice.

    python benchmarks/bench_agents_loop.py benchmarks/results/agents_loop.md [SEEDS]

48 x 48 candidates in frames of 250, 50 and 10 nm of surfaces that no training has seen (other seeds, other species), measured
on a good day; what counts is the truth without noise. Regret is (best place - best place measured) / (best - median); "found"
is the share of the best 1 % of places; R2 is that of the map over places not measured, for the agent as named and at the end
for one that seeks variance instead. Means over seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Grid, Topograph
from bluesky_stm.pretrain import varied
from bluesky_stm.protocols import Agent, Failed, Observation, SweepSettings
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.surface import SAMPLES, Surface

SIDES = (250.0, 50.0, 10.0)
SIDE = 48
SWEEP = SweepSettings(-1.5, 1.5, 61)
SCALARS = {
    "smallest gap": {"name": "gap", "prefer": "small", "least": 1e-3},
    "conductance at 0.8 V": {"name": "conductance", "bias": 0.8},
}
AGENTS = {
    "random": ("random", {}),
    "gp-xy": ("gp-xy", {}),
    "net off": ("dkl", {"net": False}),
    "dkl": ("dkl", {}),
    "dkl, variance": ("dkl", {"acquisition": "variance"}),
}
FIRST_SEED, SEED_POINTS, BUDGET = 2_000_000, 20, 120
LOOKS = (40, 80, 120)


def scene(side: float, seed: int) -> tuple[Topograph, Grid, Grid]:
    """Topograph of a frame, and its grid as measured and in truth."""
    rng = np.random.default_rng(seed)
    surface = Surface(varied(SAMPLES["EuZn2As2"], side, rng), seed)
    controller = SimulatedController(surface, seed=seed, profile="good_day")
    center = Point(*rng.uniform(-500, 500, 2))
    inside = Frame(center, (0.92 * side, 0.92 * side), (SIDE, SIDE))
    topograph = controller.scan(Frame.square(center, side, 256))
    return topograph, controller.grid(inside, SWEEP), controller.truth_grid(inside, SWEEP)


def values(grid: Grid, scalar: dict) -> list[float | Failed]:
    """One for each place, row by row."""
    scalarizer = make_scalarizer(scalar)
    return [scalarizer(grid.spectrum(*pixel)) for pixel in np.ndindex(grid.frame.pixels)]


def run(agent: Agent, topograph: Topograph, places: Floats, measured: list[float | Failed]) -> list[int]:
    """Indices of the places in the order measured."""
    agent.observe(topograph)
    taken: list[int] = []
    while len(taken) < BUDGET:
        taken.append(agent.suggest()[0].candidate)
        agent.ingest([Observation(Point(*places[taken[-1]]), measured[taken[-1]])])
    return taken


def scores(agent: Agent, taken: list[int], truth: Floats) -> list[float]:
    """Regret and share of the best found at each of `LOOKS`, and R2 of the map at the end."""
    top = np.flatnonzero(truth >= np.nanquantile(truth, 0.99))
    best, middle = np.nanmax(truth), np.nanmedian(truth)
    found = []
    for n in LOOKS:
        seen = np.array(taken[:n])
        found += [(best - np.nanmax(truth[seen])) / (best - middle), np.isin(top, seen).mean()]
    rest = np.setdiff1d(np.flatnonzero(np.isfinite(truth)), taken)
    mean = agent.posterior().mean[rest]
    return [*found, 1 - np.mean((truth[rest] - mean) ** 2) / truth[rest].var()]


def table(seeds: int) -> str:
    """One row for each frame, scalar and agent."""
    looks = " | ".join(f"regret @{n} | found @{n}" for n in LOOKS)
    lines = [f"| frame, nm | scalar | agent | seeds | {looks} | map R2 @{BUDGET} |", "|---" * (5 + 2 * len(LOOKS)) + "|"]
    for side in SIDES:
        results: dict[tuple[str, str], list[list[float]]] = {}
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            topograph, noisy, clean = scene(side, seed)
            places = noisy.frame.points().reshape(-1, 2)
            for scalar, choice in SCALARS.items():
                measured = values(noisy, choice)
                truth = np.array([np.nan if isinstance(v, Failed) else v for v in values(clean, choice)])
                for label, (name, settings) in AGENTS.items():
                    agent = make_agent(
                        name, seed=seed, candidates=places.tolist(), patch=30 / 512 * side, seeds=SEED_POINTS, **settings
                    )
                    taken = run(agent, topograph, places, measured)
                    results.setdefault((scalar, label), []).append(scores(agent, taken, truth))
        for (scalar, label), found in results.items():
            cells = " | ".join(f"{x:.2f}" for x in np.mean(found, axis=0))
            lines.append(f"| {side:g} | {scalar} | {label} | {seeds} | {cells} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 5)}\n")
