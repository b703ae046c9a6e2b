"""Is the promise of the stop rule ``promise`` kept, and what does it save? Fresh surfaces, small and cheap.

    python benchmarks/bench_agents_promise.py [--scenes N] [--first SEED] [--dense N]

Each scene of ``bluesky_stm.pretrain.scene`` at seeds far from those of the training has its own surface, species, state of the
instrument and frame of 8 to 250 nm, with 256 places; it counts for a scalar as in the arena. The default agent measures 80 of
them, values with white noise. A run is the same up to where a rule ends it: each is made once, and the rule is asked at every
decision with each allowance, a share of how far the best value stands out of the median of the map. "Dense" are frames of the
arena, of 250, 50 and 10 nm, with 2304 places and the noise of the simulated instrument, of which 120 are measured.

"Kept" is the share of the promises made (before the budget is spent) that hold in truth, with its 95 % interval (Wilson): at
most one in a hundred of the places left is better than the place of the best value by more than the allowance. "Nothing better"
is the share in which not one place is. "Saved" is the share of the budget over all runs, those without a promise included. Of
regret, (best - found) / (best - median), and of the same to the 99 % quantile of the places, the mean difference to the
whole budget is given, with its 95 % interval.

Once more on other scenes (192 runs, seeds from 8,500,000 on, commit 0076555), and there with other expected shares of places
that are better; the rule takes 0.001. "Nothing better" can be had as often as 85 % only for nearly all that is saved:

| expected share | allowance | promises | kept | nothing better | saved | regret at the stop less that at the end |
|---|---|---|---|---|---|---|
| 0.001 | 0.05 | 114 | 0.921 | 0.781 | 0.26 | +0.016 |
| 0.001 | 0.1 | 130 | 0.923 | 0.800 | 0.31 | +0.018 |
| 0.001 | 0.2 | 140 | 0.914 | 0.757 | 0.37 | +0.041 |
| 0.0001 | 0.05 | 47 | 0.957 | 0.851 | 0.07 | +0.005 |
| 0.0001 | 0.1 | 58 | 0.914 | 0.845 | 0.10 | +0.011 |
| 0.0001 | 0.2 | 93 | 0.946 | 0.849 | 0.18 | +0.013 |
| 0.00001 | 0.1 | 18 | 0.944 | 0.889 | 0.03 | +0.000 |
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from agents_scenes import SCALARS, SIDES, STANDS_OUT, VALUED, numbers, scenes
from agents_scenes import Scene as Dense
from bench_agents_depth import _spectrum as spectrum
from made_by import made_by, rows_made_by

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.plans import NothingBetterLeft, RunState
from bluesky_stm.pretrain import Scene, scene
from bluesky_stm.protocols import Agent, Observation
from bluesky_stm.scalarizers import make_scalarizer

ROWS = Path(__file__).parent / "results" / "agents_promise.json"
FIRST_SEED, NOISE, MAPS_EVERY = 8_100_000, 0.01, 10
BUDGETS = {"fresh": 80, "dense": 120}
RULES = [NothingBetterLeft(share=share) for share in (0.05, 0.1, 0.2)]
FEW = 0.01
"""Share of the places left that the promise leaves out."""


def problems(first: int, scenes: int) -> Iterator[tuple[Scene, int, str, list[Any], Floats]]:
    """Scenes with their seed, a scalar that they offer, its measured values and the true ones."""
    for seed in range(first, first + scenes):
        one, rng = scene(seed), np.random.default_rng(seed)
        noisy = one.didv + NOISE * rng.standard_normal(one.didv.shape)
        for name, of in SCALARS.items():
            measured, clean = ([_value(of, *both) for both in zip(one.places, didv, strict=True)] for didv in (noisy, one.didv))
            error = numbers(measured) - (truth := numbers(clean))
            if np.isfinite(error).mean() >= VALUED:
                noise = 1.4826 * np.nanmedian(np.abs(error - np.nanmedian(error)))
                if np.nanmax(truth) - np.nanmedian(truth) > STANDS_OUT * noise:
                    yield one, seed, name, measured, truth


def dense(count: int) -> Iterator[tuple[Dense, int, str, list[Any], Floats]]:
    """The same of the frames of the arena, of each side and scalar."""
    for side in SIDES:
        for scalar in SCALARS:
            for one in scenes(side, scalar, count):
                yield one, one.seed, scalar, *one.values[scalar]


def _value(scalar: Mapping[str, Any], place: Floats, didv: Floats) -> Any:
    return make_scalarizer(scalar)(spectrum(place, didv))


class Run:
    """One run with the whole budget, of which each rule sees what a plan would show it."""

    def __init__(self, one: Scene | Dense, seed: int, measured: list[Any], truth: Floats, budget: int) -> None:
        self.truth, self.measured, self.taken = truth, measured, list[int]()
        self.stops: dict[float, tuple[int, float]] = {}
        agent = make_agent("dkl", seed=seed, candidates=one.places.tolist(), patch=one.patch)
        agent.observe(one.topograph)
        state = RunState()
        for taken in range(budget):
            if taken and taken % MAPS_EVERY == 0:
                posterior = agent.posterior()
                state.maps.append((posterior.mean, posterior.std))
            self._ask(agent, state)
            place = state.decisions[-1].candidate
            self.taken.append(place)
            agent.ingest([Observation(Point(*one.places[place]), measured[place])])

    def _ask(self, agent: Agent, state: RunState) -> None:
        best = max((v for v in numbers(self.measured)[self.taken] if np.isfinite(v)), default=np.nan)
        state.decided(agent.suggest()[0], float(best), 0.0)
        for rule in RULES:
            if rule.share not in self.stops and rule(state):
                self.stops[rule.share] = len(self.taken), rule.allowed(state)

    def judged(self, taken: int, allowed: float = 0.0) -> dict[str, float]:
        """Return what is true after so many spectra: places left that are better by more, and regret to best and quantile."""
        known = self.taken[:taken]
        found = self.truth[known[int(np.nanargmax(numbers(self.measured)[known]))]]
        left = np.delete(self.truth, known)
        best, high, middle = (float(q) for q in np.nanquantile(self.truth, [1.0, 1 - FEW, 0.5]))
        regrets = {"regret": (best - found) / (best - middle), "rank": max(high - found, 0.0) / (best - middle)}
        return {
            "better": int(np.sum(left > found + allowed)),
            "left": len(left),
            **{k: round(v, 5) for k, v in regrets.items()},
        }


def played(kind: str, one: Scene | Dense, seed: int, scalar: str, measured: list[Any], truth: Floats) -> dict[str, Any]:
    """Return the row of one run: what is true where each rule ended it, and at the end of the budget."""
    run = Run(one, seed, measured, truth, BUDGETS[kind])
    stops = {str(share): {"taken": taken, **run.judged(taken, by)} for share, (taken, by) in run.stops.items()}
    side = round(float(one.topograph.frame.size[0]), 1)
    row = {"kind": kind, "seed": seed, "scalar": scalar, "side": side, "stops": stops, "end": run.judged(BUDGETS[kind])}
    return {**row, "made_by": made_by()}


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page."""
    head = "| allowance | scenes | runs | promises | kept | nothing better | saved | regret at the stop, at the end "
    head += "| difference | to the 99 % quantile, difference |"
    lines = [head, "|---" * 10 + "|"]
    for kind, budget in BUDGETS.items():
        own = [row for row in rows if row["kind"] == kind]
        for of, group in (("", own), *((f"; {name}", [r for r in own if r["scalar"] == name]) for name in SCALARS)):
            lines += [_line(rule.share, kind + of, group, budget) for rule in RULES if group]
    return "\n\n".join([(__doc__ or "").rstrip(), rows_made_by(rows), "\n".join(lines)]) + "\n"


