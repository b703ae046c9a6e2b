"""What does each acquisition function find with the same model, and how far does the tip travel for it?

    python benchmarks/bench_agents_acquisition.py benchmarks/results/agents_acquisition.md [SEEDS]

Scenes of ``agents_scenes.py`` and the agent ``gp-xy``, which is cheap: 20 seed points, then 60 spectra of its choice. Regret is
(best place - best place measured) / (best - median) in truth, "found" the share of the best 1 % of places, "error" the root
mean square error of the map over places not measured, in standard deviations of the truth, "travel" the way of the tip after
the seed points; means over seeds, with their standard errors. ``target`` asks for the best 1 % by their true value, which no
user knows. ``variance`` does not seek the maximum: it is for the map.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from agents_scenes import Scene, mean_of, scenes
from made_by import made_by

from bluesky_stm.parts import acquisition_functions

SEED_POINTS, BUDGET = 20, 80
SCENES = ((50.0, "conductance at 0.8 V"), (10.0, "in-gap states"))


def explored(scene: Scene, scalar: str, name: str) -> tuple[float, float, float, float]:
    """Regret, share found, error of the map, and travel in nm."""
    measured, truth = scene.values[scalar]
    high = float(np.nanquantile(truth, 0.99))
    choice = {"name": name, "low": high} if name == "target" else name
    agent = scene.agent("gp-xy", seeds=SEED_POINTS, acquisition=choice)
    *_, taken = scene.explored(agent, measured, BUDGET)
    best, middle = np.nanmax(truth), np.nanmedian(truth)
    rest = np.setdiff1d(np.flatnonzero(np.isfinite(truth)), taken)
    error = np.sqrt(np.mean((agent.posterior().mean[rest] - truth[rest]) ** 2)) / np.nanstd(truth)
    travel = np.hypot(*np.diff(scene.places[taken[SEED_POINTS - 1 :]], axis=0).T).sum()
    found = np.isin(np.flatnonzero(truth >= high), taken).mean()
    return (best - np.nanmax(truth[taken])) / (best - middle), found, error, travel


def table(seeds: int) -> str:
    """One row for each frame and acquisition function."""
    lines = ["| frame | scalar | acquisition function | seeds | regret | found | error | travel, nm |", "|---" * 8 + "|"]
    for side, scalar in SCENES:
        found = scenes(side, scalar, seeds)
        for name in acquisition_functions.names:
            columns = np.transpose([explored(scene, scalar, name) for scene in found])
            lines.append(f"| {side:g} nm | {scalar} | {name} | {seeds} | {' | '.join(map(mean_of, columns))} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    rows = table(int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    Path(sys.argv[1]).write_text(f"{__doc__}\nAll rows were made by {made_by()}.\n\n{rows}\n")
