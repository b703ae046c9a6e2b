"""Two objectives: how much of the area that a whole grid covers is covered by what an agent measured?

    python benchmarks/bench_agents_pareto.py benchmarks/results/agents_pareto.md [SEEDS]

Scenes of ``agents_scenes.py`` that offer both scalars, in-gap states and conductance at 0.8 V. The area lies above the median
of each, in the truth without noise, relative to that of all 2304 places; twenty seed points, mean over seeds with its standard
error. The weighted sum is told the scale of both (their largest value above the median counts as one), the expected gain of the
hypervolume is not.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from agents_scenes import FIRST_SEED, SCALARS, SIDES, Scene, mean_of, simulated

from bluesky_stm.agents._hypervolume import hypervolume
from bluesky_stm.geometry import Floats
from bluesky_stm.protocols import Failed

OBJECTIVES = ("in-gap states", "conductance at 0.8 V")
SEED_POINTS = 20
LOOKS = (40, 80, 120)
AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "weighted sum, EI": ("dkl", {}),
    "expected hypervolume": ("pareto", {"objectives": [SCALARS[name] for name in OBJECTIVES]}),
}


def offering(side: float) -> Iterator[Scene]:
    """Scenes that offer both scalars."""
    every = (simulated(side, seed) for seed in itertools.count(FIRST_SEED))
    return (scene for scene in every if all(scene.offers(name) for name in OBJECTIVES))


def covered(label: str, scene: Scene) -> list[float]:
    """Share of the area at each of `LOOKS`."""
    truth = np.stack([scene.values[name][1] for name in OBJECTIVES], axis=1)
    middle = np.nanmedian(truth, axis=0)
    scale = np.nanmax(truth, axis=0) - middle
    name, settings = AGENTS[label]
    agent = scene.agent(name, seeds=SEED_POINTS, **settings)
    sums = [_sum(scene, place, scale) for place in range(len(scene.places))]
    *_, taken = scene.explored(agent, sums, LOOKS[-1])
    good = np.nan_to_num((truth - middle) / scale, nan=-1.0)
    return [hypervolume(good[taken[:n]], np.zeros(2)) / hypervolume(good, np.zeros(2)) for n in LOOKS]


def _sum(scene: Scene, place: int, scale: Floats) -> float | Failed:
    found = [scene.values[name][0][place] for name in OBJECTIVES]
    failed = [value for value in found if isinstance(value, Failed)]
    return failed[0] if failed else float(np.sum(np.array(found) / scale))


def table(seeds: int) -> str:
    """One row for each frame and agent."""
    lines = [f"| frame, nm | agent | seeds | {' | '.join(f'area @{n}' for n in LOOKS)} |", "|---" * (3 + len(LOOKS)) + "|"]
    for side in SIDES:
        scenes = list(islice(offering(side), seeds))
        for label in AGENTS:
            shares = np.transpose([covered(label, scene) for scene in scenes])
            lines.append(f"| {side:g} | {label} | {seeds} | {' | '.join(map(mean_of, shares))} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 5)}\n")