def _line(share: float, of: str, rows: list[dict[str, Any]], budget: int) -> str:
    made = [row["stops"][str(share)] for row in rows if str(share) in row["stops"]]
    ends = [row["stops"].get(str(share), {"taken": budget, **row["end"]}) for row in rows]
    kept = _wilson(sum(stop["better"] <= FEW * stop["left"] for stop in made), len(made))
    nothing = _wilson(sum(stop["better"] == 0 for stop in made), len(made))
    regret, final = (np.array([at["regret"] for at in some]) for some in (ends, [row["end"] for row in rows]))
    ranks = np.array([at["rank"] - row["end"]["rank"] for at, row in zip(ends, rows, strict=True)])
    saved = 1 - np.mean([at["taken"] for at in ends]) / budget
    cells = [f"{share:g}", of, len(rows), len(made), kept, nothing, f"{saved:.2f}", f"{regret.mean():.3f}, {final.mean():.3f}"]
    return f"| {' | '.join(map(str, [*cells, _interval(regret - final), _interval(ranks)]))} |"


def _wilson(hits: int, count: int) -> str:
    """Return a share with its 95 % interval."""
    if not count:
        return ""
    share, z = hits / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return f"{share:.3f} ({middle - half:.3f} to {middle + half:.3f})"


def _interval(gain: Floats) -> str:
    return f"{gain.mean():+.3f} ± {1.96 * gain.std(ddof=1) / np.sqrt(len(gain)):.3f}" if len(gain) > 1 else ""


def main() -> None:
    """Play what is missing, and write rows and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=160, help="0 only writes the page")
    parser.add_argument("--dense", type=int, default=6, help="frames of the arena of each side and scalar")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first scene")
    parser.add_argument("--rows", type=Path, default=ROWS, help="file of the rows; the page lies beside it")
    asked = parser.parse_args()
    rows = json.loads(asked.rows.read_text()) if asked.rows.is_file() else []
    done = {(row["kind"], row["seed"], row["scalar"]) for row in rows}
    every = {"fresh": problems(asked.first, asked.scenes), "dense": dense(asked.dense)}
    for kind, one, seed, scalar, measured, truth in ((kind, *problem) for kind, some in every.items() for problem in some):
        if (kind, seed, scalar) not in done:
            rows.append(row := played(kind, one, seed, scalar, measured, truth))
            stops = {share: (stop["taken"], stop["better"]) for share, stop in row["stops"].items()}
            print(kind, seed, scalar, row["side"], stops, flush=True)
            asked.rows.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    asked.rows.with_suffix(".md").write_text(page(rows))


if __name__ == "__main__":
    main()
