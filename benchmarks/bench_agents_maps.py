"""How few spectra draw the map? 23 places of greatest variance (1 %) against 230 at random (10 %), for the same agent.

    python benchmarks/bench_agents_maps.py benchmarks/results/agents_maps.md [SEEDS]

Scenes of ``agents_scenes.py`` that offer the scalar. R2 against the truth without noise, over the places not measured; "share"
is that of the 230 which the 23 reach, in scenes where the 230 reach more than 0.3 (so many). Means over scenes, with their
standard error; the last rows are over all frames and scalars.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from agents_scenes import SCALARS, SIDES, Scene, map_r2, mean_of, scenes

from bluesky_stm.geometry import Floats

FEW, MANY, SEED_POINTS, ENOUGH = 23, 230, 8, 0.3
AGENTS = {"gp-xy": ("gp-xy", {}), "net off": ("dkl", {"net": False}), "dkl": ("dkl", {})}


def both(label: str, scene: Scene, scalar: str) -> tuple[float, float]:
    """R2 of the map from few places of greatest variance, and from many at random."""
    measured, truth = scene.values[scalar]
    name, settings = AGENTS[label]
    agent = scene.agent(name, seeds=SEED_POINTS, acquisition="variance", **settings)
    *_, taken = scene.explored(agent, measured, FEW)
    few = map_r2(agent.posterior().mean, truth, taken)
    chosen = np.random.default_rng(scene.seed).permutation(len(scene.places))[:MANY].tolist()
    agent.observe(scene.topograph)
    agent.ingest([scene.observation(place, measured[place]) for place in chosen])
    return few, map_r2(agent.posterior().mean, truth, chosen)


def table(seeds: int) -> str:
    """One row for each frame, scalar and agent."""
    lines = [f"| frame, nm | scalar | agent | seeds | R2 @{FEW} | R2 @{MANY} | share |", "|---|---|---|---|---|---|---|"]
    every: dict[str, list[Floats]] = {label: [] for label in AGENTS}
    for side in SIDES:
        for scalar in SCALARS:
            for label in AGENTS:
                every[label].append(np.array([both(label, scene, scalar) for scene in scenes(side, scalar, seeds)]))
                lines.append(f"| {side:g} | {scalar} | {label} | {_row(every[label][-1])} |")
                print(lines[-1], flush=True)
    return "\n".join([*lines, *(f"| all | all | {label} | {_row(np.concatenate(found))} |" for label, found in every.items())])


def _row(found: Floats) -> str:
    clear = found[found[:, 1] > ENOUGH]
    share = f"{mean_of(clear[:, 0] / clear[:, 1])} ({len(clear)})" if len(clear) else ""
    return f"{len(found)} | {mean_of(found[:, 0])} | {mean_of(found[:, 1])} | {share}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 3)}\n")
