"""The arena: who finds the best places, and who draws the truest map, in the same hours on the same hidden surfaces?

    python benchmarks/arena.py [--seeds N] [--entries NAME ...] [--frames NAME ...] [--profile NAME] [--rows FILE]

Surfaces are those of ``agents_scenes.py`` (frames of 250, 50 and 10 nm, as measured in the state of the instrument that
``--profile`` names), a grid recorded on a real microscope, the two published runs (the places that were measured there), and
"fresh" ones: small scenes of ``bluesky_stm.pretrain.scene``, each with its own species, instrument and frame, 256 places and
white noise, which are cheap enough for many seeds (``--frames fresh --seeds 40``).
Everybody gets the same 20 first places, and then chooses until the hours are spent: sweeps, what a microscope does around them,
and the way of the tip between them. Entries (`arena_entries`): our agents, and scikit-learn's forest, BoTorch, gpCAM and gpax
where they are installed. Rows that the file holds are not played again; each notes code, weights and seed.

What counts is the truth without noise (of recorded data: what was measured). Regret is (best - best measured) / (best -
median); "found" the share of the best 1 % of places. "Map" is 1 - (mean square error at the places not measured) / (variance
of the whole surface): 1 is perfect, 0 no better than a constant, and the yardstick stays while the best places are measured.
"Left" divides by the variance of what is left instead, which shrinks as an agent takes the large values away: it asks for the
finer structure of what nobody went for. Both are cut off at -1. "Cover" is the share of these places in their 90 % interval,
"ahead" that of the readings at chosen places, predicted before and measured after. "CPU" is seconds a step.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from agents_scenes import DATA, DAY, RECORDED_SCALARS, SCALARS, SIDES, SWEEP, Scene, numbers, recorded, scenes
from arena_entries import FIRST, FOREIGN, OURS, Prediction, entered, missing
from bench_agents_promise import problems as fresh_problems
from made_by import made_by, rows_made_by

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers.base import SPEED
from bluesky_stm.files import read_hf5
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.protocols import Observation

ROWS = Path(__file__).parent / "results" / "arena.json"
HOURS = {"250 nm": 0.16, "50 nm": 0.12, "10 nm": 0.10, "recorded": 0.12, "published": 0.16, "fresh": 0.05}
"""Time to be spent in a frame: about 120 spectra after the first ones, half as many in a fresh one."""
FRESH_SEED = 8_300_000
HANDLING = 1.0
"""What a spectrum takes beside its sweep, in s: feedback off, bias to its start and back, feedback on."""
LOOKS = (23, 60, 115)
"""Numbers of spectra at which the map is judged, beside the end."""
WORSE = 0.05
"""Loss of R2 from an earlier look to the end that counts as a map made worse."""
PUBLISHED = {"250 nm run": "Figure3_large_area_250nm.hf5", "200 nm run": "Figure7_DKL1_200nm.hf5"}
INSIDE, BASE = 1.6449, "dkl"
"""Half a 90 % interval in standard deviations, and the entry that others are compared with."""


class Listed(Scene):
    """Places with the values of one scalar, which is all that is told of them."""

    def observation(self, place: int, value: float) -> Observation:
        """What an entry is told of the spectrum at a place."""
        return Observation(Point(*self.places[place]), value)

    @property
    def places(self) -> Floats:
        """(n, 2) in nm, in the order of the list."""
        return self.measured


def problems(seeds: int, frames: list[str], profile: str) -> Iterator[tuple[Scene, str, str, int]]:
    """Scenes with the name of their frame, the scalar that is sought, and a seed; each seed goes through all of them."""
    for seed in range(seeds):
        for side in (side for side in SIDES if f"{side:g} nm" in frames):
            for scalar in SCALARS:
                yield scenes(side, scalar, seed + 1, profile)[-1], f"{side:g} nm", scalar, seed
        if "fresh" in frames:
            for one, at, scalar, measured, truth in fresh_problems(FRESH_SEED + seed, 1):
                both = {scalar: (measured, truth)}
                yield Listed(scalar, at, one.topograph, one.places, one.places, both), "fresh", scalar, seed
        if not DATA.is_dir():
            print(f"real data are left out: there is no folder {DATA} (set BLUESKY_STM_DATA)")
            continue
        if "recorded" in frames:
            yield from ((recorded(), "recorded", scalar, seed) for scalar in RECORDED_SCALARS)
        for scalar, file in PUBLISHED.items() if "published" in frames else ():
            run = read_hf5(DATA / file)
            values = np.asarray(run.scalars, dtype=float)
            places = np.array([s.position for s in run.spectra])
            kept = np.unique(places, axis=0, return_index=True)[1]
            both = {scalar: (values[kept].tolist(), values[kept])}
            yield Listed(scalar, seed, run.topograph, places[kept], places[kept], both), "published", scalar, seed


def played(name: str, scene: Scene, frame: str, scalar: str, seed: int, profile: str) -> dict[str, Any]:
    """Let one entry play, and keep what it found and how true its map is."""
    readings, truth = scene.values[scalar]
    first = make_agent("space-filling", seed=seed, candidates=scene.places.tolist(), patch=scene.patch)
    first.observe(scene.topograph)
    begun = [d.candidate for d in first.suggest(FIRST)]
    spent = [0.0]
    entry, taken, maps, misses, regret = entered(name, scene, seed), list[int](), {}, list[float](), list[float]()
    free, start, predicted = np.ones(len(scene.places), dtype=bool), time.process_time(), None
    while True:
        place = begun[len(taken)] if len(taken) < FIRST else entry.ask(free)
        way = np.hypot(*(scene.places[place] - scene.places[taken[-1]])) if taken else 0.0
        spent.append(spent[-1] + (SWEEP.seconds + HANDLING + way / SPEED) / 3600)
        if spent[-1] > HOURS[frame] or np.count_nonzero(free) <= 1:
            break
        if predicted is not None:
            misses.append(_missed(predicted, place, numbers(readings[place : place + 1])[0]))
        taken.append(place)
        free[place] = False
        entry.tell(place, scene.observation(place, readings[place]))
        regret.append(_regret(truth, taken))
        predicted = None
        if len(taken) >= FIRST:
            predicted = entry.predict()  # what a step needs anyway, for whoever keeps its fit
            if len(taken) in LOOKS:
                maps[str(len(taken))] = judged(predicted, truth, taken)
    if predicted is not None:
        maps["end"] = judged(predicted, truth, taken)
    steps, told = max(len(taken) - FIRST, 1), np.array([miss for miss in misses if np.isfinite(miss)])
    return {
        **{"entry": name, "frame": frame, "scalar": scalar, "seed": seed, "scene": scene.seed, "profile": profile},
        **{"first": FIRST, "hours": HOURS[frame], "spectra": len(taken)},
        **{"regret": np.round(regret, 3).tolist(), "found": _found(truth, taken), "maps": maps},
        "ahead": float(np.mean(np.abs(told) <= INSIDE)) if len(told) else None,
        **{"cpu": (time.process_time() - start) / steps, "made_by": made_by()},
    }


def judged(predicted: Prediction, truth: Floats, taken: list[int]) -> dict[str, float]:
    """Return how true a map is at the places not measured, by both yardsticks, and its coverage."""
    mean, std, _ = predicted
    known = np.flatnonzero(np.isfinite(truth))
    rest = np.setdiff1d(known, taken)
    error = mean[rest] - truth[rest]
    whole, left = (float(max(1 - np.mean(error**2) / truth[of].var(), -1.0)) for of in (known, rest))
    inside = np.where(np.isfinite(error), np.abs(error) <= INSIDE * std[rest], np.nan)
    return {"map": whole, "left": left, "cover": float(np.mean(inside))}


def _missed(predicted: Prediction, place: int, reading: float) -> float:
    mean, std, noise = predicted
    return float((reading - mean[place]) / max(np.hypot(std[place], noise), 1e-300))


def _regret(truth: Floats, taken: list[int]) -> float:
    best, middle, seen = np.nanmax(truth), np.nanmedian(truth), truth[taken]
    return float(min((best - np.nanmax(seen)) / (best - middle), 9.0)) if np.isfinite(seen).any() else 9.0


def _found(truth: Floats, taken: list[int]) -> float:
    return float(np.isin(np.flatnonzero(truth >= np.nanquantile(truth, 0.99)), taken).mean())


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page: all problems together, each kind of frame by itself, and everybody beside the default agent."""
    head = "| regret @60 | regret | found | " + " | ".join(f"map @{n}" for n in (*LOOKS, "end"))
    head += " | " + " | ".join(f"left @{n}" for n in (*LOOKS, "end")) + " | cover | ahead | CPU, s | spectra |"
    parts = [__doc__.rstrip(), rows_made_by(rows)]
    for keys in (("entry",), ("frame", "scalar", "entry")):
        lines = [f"| {' | '.join(keys)} | problems {head}", "|---" * (len(keys) + 1 + head.count(" |")) + "|"]
        for names, group in _grouped(rows, keys).items():
            cells = [f"{_mean(row['regret'][59:60] for row in group):.2f}", f"{_mean(row['regret'][-1:] for row in group):.2f}"]
            cells.append(f"{_mean([row['found']] for row in group):.2f}")
            for yard in ("map", "left"):
                cells += [
                    f"{_mean([r['maps'][k][yard]] for r in group if k in r['maps']):.2f}" for k in (*map(str, LOOKS), "end")
                ]
            cells.append(f"{_mean([row['maps']['end']['cover']] for row in group):.2f}")
            cells.append(f"{_mean([row['ahead']] for row in group if row['ahead'] is not None):.2f}")
            cells.append(f"{_mean([row['cpu']] for row in group):.2f}")
            lines.append(
                f"| {' | '.join(names)} | {len(group)} | {' | '.join(cells)} | {_mean([r['spectra']] for r in group):.0f} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, _beside(rows), _worse(rows)]) + "\n"


def _beside(rows: list[dict[str, Any]]) -> str:
    """Return the differences to the default agent on the same problems, with 95 % intervals."""
    lines = [f"| entry less {BASE} | problems | found | regret | map @end |", "|---" * 5 + "|"]
    own = {(r["frame"], r["scalar"], r["seed"]): r for r in rows if r["entry"] == BASE}
    for (name,), group in _grouped(rows, ("entry",)).items():
        pairs = [(own[k], row) for row in group if (k := (row["frame"], row["scalar"], row["seed"])) in own]
        if name == BASE or not pairs:
            continue
        gains = [[b["found"] - a["found"], b["regret"][-1] - a["regret"][-1]] for a, b in pairs]
        true = [b["maps"]["end"]["map"] - a["maps"]["end"]["map"] for a, b in pairs]
        columns = [*np.transpose(gains), np.array(true)]
        lines.append(f"| {name} | {len(pairs)} | {' | '.join(map(_interval, columns))} |")
    return "\n".join(lines)


def _worse(rows: list[dict[str, Any]]) -> str:
    """Return the problems in which a map ends lower than it was, by more than `WORSE`: learning must not make it worse."""
    lines = [
        f"| a map that ends lower by over {WORSE:g} | problems | frame, scalar, seed: map at each look |",
        "|---" * 3 + "|",
    ]
    drawn = [row for row in rows if np.isfinite(row["maps"]["end"]["map"])]
    for (name,), group in _grouped(drawn, ("entry",)).items():
        found = []
        for row in group:
            seen = [row["maps"][key]["map"] for key in (*map(str, LOOKS), "end") if key in row["maps"]]
            if seen[-1] < max(seen) - WORSE:
                found.append(f"{row['frame']}, {row['scalar']}, {row['seed']}: {', '.join(f'{r2:.2f}' for r2 in seen)}")
        lines.append(f"| {name} | {len(found)} of {len(group)} | {'; '.join(found) if name == BASE else ''} |")
    return "\n".join(lines)


def _grouped(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    order = [*OURS, *FOREIGN]
    places = sorted(rows, key=lambda r: order.index(r["entry"]) if r["entry"] in order else len(order))
    for row in sorted(places, key=lambda r: [r[key] for key in keys if key != "entry"]):
        groups[tuple(str(row[key]) for key in keys)].append(row)
    return groups


def _mean(found: Any) -> float:
    known = np.array([x for some in found for x in some], dtype=float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else float("nan")


def _interval(gain: Floats) -> str:
    gain = gain[np.isfinite(gain)]
    spread = f" ± {1.96 * gain.std(ddof=1) / np.sqrt(len(gain)):.3f}" if len(gain) > 1 else ""
    return f"{gain.mean():+.3f}{spread}" if len(gain) else ""


def main() -> None:
    """Play what is missing, and write rows and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="surfaces of each kind; 0 only writes the page")
    parser.add_argument("--entries", nargs="+", default=[*OURS, *FOREIGN], metavar="NAME", help="who plays")
    parser.add_argument("--frames", nargs="+", default=[*HOURS], metavar="NAME", help=f"of {', '.join(HOURS)}")
    parser.add_argument("--rows", type=Path, default=ROWS, help="file of the rows; the page lies beside it")
    parser.add_argument("--profile", default=DAY, help="state of the simulated instrument")
    asked = parser.parse_args()
    rows = json.loads(asked.rows.read_text()) if asked.rows.is_file() else []
    done = {(r["entry"], r["frame"], r["scalar"], r["seed"]) for r in rows if r.get("profile", DAY) == asked.profile}
    for name, why in ((name, missing(name)) for name in asked.entries):
        if why:
            print(f"{name} does not play: {why}", flush=True)
    able = [name for name in asked.entries if not missing(name)]
    for scene, frame, scalar, seed in problems(asked.seeds, asked.frames, asked.profile):
        for name in able:
            if (name, frame, scalar, seed) in done:
                continue
            row = played(name, scene, frame, scalar, seed, asked.profile)
            rows.append(row)
            print(
                frame, scalar, seed, name, f"found {row['found']:.2f} regret {row['regret'][-1]:.2f}", row["maps"], flush=True
            )
            asked.rows.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    asked.rows.with_suffix(".md").write_text(page(rows))


if __name__ == "__main__":
    main()
