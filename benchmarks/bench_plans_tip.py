"""A tip that changes at a random spectrum: how soon it is noticed, what is used of it afterwards, and how often for nothing.

``python benchmarks/bench_plans_tip.py --seeds 20`` writes ``results/plans_tip.*``. Three kinds of change, in turn: states
in the gap, edges moved by 0.3 V, less current at positive bias.
"""

import argparse
from dataclasses import replace

import numpy as np
from plans_common import agents, carry_out, write

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.plans import explore
from bluesky_stm.settings import LengthScale

SCALE = LengthScale(name="terrace", frame=50, pixels=96, patch=3, step=1, budget=60, scalarizer="gap", agent="random")
CHECK = {"every": 10, "then": "stop"}
KINDS = ("leak", "shift", "blunt")


class ChangingTip(SimulatedController):
    """The tip changes before the sweep with the number ``changes_at``, those of reference counted."""

    def __init__(self, *args, changes_at=None, kind="leak", **kwargs):
        super().__init__(*args, **kwargs)
        self.changes_at, self.kind, self.sweeps, self.changed = changes_at, kind, 0, np.inf

    def sweep(self, settings, progress=None):
        self.sweeps += 1
        taken = super().sweep(settings, progress)
        if self.changes_at is None or self.sweeps < self.changes_at:
            return taken
        self.changed = min(self.changed, taken.time)
        return self.spoiled(taken)

    def spoiled(self, spectrum):
        bias = spectrum.bias
        if self.kind == "leak":
            return replace(
                spectrum, current=spectrum.current + 0.05 * bias, didv=spectrum.didv + 0.05, lockin_x=spectrum.lockin_x + 8e-4
            )
        if self.kind == "shift":
            names = ("current", "lockin_x", "didv")
            return replace(spectrum, **{name: np.interp(bias - 0.3, bias, getattr(spectrum, name)) for name in names})
        factor = np.where(bias > 0, 0.3, 1.0)
        names = ("current", "lockin_x", "didv")
        return replace(spectrum, **{name: getattr(spectrum, name) * factor for name in names})


def once(seed, changes):
    draw = np.random.default_rng(seed)
    at = int(draw.integers(5, 50)) if changes else None
    controller = ChangingTip(seed=seed, profile="good_day", changes_at=at, kind=KINDS[seed % 3])
    agent = agents(seed)(SCALE)
    (run,) = carry_out(controller, lambda stm: explore(stm, agent, tip=CHECK, maps_every=1000))
    checks = [e["tip_check_verdict"] for e in run["events"]["tip_check"]]
    row = {"seed": seed, "kind": controller.kind if changes else "none", "alarms": checks.count("changed")}
    if changes:
        poisoned = [o for o in agent.observations if o.spectrum.time >= controller.changed]
        used = sum(o.has_value for o in poisoned)
        row |= {"noticed": "changed" in checks, "late": len(poisoned), "used": used}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(1, parser.parse_args().seeds + 1)
    changed, quiet = [once(seed, True) for seed in seeds], [once(seed, False) for seed in seeds]
    late = [row["late"] for row in changed if row["noticed"]]
    lines = [
        f"A check every {CHECK['every']} spectra, good_day, {SCALE.budget} spectra a run, {len(seeds)} runs of each.",
        "",
        "| | |",
        "|---|---|",
        f"| changes noticed | {sum(row['noticed'] for row in changed)} of {len(changed)} |",
        f"| spectra with the changed tip until then: median, most | {np.median(late):.0f}, {max(late)} |",
        f"| of their values used afterwards | {sum(row['used'] for row in changed)} |",
        f"| false alarms a run | {sum(row['alarms'] for row in quiet) / len(quiet):.2f} |",
    ]
    write("plans_tip", lines, changed + quiet)


if __name__ == "__main__":
    main()
