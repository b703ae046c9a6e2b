"""How long the microscope waits for thinking: 2304 candidates, 300 spectra of 2.63 s; deciding after each sweep, and ahead.

``OMP_NUM_THREADS=1 python benchmarks/bench_plans_dead_time.py`` writes ``results/plans_dead_time.*``. The time for a decision,
and for a map, is the processor time of the agent's one thread, so that a busy machine does not count; the time for a spectrum
is that of the published runs. Ahead, what a decision takes beyond its sweep is waited for, and all of each map.
"""

import argparse
import os
import time

import numpy as np
from plans_common import agents, carry_out, write

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.plans import explore
from bluesky_stm.settings import LengthScale

SPECTRUM = 2.63
"""Time for a spectrum, in s, all in."""


def timed(act, taken):
    def timing():
        begun = time.thread_time()
        act()
        taken.append(time.thread_time() - begun)

    return timing


def once(spectra, ahead):
    scale = LengthScale(name="terrace", frame=51, pixels=255, patch=3, step=1, budget=spectra, scalarizer="gap", agent="dkl")
    agent, decisions, maps = agents(1)(scale), [], []
    agent._decide, agent.map._predict = timed(agent._decide, decisions), timed(agent.map._predict, maps)  # noqa: SLF001
    (run,) = carry_out(SimulatedController(seed=1), lambda stm: explore(stm, agent, ahead=ahead, maps_every=10))
    thought = np.array(decisions[:spectra])
    waited = (np.maximum(thought - SPECTRUM, 0) if ahead else thought).sum() + sum(maps)
    return {
        "ahead": ahead, "candidates": len(agent.candidates), "spectra": len(run["events"]["primary"]),
        "median": np.median(thought), "longest": thought.max(),
        "share": waited / (waited + spectra * SPECTRUM), "maps": sum(maps), "load": os.getloadavg()[0],
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=300)
    spectra = parser.parse_args().spectra
    rows = [once(spectra, ahead) for ahead in (False, True)]
    lines = [
        f"{rows[0]['candidates']} candidates, {spectra} spectra of {SPECTRUM} s, agent dkl; load {rows[0]['load']:.1f}.",
        "",
        "| deciding | median decision, s | longest, s | share of the night waited | of it for maps, s |",
        "|---|---|---|---|---|",
        *(
            f"| {'ahead' if r['ahead'] else 'after each'} | {r['median']:.3f} | {r['longest']:.2f} | {r['share']:.2%} "
            f"| {r['maps']:.2f} |"
            for r in rows
        ),
    ]
    write("plans_dead_time", lines, rows)


if __name__ == "__main__":
    main()
