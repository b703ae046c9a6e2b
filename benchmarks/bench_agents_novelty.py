"""How soon are all kinds of spectra seen?

    python benchmarks/bench_agents_novelty.py benchmarks/results/agents_novelty.md [SEEDS]

Scenes of ``agents_scenes.py``, spectra up to 1.3 V. The kinds of a scene are twelve of its spectra without noise, each the one
farthest from those before, the first the most ordinary; every place is of the kind it is nearest to. Counted is the share of
the kinds among the spectra measured, ten of them seed points; mean over seeds, with its standard error.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from agents_scenes import FIRST_SEED, SIDES, Scene, mean_of, simulated, up_to

KINDS, HIGHEST, SEED_POINTS = 12, 1.3, 10
LOOKS = (20, 40, 60)
SCALAR = "in-gap states"
AGENTS = {"random": ("random", {}), "EI": ("dkl", {}), "novelty": ("novelty", {})}


def kinds(scene: Scene) -> np.ndarray:
    """Number of the kind at each place."""
    curves = np.arcsinh(scene.truth.didv.reshape(len(scene.places), -1) / 0.05)
    first = int(np.argmin(np.linalg.norm(curves - np.median(curves, axis=0), axis=1)))
    apart = [np.linalg.norm(curves - curves[first], axis=1)]
    while len(apart) < KINDS:
        apart.append(np.linalg.norm(curves - curves[int(np.argmax(np.min(apart, axis=0)))], axis=1))
    return np.argmin(apart, axis=0)


def found(label: str, scene: Scene) -> list[float]:
    """Share of the kinds at each of `LOOKS`."""
    scene = replace(scene, measured=up_to(scene.measured, HIGHEST), truth=up_to(scene.truth, HIGHEST))
    name, settings = AGENTS[label]
    agent = scene.agent(name, seeds=SEED_POINTS, **settings)
    *_, taken = scene.explored(agent, scene.values[SCALAR][0], LOOKS[-1])
    kind = kinds(scene)
    return [len(set(kind[taken[:n]])) / KINDS for n in LOOKS]


def table(seeds: int) -> str:
    """One row for each frame and agent."""
    lines = [f"| frame, nm | agent | seeds | {' | '.join(f'kinds @{n}' for n in LOOKS)} |", "|---" * (3 + len(LOOKS)) + "|"]
    for side in SIDES:
        for label in AGENTS:
            shares = np.transpose([found(label, simulated(side, seed)) for seed in range(FIRST_SEED, FIRST_SEED + seeds)])
            lines.append(f"| {side:g} | {label} | {seeds} | {' | '.join(map(mean_of, shares))} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 5)}\n")
