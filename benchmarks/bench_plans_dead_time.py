"""How long the microscope waits for thinking: 2304 candidates, 300 spectra of 2.63 s; deciding after each sweep, and ahead.

``python benchmarks/bench_plans_dead_time.py`` writes ``results/plans_dead_time.*``. The time for a decision is measured on the
wall; the time for a spectrum is that of the published runs. Ahead, only what a decision takes beyond its sweep is waited for.
"""

import argparse
import os

import numpy as np
from plans_common import agents, carry_out, write

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.plans import explore
from bluesky_stm.settings import LengthScale

SPECTRUM = 2.63
"""Time for a spectrum, in s, all in."""


def once(spectra, ahead):
    scale = LengthScale(name="terrace", frame=51, pixels=255, patch=3, step=1, budget=spectra, scalarizer="gap", agent="dkl")
    agent = agents(1)(scale)
    (run,) = carry_out(SimulatedController(seed=1), lambda stm: explore(stm, agent, ahead=ahead, maps_every=10))
    thought = np.array([event["agent_elapsed"] for event in run["events"]["agent"]][:spectra])
    waited = np.maximum(thought - SPECTRUM, 0) if ahead else thought
    return {
        "ahead": ahead, "candidates": len(agent.candidates), "spectra": len(run["events"]["primary"]),
        "median": np.median(thought), "longest": thought.max(),
        "share": waited.sum() / (waited.sum() + spectra * SPECTRUM), "load": os.getloadavg()[0],
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=300)
    spectra = parser.parse_args().spectra
    rows = [once(spectra, ahead) for ahead in (False, True)]
    lines = [
        f"{rows[0]['candidates']} candidates, {spectra} spectra of {SPECTRUM} s, agent dkl; load {rows[0]['load']:.1f}.",
        "",
        "| deciding | median decision, s | longest, s | share of the night waited |",
        "|---|---|---|---|",
        *(
            f"| {'ahead' if r['ahead'] else 'after each'} | {r['median']:.3f} | {r['longest']:.2f} | {r['share']:.2%} |"
            for r in rows
        ),
    ]
    write("plans_dead_time", lines, rows)


if __name__ == "__main__":
    main()
