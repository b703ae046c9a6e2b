"""Three scales down to one vacancy: how often the last frame holds one, by rule, at the same budget; chance beside it.

    python benchmarks/bench_plans_multiscale.py [--seeds 1-20 101-120] [--ways WAY ...]

writes ``results/plans_multiscale.*``, a row as soon as it is there; rows that the .json file holds are not computed again.
Half a minute of processor time a seed and way. The surface is the simulated EuZn2As2 on a good day, the target the smallest
gap, and a frame counts when the centre of a vacancy (a triangle, of either kind) lies inside of where the tip really was.
Settings of the plans were chosen on the seeds up to 100; those above are fresh.
"""

import argparse
import json
import time

import numpy as np
from made_by import made_by, rows_made_by
from plans_common import RESULTS, agents, carry_out, frame_of, write

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.plans import explore_multiscale
from bluesky_stm.settings import LengthScale

BUDGET = 115
"""Spectra a scale: 5 % of a grid of 48 x 48."""

CHOSEN_ON = 100
"""Up to here seeds have had a part in the choice of settings."""

FOUND = -1.1
"""Less the gap of a vacancy, in V, with room for noise: halfway between its 0.7 and the 1.5 of the terrace."""


SIZES = (
    {"name": "mesa", "frame": 200, "pixels": 512, "patch": 8, "step": 4, "seeds": 90, "run_up": 80},
    {"name": "terrace", "frame": 50, "patch": 3, "step": 1, "seeds": 60},
    {"name": "defect", "frame": 10, "patch": 1.2, "step": 0.2, "seeds": 20},
)
"""The wide frame has the pixels of the published one, and most of its spectra go to one kind of spot after another."""


def scales(child, agent="dkl", budgets=(BUDGET, BUDGET, BUDGET), sites="spots", inherit=False):
    found = {"scalarizer": {"name": "gap", "prefer": "small"}, "child": child}
    shared = {**found, "agent": agent, "sites": sites, "inherit": inherit}
    return [
        LengthScale(**{**size, "seeds": min(size["seeds"], budget)}, budget=budget, **shared)
        for size, budget in zip(SIZES, budgets, strict=True)
    ]


TREE = {"children": 4, "step_back": {"name": "below-value", "value": FOUND, "spectra": 5}, "budget": 3 * BUDGET}
WAYS = {
    "spots, confident": (scales("confident"), {}),
    "spots, confident, inherited": (scales("confident", inherit=True), {}),
    "spots, expected maximum": (scales("posterior"), {}),
    "spots, largest sum (paper)": (scales("largest-sum"), {}),
    "raster, largest sum (paper)": (scales("largest-sum", sites="raster"), {}),
    "random places, largest sum": (scales("largest-sum", agent="random", sites="raster"), {}),
    "tree, spots, confident": (scales("confident", budgets=(100, 60, 30)), TREE),
}


def vacancies(controller, center, side):
    """Number of vacancies in a square of the sample."""
    found = controller.surface.defects(center - side / 2, center + side / 2)
    return sum("triangle" in defect.species for defect in found)


def make_agents(seed):
    """As `agents`; what stays on the raster begins nowhere, as published."""
    make = agents(seed)
    return lambda scale: make(scale if scale.sites == "spots" else scale.changed(begin=()))


def once(seed, way):
    controller = SimulatedController(seed=seed, profile="good_day")
    the_scales, options = WAYS[way]
    began = time.process_time()
    runs = carry_out(controller, lambda stm: explore_multiscale(stm, the_scales, make_agents(seed), **options))
    last = [run for run in runs if run["start"]["length_scale"]["name"] == "defect"]
    best = max(last, key=lambda run: np.nanmax([run["events"]["agent"][-1]["agent_best"], -99]))
    center, side = frame_of(best["events"]["topograph"][0])
    return {
        "seed": seed,
        "way": way,
        "holds": vacancies(controller, center + best["off"]["topograph"][0], side) > 0,
        "runs": [run["start"]["length_scale"]["name"] for run in runs],
        "frames": [[*frame_of(run["events"]["topograph"][0])[0]] for run in runs if run["events"]["topograph"]],
        "held": [
            vacancies(controller, frame_of(run["events"]["topograph"][0])[0] + run["off"]["topograph"][0],
                      frame_of(run["events"]["topograph"][0])[1])
            for run in runs if run["events"]["topograph"]
        ],
        "best": [run["events"]["agent"][-1]["agent_best"] for run in runs],
        "spectra": sum(len(run["events"]["primary"]) for run in runs),
        "hours": controller.now() / 3600,
        "seconds": time.process_time() - began,
    }  # fmt: skip


def chance(seeds, frames=2000):
    """Share of frames of 10 nm, anywhere in the first frame, that hold a vacancy."""
    held = []
    for seed in seeds:
        controller = SimulatedController(seed=seed)
        places = np.array([(d.x, d.y) for d in controller.surface.defects((-100, -100), (100, 100)) if "triangle" in d.species])
        centers = np.random.default_rng(seed).uniform(-95, 95, (frames, 2))
        near = np.abs(centers[:, None] - places.reshape(-1, 2)[None]).max(axis=2) < 5
        held.append(near.any(axis=1).mean())
    return float(np.mean(held))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="*", default=["1-20"])
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    asked = parser.parse_args()
    store = RESULTS / "plans_multiscale.json"
    rows = json.loads(store.read_text()) if store.is_file() else []
    done = {(row["seed"], row["way"]) for row in rows}
    for way in asked.ways:
        for seed in spread(asked.seeds):
            if (seed, way) not in done:
                rows.append(once(seed, way) | {"made_by": made_by()})
                print(rows[-1], flush=True)
                write("plans_multiscale", table(rows), rows)


def spread(ranges):
    """Seeds of ranges such as ``1-20``."""
    for one in ranges:
        first, _, last = one.partition("-")
        yield from range(int(first), int(last or first) + 1)


def table(rows):
    lines = [
        "Three scales (200, 50, 10 nm), good_day, smallest gap, at most 115 spectra a scale. Chance: that of a frame of 10 nm.",
        rows_made_by(rows),
        "",
        "| way | seeds | last frame holds a vacancy | 50 nm frame does | by chance | spectra | simulated h | missed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way in WAYS:
        for which, fresh in (("1 to 20", False), ("fresh", True)):
            if mine := [row for row in rows if row["way"] == way and (row["seed"] > CHOSEN_ON) == fresh]:
                lines.append(line(way, which, sorted(mine, key=lambda row: row["seed"])))
    return lines


def line(way, which, rows):
    holds, middle = sum(r["holds"] for r in rows), sum(r["held"][1] > 0 for r in rows)
    spectra, hours = (np.mean([r[key] for r in rows]) for key in ("spectra", "hours"))
    missed = ", ".join(str(r["seed"]) for r in rows if not r["holds"])
    return (
        f"| {way} | {which} | {holds} of {len(rows)} | {middle} of {len(rows)} | {chance([r['seed'] for r in rows]):.1%} "
        f"| {spectra:.0f} | {hours:.1f} | {missed} |"
    )


if __name__ == "__main__":
    main()
