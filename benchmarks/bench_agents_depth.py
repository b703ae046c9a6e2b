"""Does depth pay? Simulated scenes that no training has seen, from few spectra.

    python benchmarks/bench_agents_depth.py benchmarks/results/agents_depth.md [SCENES]

Each scene has its own surface, species, instrument and frame (``bluesky_stm.pretrain.scene`` at seeds far from those of the
training); 256 places, ``n`` of them learned, the others predicted; values are scalars of the spectra with white noise. A
scene counts for a scalar when 150 places have a value. R2 is cut off at -0.5, so that no single scene decides; the differences
to the net off are paired, with their 95 % interval: over all cases, and over those in which the noise is less than half of the
variance, so that more than half can be predicted at all. "Ceiling" is the mean R2 of the values without noise.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint, Spectrum
from bluesky_stm.pretrain import Scene, scene
from bluesky_stm.protocols import Failed, Observation
from bluesky_stm.scalarizers import make_scalarizer

SCALARS = (
    {"name": "gap"},
    {"name": "in_gap_weight", "between": [-0.9, 0.3], "of": [-1.5, 1.5]},
    {"name": "conductance", "bias": 1.0},
)
AGENTS = {"gp-xy": ("gp-xy", {}), "net off": ("dkl", {"net": False}), "dkl": ("dkl", {})}
COUNTS = (20, 40, 80)
FIRST_SEED, NOISE = 1_000_000, 0.01
BIAS = np.linspace(-1.5, 1.5, 61)


def cases(scenes: int) -> Iterator[tuple[Scene, Floats, float]]:
    """Scenes, values of their places for a scalar, NaN where there is none, and the R2 of these values without noise."""
    for seed in range(FIRST_SEED, FIRST_SEED + scenes):
        one, rng = scene(seed), np.random.default_rng(seed)
        noisy = one.didv + NOISE * rng.standard_normal(one.didv.shape)
        for choice in SCALARS:
            values, truth = (_values(choice, one.places, didv) for didv in (noisy, one.didv))
            if np.isfinite(values).sum() >= 150 and np.nanstd(values) > 0:
                yield one, values, 1 - np.nanvar(values - truth) / np.nanvar(values)


def _values(choice: dict, places: Floats, didv: Floats) -> Floats:
    scalarizer = make_scalarizer(choice)
    found = [scalarizer(_spectrum(p, g)) for p, g in zip(places, didv, strict=True)]
    return np.array([np.nan if isinstance(v, Failed) else v for v in found])


def r2(name: str, settings: dict, one: Scene, values: Floats, n: int) -> float:
    """Of what was not learned."""
    order = np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(values)))
    agent = make_agent(name, seed=0, patch=one.patch, candidates=one.places.tolist(), seeds=1, **settings)
    agent.observe(one.topograph)
    agent.ingest([Observation(Point(*one.places[i]), float(values[i])) for i in order[:n]])
    rest = order[n:]
    error = agent.posterior(one.places[rest]).mean - values[rest]
    return max(1 - np.mean(error**2) / values[rest].var(), -0.5)


def table(scenes: int) -> str:
    """One row for each count and agent."""
    lines = [
        "| n | agent | cases | ceiling | R2 | R2 - net off | predictable | ceiling there | R2 there | R2 - net off there |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    every = list(cases(scenes))
    ceiling = np.array([high for *_, high in every])
    some = ceiling > 0.5
    for n in COUNTS:
        scores = {label: np.array([r2(*agent, *case, n) for *case, _ in every]) for label, agent in AGENTS.items()}
        for label, found in scores.items():
            gain = found - scores["net off"]
            cells = [f"{n} | {label} | {len(found)} | {ceiling.mean():.3f} | {found.mean():.3f} | {_interval(gain)}"]
            cells.append(f"{some.sum()} | {ceiling[some].mean():.3f} | {found[some].mean():.3f} | {_interval(gain[some])}")
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def _interval(gain: Floats) -> str:
    return f"{gain.mean():+.3f} ± {1.96 * gain.std(ddof=1) / np.sqrt(len(gain)):.3f}"


def _spectrum(place: Floats, didv: Floats) -> Spectrum:
    current = np.cumsum(didv) * (BIAS[1] - BIAS[0])
    return Spectrum(Point(*place), BIAS, current, didv, 0 * didv, didv, Setpoint(-1.5, 0.2))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{__doc__}\n{table(int(sys.argv[2]) if len(sys.argv) > 2 else 30)}\n")
