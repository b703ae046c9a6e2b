"""Where each stop rule ends a run, and what is missed by it: regret and error of the map at that point.

``python benchmarks/bench_plans_stop.py --seeds 5`` writes ``results/plans_stop.*``. A run is the same up to where a rule ends
it: each is made once with the whole budget, and every rule is asked at every decision, of what the documents said by then.

Regret is what the best place measured lacks of the best candidate, in parts of how far that stands out of the median; the error
of the map its root mean square, in parts of the spread of the truth (1: no better than the mean). Truth is what an instrument
without noise would measure.
"""

import argparse

import numpy as np
from plans_common import agents, carry_out, write

from bluesky_stm.controllers import GOOD_DAY, SimulatedController
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import stop_rules
from bluesky_stm.plans import RunState, explore
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import LengthScale
from bluesky_stm.teaching import decision_from

BUDGET, MAPS_EVERY = 120, 5
PROFILE = GOOD_DAY.changed(drift=(0.0, 0.0), creep=0.0, hysteresis=0.0)
"""A good day on which the tip is where it was asked to be: what is missed is the rule's doing."""

SCALARS = {
    "smallest gap": {"name": "gap", "prefer": "small"},
    "conductance at 0.8 V": {"name": "conductance", "bias": 0.8},
}
FOUND = 0.8
"""The target, of the way from the median to the best candidate."""

SWEEP = SweepSettings(-1.5, 2.4, 157)

RULES = {
    "budget": {"name": "budget"},
    "time, 300 s": {"name": "time", "seconds": 300.0},
    "no-improvement": {"name": "no-improvement"},
    "map-converged": {"name": "map-converged"},
    "promise": {"name": "promise"},
    "target": {"name": "target"},
}


def truth_at(controller, candidates, scalarizer):
    """What is sought, at each candidate, without noise; NaN where there is none."""
    frames = [Frame.square(Point(*place), 0.1, 1) for place in candidates]
    values = [scalarizer(controller.truth_grid(frame, SWEEP).spectrum(0, 0)) for frame in frames]
    return np.array([value if isinstance(value, float) else np.nan for value in values])


class Explored:
    """One run with the whole budget, and what was known at each of its decisions."""

    def __init__(self, seed, scalar):
        scale = LengthScale(
            name="small", frame=24, pixels=96, patch=3, step=1, budget=BUDGET, seeds=20, scalarizer=scalar, agent="dkl"
        )
        controller, agent = SimulatedController(seed=seed, profile=PROFILE), agents(seed)(scale)
        frame = Frame.square((40 * np.cos(seed), 40 * np.sin(seed)), scale.frame, scale.pixels)
        (run,) = carry_out(controller, lambda stm: explore(stm, agent, frame=frame, maps_every=MAPS_EVERY))
        self.truth = truth_at(controller, agent.candidates, make_scalarizer(scalar))
        self.decisions = [decision_from(event) for event in run["events"]["agent"]]
        self.maps = [(e["agent_map_ingested"], (e["agent_map_mean"], e["agent_map_std"])) for e in run["events"]["maps"]]
        self.best = [event["agent_best"] for event in run["events"]["agent"]]
        times = np.array([event["stm_sweep_time"] for event in run["events"]["primary"]])
        self.seconds = np.append(times, times[-1] + times[1] - times[0])  # each spectrum begins when it was decided on
        self.values = [o.number for o in agent.observations]

    def stops(self, rule):
        """Spectra after which ``rule`` ends the run, and whether it did before the budget was spent."""
        state = RunState()
        for taken, decision in enumerate(self.decisions[:BUDGET]):
            state.maps = [each for ingested, each in self.maps if ingested <= taken]
            state.decided(decision, self.best[taken], self.seconds[taken])
            if rule(state):
                return taken, True
        return BUDGET, False

    def missed(self, taken):
        """Regret and error of the map after so many spectra."""
        measured = np.array(self.values[:taken])
        best = np.nanmax(self.truth)
        found = self.truth[self.decisions[int(np.nanargmax(measured))].candidate]
        mean = next(mean for ingested, (mean, _) in reversed(self.maps) if ingested <= max(taken, MAPS_EVERY))
        regret = (best - found) / (best - np.nanmedian(self.truth))
        return float(regret), float(np.sqrt(np.nanmean((mean - self.truth) ** 2)) / np.nanstd(self.truth))

    @property
    def target(self):
        return float(np.nanmedian(self.truth) + FOUND * (np.nanmax(self.truth) - np.nanmedian(self.truth)))


def rows_of(seed, what):
    explored = Explored(seed, SCALARS[what])
    rows = []
    for name, settings in RULES.items():
        settings = settings | ({"value": explored.target} if name == "target" else {})
        taken, early = explored.stops(stop_rules.make(settings))
        regret, error = explored.missed(taken)
        rows.append(
            {"seed": seed, "what": what, "rule": name, "taken": taken, "early": early, "regret": regret, "error": error}
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    rows = [row for what in SCALARS for seed in range(1, seeds + 1) for row in rows_of(seed, what)]
    lines = [
        f"Frame 24 nm, agent dkl, at most {BUDGET} spectra, {seeds} seeds, rules by default; medians (worst seed).",
        f"The target is {FOUND:.0%} of the way from the median to the best candidate.",
        "Noise chooses among places that are nearly as good, so that the regret need not fall to 0 with all the budget.",
        "",
        "| sought | rule | ended early | spectra (fewest to most) | regret | error of the map |",
        "|---|---|---|---|---|---|",
    ]
    for what in SCALARS:
        for name in RULES:
            mine = [row for row in rows if row["what"] == what and row["rule"] == name]
            taken, regret, error = ([row[key] for row in mine] for key in ("taken", "regret", "error"))
            lines.append(
                f"| {what} | {name} | {sum(row['early'] for row in mine)} of {len(mine)} "
                f"| {np.median(taken):.0f} ({min(taken)} to {max(taken)}) "
                f"| {np.median(regret):.2f} ({max(regret):.2f}) | {np.median(error):.2f} ({max(error):.2f}) |"
            )
    write("plans_stop", lines, rows)


if __name__ == "__main__":
    main()
