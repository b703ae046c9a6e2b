"""What is a parent scale worth to its child? Descents of 200, 50 and 10 nm on surfaces that no training has seen.

    python benchmarks/bench_agents_prior.py benchmarks/results/agents_prior.md [SEEDS]

The default agent explores each frame with 60 spectra in search of the smallest gap; the next one lies around the best place
found. There it learns 20 spectra at random, three times, and predicts the map: alone; with as many more random ones as the
parent measured in this frame ("its spectra"); with these spectra of the parent's, as ``observe(topograph, prior)`` takes them;
and on top of the parent's mean, learning what is left. R2 against the truth without noise, below -1 counted as -1; differences
to the agent alone with the standard error over frames.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from agents_scenes import FIRST_SEED, SCALARS, SIDE, SWEEP, Scene, map_r2, numbers, scene_of

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.errors import TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.pretrain import varied
from bluesky_stm.protocols import Agent, Experience, Observation
from bluesky_stm.surface import EuZn2As2, Surface

SIDES = (200.0, 50.0, 10.0)
SCALAR = "smallest gap"
EXPLORED, LEARNED, DRAWS = 60, 20, 3
WAYS = ("alone", "as many more", "spectra of the parent", "mean of the parent")


def descent(seed: int) -> dict[float, tuple[int, np.ndarray]]:
    """For each child frame, the number of spectra of its parent inside, and R2 in each of `WAYS`."""
    rng = np.random.default_rng(seed)
    surface = Surface(varied(EuZn2As2().build(), SIDES[0], rng), seed)
    controller = SimulatedController(surface, seed=seed, profile="good_day")
    center, found, parent = Point(*rng.uniform(-500, 500, 2)), {}, None
    for side in SIDES:
        scene = _measured(controller, center, side, seed)
        if parent:
            found[side] = _compared(scene, parent)
        parent = scene.agent("dkl")
        *_, taken = scene.explored(parent, scene.values[SCALAR][0], EXPLORED)
        values = numbers(scene.values[SCALAR][0])[taken]
        if not np.isfinite(values).any():
            break
        center = Point(*scene.places[taken[int(np.nanargmax(values))]])
    return found


def _measured(controller: SimulatedController, center: Point, side: float, seed: int) -> Scene:
    inside = Frame(center, (0.92 * side, 0.92 * side), (SIDE, SIDE))
    topograph = controller.scan(Frame.square(center, side, 256))
    grids = controller.grid(inside, SWEEP), controller.truth_grid(inside, SWEEP)
    return scene_of(f"{side:g} nm", seed, topograph, *grids, {SCALAR: SCALARS[SCALAR]})


def _compared(scene: Scene, parent: Agent) -> tuple[int, np.ndarray]:
    measured, truth = scene.values[SCALAR]
    told = Experience(parent.topograph, parent.observations)
    inside = [o for o in told.observations if scene.topograph.frame.contains(o.point) and o.has_value]
    whole = np.flatnonzero(np.isfinite(numbers(measured)))
    base = parent.posterior(scene.places).mean
    every = []
    for draw in range(DRAWS):
        known = np.random.default_rng(draw).permutation(whole)[: LEARNED + len(inside)]
        lessons = [scene.observation(int(i), measured[i]) for i in known]
        left = [Observation(o.point, o.value - base[i]) for i, o in zip(known, lessons, strict=True)]
        maps = (
            _map(scene, lessons[:LEARNED]),
            _map(scene, lessons),
            _map(scene, lessons[:LEARNED], told),
            base + _map(scene, left[:LEARNED]),
        )
        every.append([map_r2(one, truth, known.tolist()) for one in maps])
    return len(inside), np.mean(every, axis=0)


def _map(scene: Scene, lessons: list[Observation], *prior: Experience) -> np.ndarray:
    agent = scene.agent("dkl")
    agent.observe(scene.topograph, prior)
    agent.ingest(lessons)
    return agent.posterior().mean


def table(seeds: int) -> str:
    """One row for each frame and way."""
    found: dict[float, list[tuple[int, np.ndarray]]] = {side: [] for side in SIDES[1:]}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        with suppress(TipCrashError), np.errstate(over="ignore", invalid="ignore"):
            for side, one in descent(seed).items():
                found[side].append(one)
                print(seed, side, one[0], one[1].round(2), flush=True)
    lines = ["| frame, nm | frames | its spectra | learned | R2 | R2 - alone |", "|---|---|---|---|---|---|"]
    for side, rows in found.items():
        r2 = np.array([scores for _, scores in rows])
        for way, column, gain in zip(WAYS, r2.T, (r2 - r2[:, :1]).T, strict=True):
            error = gain.std() / max(len(gain) - 1, 1) ** 0.5
            count = np.mean([n for n, _ in rows])
            lines.append(
                f"| {side:g} | {len(rows)} | {count:.0f} | {way} | {column.mean():.2f} | {gain.mean():+.2f} ± {error:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 8)}\n")
