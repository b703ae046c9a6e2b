"""Is the simulated surface as hard to learn as the real one?

    python benchmarks/bench_surface_learning.py benchmarks/results/surface_learning.md [SPLITS]

Frames of 250, 20 and 5 nm with the published scalar of that size, 210 places at random on the published 48 x 48 grid (at 250 nm
95 % of them beside the step bunch), 150 of them learned and the others predicted; R2, one below -1 counted as -1, beside what
the same kind of agent reaches on the real run of that size (two random splits). The places of the real runs were chosen by an
agent, those here are not. "forest" is a random forest on ten principal components of the patch and on the place; it needs
scikit-learn.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from gallery import laid_out, nearest
from reference_agents import PatchGP
from scipy.stats import spearmanr

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame, Point, extract_patches
from bluesky_stm.parts import register
from bluesky_stm.protocols import Observation, SweepSettings
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.surface import Surface

register(PatchGP)

PLACES, LEARNED = 210, 150

SMALLEST_GAP = {"name": "weighted_sum", "terms": ["bandgap_slopefit"], "weights": [-1], "offset": 3.1}
FRAMES = {
    "250 nm": ("figure 3", None, 250.0, "bad_day", SweepSettings(-1.5, 2.4, 121), "positive_channel_area"),
    "20 nm": ("figure 7c", "tall triangle", 20.0, "good_day", SweepSettings(-1.5, 1.5, 121), "area_ratio"),
    "5 nm": ("figure 5", "substitution", 5.0, "bad_day", SweepSettings(-1.5, 1.5, 121), SMALLEST_GAP),
}
"""Area, defect in the middle, side (nm), state of the instrument, sweep, scalar."""

REAL = {
    "gp-patch": (0.68, 0.57, 0.41),
    "gp-xy": (0.94, 0.81, 0.60),
    "forest": (0.92, 0.58, 0.56),
    "paper-dkl": (0.72, -0.02, 0.32),
}
"""R2 on the real runs of 250, 20 and 5 nm with 150 spectra learned."""


def scene(name, seed):
    """An image and observations of one frame."""
    area, species, side, profile, sweep, scalar = FRAMES[name]
    surface = Surface(f"EuZn2As2:{area}", seed=seed)
    frame = Frame.square(laid_out(surface) if species is None else nearest(surface, species), side, 512)
    stm = SimulatedController(surface, seed=seed, profile=profile)
    centers = np.array([(row, column) for row in range(20, 500, 10) for column in range(20, 500, 10)])
    chosen = np.random.default_rng(seed).permutation(centers)
    if species is None:  # where the published places lie
        beside = chosen[:, 1] > 512 * 155 / 250
        chosen = np.concatenate([chosen[beside][: round(0.95 * PLACES)], chosen[~beside][: round(0.05 * PLACES)]])
    chosen = chosen[:PLACES]
    places, image, scalarizer = frame.to_sample(chosen), stm.scan(frame), make_scalarizer(scalar)
    observations = []
    for place in places:
        stm.move_tip(Point(*map(float, place)))
        found = Observation.of(stm.sweep(sweep), scalarizer)
        if found.has_value:
            observations.append(Observation(Point(*map(float, place)), found.number, found.spectrum))
    return image, observations


def predict(agent, image, known, points):
    """Values at ``points`` of an agent that learned ``known``."""
    if agent == "forest":
        return _forest(image, known, points)
    made = make_agent(agent)
    made.observe(image)
    made.ingest(known)
    return made.posterior(points).mean


def _forest(image, known, points):
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestRegressor

    def features(places):
        patches = extract_patches(image.height, image.frame.to_pixel(places), 30).reshape(len(places), -1)
        return patches, np.asarray(places)

    learned, values = np.array([o.point for o in known]), np.array([o.value for o in known])
    patches, places = features(learned)
    reduce = PCA(10, random_state=0).fit(patches)
    scale = values.std()
    forest = RandomForestRegressor(200, random_state=0).fit(np.hstack([reduce.transform(patches), places]), values / scale)
    patches, places = features(points)
    return forest.predict(np.hstack([reduce.transform(patches), places])) * scale


def table(splits):
    """One row an agent, and how far and in which order the means are."""
    reached = {agent: [] for agent in REAL}
    for name in FRAMES:
        scenes = [scene(name, seed) for seed in range(5, 5 + splits)]
        for agent in reached:
            scores = []
            for image, observations in scenes:
                order = np.random.default_rng(1).permutation(len(observations))
                known, rest = ([observations[i] for i in part] for part in (order[:LEARNED], order[LEARNED:]))
                truth = np.array([o.value for o in rest])
                guess = predict(agent, image, known, np.array([o.point for o in rest]))
                scores.append(max(-1.0, 1 - np.mean((truth - guess) ** 2) / truth.var()))
            reached[agent].append(float(np.mean(scores)))
            print(name, agent, [f"{score:.2f}" for score in scores], flush=True)
    lines = ["| agent | " + " | ".join(f"{name} simulated (real)" for name in FRAMES) + " | mean |", "|---|" + "---|" * 4]
    for agent, values in reached.items():
        cells = [f"{value:.2f} ({real:.2f})" for value, real in zip(values, REAL[agent], strict=True)]
        lines.append(f"| {agent} | " + " | ".join(cells) + f" | {np.mean(values):.2f} ({np.mean(REAL[agent]):.2f}) |")
    means = [[np.mean(of[agent]) for agent in REAL] for of in (reached, REAL)]
    patch = max(abs(a - b) for a, b in zip(reached["gp-patch"], REAL["gp-patch"], strict=True))
    lines.append(f"\nRank correlation of the means: {spearmanr(*means).statistic:.2f} (bar 0.8). ")
    lines.append(f"Largest difference of the patch GP: {patch:.2f} (bar 0.25). Surfaces per frame: {splits}.")
    return "\n".join(lines)


if __name__ == "__main__":
    text = f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 3)}\n"
    Path(sys.argv[1]).write_text(text)
    print(text)
