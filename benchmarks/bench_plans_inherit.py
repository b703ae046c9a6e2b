"""What is the parent's run worth to the agent of a child frame, at a microscope that drifts, creeps and has hysteresis?

    python benchmarks/bench_plans_inherit.py benchmarks/results/plans_inherit.md [SEEDS]

`explore_multiscale` with the length scales of a session goes down in search of the smallest gap, on surfaces that no training
has seen. Then the first spectra of each child's run are taught from its documents twice: alone, and with the run of its parent,
which the overview places. R2 of the predicted map against the truth without noise, below -1 counted as -1, where the tip really
was; differences with their standard error over frames. Frames that were not found again inherit nothing and are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from agents_scenes import FIRST_SEED, SCALARS, SIDE, SWEEP, map_r2, numbers, values
from bluesky import RunEngine

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM
from bluesky_stm.documents import Document
from bluesky_stm.errors import TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.plans import explore_multiscale
from bluesky_stm.pretrain import varied
from bluesky_stm.runs import experience, rebuild_agent
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.session import SCALES, make_agent_device
from bluesky_stm.storage import Run
from bluesky_stm.surface import EuZn2As2, Surface
from bluesky_stm.teaching import found_from, teach

SCALAR = SCALARS["smallest gap"]
FIRST = (5, 10, 20, 40)
"""Spectra of the child's own."""


def descended(seed: int) -> tuple[SimulatedController, list[tuple[Run, np.ndarray]]]:
    """The runs of one descent, and by how much the tip was off where it was asked to be during each topograph, in nm."""
    rng = np.random.default_rng(seed)
    controller = SimulatedController(Surface(varied(EuZn2As2().build(), SCALES[0].frame, rng), seed), seed=seed)
    runs: list[list[Document]] = []
    off: dict[int, np.ndarray] = {}

    def keep(name: str, doc: Mapping) -> None:
        if name == "start":
            runs.append([])
        elif name == "event" and "stm_scanner_topograph" in doc["data"] and "overview_x" not in doc["data"]:
            off[len(runs) - 1] = controller._junction.piezo.displacement(controller.now())  # noqa: SLF001 - the truth
        runs[-1].append((name, dict(doc)))

    scales = [scale.changed(scalarizer=SCALAR, inherit=False) for scale in SCALES]
    frame = Frame.square(rng.uniform(-500, 500, 2).tolist(), scales[0].frame, scales[0].pixels)
    stm = STM(controller=controller, name="stm")
    try:
        plan = explore_multiscale(stm, scales, lambda scale: make_agent_device(scale, controller, seed), frame=frame)
        RunEngine(context_managers=[])(plan, keep)
    except TipCrashError:
        runs.pop()
    finally:
        stm.worker.close()
    return controller, [(Run(run), off[number]) for number, run in enumerate(runs)]


def compared(controller: SimulatedController, parent: Run, child: Run, off: np.ndarray) -> tuple[int, np.ndarray]:
    """Spectra of the parent in the frame of its child, and R2 (`FIRST`, 2): alone, and inheriting."""
    told = {parent.uid: experience(parent, make_scalarizer(SCALAR))}
    frame = child.topograph.frame
    inside = Frame(frame.center, (0.92 * frame.size[0], 0.92 * frame.size[1]), (SIDE, SIDE), frame.angle)
    there = controller.truth_grid(replace(inside, center=Point(*(np.asarray(frame.center) + off).tolist())), SWEEP)
    truth, places = numbers(values(there, SCALAR)), inside.points().reshape(-1, 2)
    scores = np.empty((len(FIRST), 2))
    for row, count in enumerate(FIRST):
        for column, prior in enumerate(({}, told)):
            agent = rebuild_agent(child.start)
            teach(agent, first(child, count), prior=prior)
            scores[row, column] = map_r2(agent.posterior(places).mean, truth, [])
    return len(agent.checkpoint()["inherited"]), scores


def first(run: Run, count: int) -> Iterator[Document]:
    """The documents of a run up to its spectrum number ``count``."""
    names = {}
    for name, doc in run.documents():
        if name == "descriptor":
            names[doc["uid"]] = doc["name"]
        if name == "event" and names[doc["descriptor"]] == "primary":
            count -= 1
        if count < 0:
            return
        yield name, doc


def rows(seed: int) -> Iterator[tuple[float, int, np.ndarray]]:
    """For each child that was found again: side of its frame, and what `compared` says."""
    controller, runs = descended(seed)
    for (parent, _), (child, off) in pairwise(runs):
        (overview,) = child.events("overview")
        if found_from(overview["data"]) is not None:
            yield child.topograph.frame.size[0], *compared(controller, parent, child, off)


def table(seeds: int) -> str:
    """One row for each frame and number of spectra."""
    found: dict[float, list[tuple[int, np.ndarray]]] = {scale.frame: [] for scale in SCALES[1:]}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        with np.errstate(over="ignore", invalid="ignore"):
            for side, told, r2 in rows(seed):
                found[side].append((told, r2))
                print(seed, side, told, r2.round(2).tolist(), flush=True)
    lines = [
        "| frame, nm | frames | spectra of the parent | own | R2 alone | R2 inheriting | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for side, known in found.items():
        told, r2 = (np.array(part) for part in zip(*known, strict=True))
        for row, count in enumerate(FIRST):
            alone, heir = r2[:, row].T
            gain, error = (heir - alone).mean(), (heir - alone).std() / max(len(known) - 1, 1) ** 0.5
            about = f"| {side:g} | {len(known)} | {told.mean():.0f} | {count} "
            lines.append(f"{about}| {alone.mean():.2f} | {heir.mean():.2f} | {gain:+.2f} ± {error:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 8)}\n")
