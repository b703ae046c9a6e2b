"""Predict what was not measured: two published runs, agents side by side on the same random splits.

    BLUESKY_STM_DATA=... python benchmarks/bench_agents_real.py benchmarks/results/agents_real.md

Each agent learns ``n`` of the spectra, drawn at random, with the stored scalar as value, and predicts the others. R2 and NLPD
are means over the splits; NLPD is in units of the file's standard deviation; "cover" is the share of test values inside the
90 % interval, over all splits; the last column is the difference in R2 to the deep kernel with its net off, on the same
splits, with its 95 % interval.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from reference_agents import PatchGP

from bluesky_stm.agents import make_agent
from bluesky_stm.files import RecordedRun, read_hf5
from bluesky_stm.parts import register
from bluesky_stm.protocols import Agent, Observation

register(PatchGP)

DATA = Path(os.environ.get("BLUESKY_STM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FILES = {"250 nm": "Figure3_large_area_250nm.hf5", "200 nm": "Figure7_DKL1_200nm.hf5"}
COUNTS, SPLITS = (20, 40, 80, 150), 20
AGENTS = {
    "net off": ("dkl", {"net": False}),
    "dkl": ("dkl", {}),
    "gp-xy": ("gp-xy", {}),
    "gp-patch": ("gp-patch", {}),
    "paper-dkl": ("paper-dkl", {}),
}
FEW = {"paper-dkl": 5}
"""Splits of what takes long."""


def score(agent: Agent, run: RecordedRun, order: np.ndarray, n: int) -> tuple[float, float, float]:
    """R2, NLPD and coverage of what was not learned."""
    points, values = np.array([s.position for s in run.spectra]), np.asarray(run.scalars)
    known, rest = order[:n], order[n:]
    agent.observe(run.topograph)
    agent.ingest([Observation(run.spectra[i].position, float(values[i])) for i in known])
    posterior, truth, spread = agent.posterior(points[rest]), values[rest], values.std()
    r2 = 1 - np.mean((truth - posterior.mean) ** 2) / truth.var()
    if not hasattr(agent, "log_density"):  # the published one: normal, its noise included
        z = (truth - posterior.mean) / posterior.std
        return r2, float(np.mean(0.5 * z**2 + np.log(posterior.std / spread) + 0.919)), float(np.mean(np.abs(z) < 1.645))
    low, high = agent.quantiles(points[rest], [0.05, 0.95]).T
    return (
        r2,
        -float(np.mean(agent.log_density(points[rest], truth) + np.log(spread))),
        np.mean((truth >= low) & (truth <= high)),
    )


def table() -> str:
    """One row for each file, count and agent."""
    lines = ["| file | n | agent | splits | R2 | NLPD | cover | R2 - net off |", "|---|---|---|---|---|---|---|---|"]
    for name, file in FILES.items():
        run = read_hf5(DATA / file)
        for n in COUNTS:
            base = None
            for label, (agent, settings) in AGENTS.items():
                splits = FEW.get(label, SPLITS)
                orders = [np.random.default_rng(s).permutation(len(run.spectra)) for s in range(splits)]
                scores = np.array([score(make_agent(agent, **settings), run, order, n) for order in orders])
                base = scores[:, 0] if base is None else base
                gain = scores[:, 0] - base[:splits]
                interval = f"{gain.mean():+.3f} ± {1.96 * gain.std(ddof=1) / np.sqrt(splits):.3f}"
                mean = scores.mean(axis=0)
                row = f"| {name} | {n} | {label} | {splits} | {mean[0]:.3f} | {mean[1]:.2f} | {mean[2]:.3f} | {interval} |"
                print(row, flush=True)
                lines.append(row)
    return "\n".join(lines)


if __name__ == "__main__":
    text = f"{__doc__}\n{table()}\n"
    Path(sys.argv[1]).write_text(text)
