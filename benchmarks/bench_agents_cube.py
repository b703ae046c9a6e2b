"""Reconstruct the dI/dV cube of a simulated grid from 5 % of its spectra.

    python benchmarks/bench_agents_cube.py benchmarks/results/agents_cube.md [SEEDS]

Scenes of ``agents_scenes.py``, 115 of their 2304 spectra, at random, measured on a good day, up to 1.3 V. The error is the root
mean square of asinh(dI/dV / 0.05 nS) against the truth without noise, relative to predicting the mean spectrum everywhere;
"cover" is the share of the samples as measured, noise included, inside the 90 % interval. Kriging fits a Gaussian process over
(x, y) to each energy; the forest has ten principal components of the patch and the place as input, and all energies as output.
Means over seeds, with their standard error.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from agents_scenes import FIRST_SEED, SIDES, Scene, mean_of, simulated, up_to
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor

from bluesky_stm.geometry import Floats, Point, extract_patches
from bluesky_stm.imaging import fill_holes
from bluesky_stm.protocols import Failed, Observation

SHARE, HIGHEST, LEAST = 0.05, 1.3, 0.05
AGENTS = {"gp-xy": ("gp-xy", {}), "net off": ("dkl", {"net": False}), "dkl": ("dkl", {})}


def errors(scene: Scene) -> dict[str, tuple[float, float]]:
    """Error and coverage of each way to predict."""
    scene = replace(scene, measured=up_to(scene.measured, HIGHEST), truth=up_to(scene.truth, HIGHEST))
    places = scene.places
    measured, truth = (np.arcsinh(grid.didv.reshape(len(places), -1) / LEAST) for grid in (scene.measured, scene.truth))
    whole = np.flatnonzero(np.isfinite(measured + truth).all(axis=1))
    known, rest = np.split(np.random.default_rng(scene.seed).permutation(whole), [round(SHARE * len(places))])
    scale = _rms(truth[rest] - measured[known].mean(axis=0))
    nearest = known[np.linalg.norm(places[rest, None] - places[known], axis=-1).argmin(axis=1)]
    guesses = {
        "nearest neighbour": measured[nearest],
        "kriging of each energy": kriging(scene, measured, known, rest),
        "forest on patches": forest(scene, measured, known, rest),
    }
    found = {label: (_rms(truth[rest] - guess) / scale, np.nan) for label, guess in guesses.items()}
    for label, (name, settings) in AGENTS.items():
        agent = _looking(name, scene, **settings)
        agent.ingest([scene.observation(int(i), Failed("not asked")) for i in known])
        cube = agent.reconstruct(places[rest])
        inside = (np.arcsinh(cube.low / LEAST) <= measured[rest]) & (measured[rest] <= np.arcsinh(cube.high / LEAST))
        found[label] = _rms(truth[rest] - np.arcsinh(cube.didv / LEAST)) / scale, float(inside.mean())
    return found


def kriging(scene: Scene, measured: Floats, known: np.ndarray, rest: np.ndarray) -> Floats:
    """Energy by energy, over position."""
    agent, columns = _looking("gp-xy", scene), []
    for column in measured[known].T:
        agent.observe(scene.topograph)
        agent.ingest([Observation(Point(*scene.places[i]), float(value)) for i, value in zip(known, column, strict=True)])
        columns.append(agent.posterior(scene.places[rest]).mean)
    return np.stack(columns, axis=1)


def forest(scene: Scene, measured: Floats, known: np.ndarray, rest: np.ndarray) -> Floats:
    """All energies at once."""
    frame = scene.topograph.frame
    size = round(scene.patch / frame.pixel_size[1])
    patches = extract_patches(fill_holes(scene.topograph.height), frame.to_pixel(scene.places), size).reshape(
        len(scene.places), -1
    )
    places = (scene.places - np.asarray(frame.center)) / min(frame.size)
    features = np.hstack([PCA(10, random_state=0).fit_transform(patches), places])
    return RandomForestRegressor(200, random_state=0).fit(features[known], measured[known]).predict(features[rest])


def _looking(name: str, scene: Scene, **settings):
    agent = scene.agent(name, **{"seed": 0, **settings})
    agent.observe(scene.topograph)
    return agent


def _rms(difference: Floats) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def table(seeds: int) -> str:
    """One row for each frame and way to predict."""
    lines = ["| frame, nm | from 5 % | seeds | error | cover |", "|---|---|---|---|---|"]
    for side in SIDES:
        every = [errors(simulated(side, seed)) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
        for label in every[0]:
            error, cover = np.transpose([found[label] for found in every])
            lines.append(f"| {side:g} | {label} | {seeds} | {mean_of(error, 3)} | {mean_of(cover, 3)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 5)}\n")
