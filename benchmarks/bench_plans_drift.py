"""Where the spectra were taken: error of their places on the topograph with drift of 1 nm/h and creep, corrected and not.

``python benchmarks/bench_plans_drift.py --seeds 5`` writes ``results/plans_drift.*``. The truth is that of the simulated piezo.
"""

import argparse
from copy import deepcopy

import bluesky.plan_stubs as bps
import numpy as np
from plans_common import agents, carry_out, write

from bluesky_stm.controllers import GOOD_DAY, SimulatedController
from bluesky_stm.geometry import Drift, Frame
from bluesky_stm.plans import explore, move_frame
from bluesky_stm.settings import LengthScale

HOUR = 1 / 3600
PROFILE = GOOD_DAY.changed(drift=(0.8 * HOUR, -0.6 * HOUR), creep=0.008)
"""1 nm/h, and twice the creep of a good day."""

SCALE = LengthScale(name="defect", frame=10, pixels=128, patch=1.2, step=0.2, budget=115, scalarizer="gap", agent="random")
AVERAGES = 10
"""Sweeps averaged in a spectrum: the run takes more than half an hour."""

CHECK = {"every": 20, "pixels": 96, "share": 2.5}


class Watched(SimulatedController):
    """Remembers where the tip was, less where it was asked to be, in the middle of its first image."""

    first = None

    def scan(self, *args, **kwargs):
        began, piezo = self.now(), deepcopy(self._junction.piezo)
        image = super().scan(*args, **kwargs)
        if self.first is None:
            self.first = piezo.displacement((began + self.now()) / 2)
        return image


def there_and_explore(stm, agent, frame, drift):
    """The tip goes there first, as a scan of a real microscope would make it."""
    yield from move_frame(stm, frame)
    yield from bps.mv(stm.sweep.averages, AVERAGES)
    yield from explore(stm, agent, frame=frame, drift=drift, maps_every=1000)


def errors(seed, drift):
    """Distance, in nm, of each spectrum's known place from its true one on the topograph."""
    controller = Watched(seed=seed, profile=PROFILE)
    frame = Frame.square((30 * np.cos(seed), 30 * np.sin(seed)), SCALE.frame, SCALE.pixels)
    (run,) = carry_out(controller, lambda stm: there_and_explore(stm, agents(seed)(SCALE), frame, drift))
    spectra = run["events"]["primary"]
    raw = np.array([(e["stm_sweep_x"], e["stm_sweep_y"]) for e in spectra])
    times = [e["stm_sweep_time"] for e in spectra]
    true = raw + np.array(run["off"]["primary"]) - controller.first
    track = None
    measured = [*run["events"]["drift"], *run["events"]["drift_fine"]]
    for event in sorted(measured, key=lambda event: event["drift_time"]):
        if event["drift_trusted"]:
            track = track or Drift(event["drift_reference_time"])
            velocity = event["drift_velocity_x"], event["drift_velocity_y"]
            track.measured(event["drift_time"], (event["drift_x"], event["drift_y"]), velocity)
    known = raw - (track.at(times) if track else 0.0)
    return np.hypot(*(known - true).T)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    rows = []
    for seed in range(1, parser.parse_args().seeds + 1):
        for way, drift in (("corrected", CHECK), ("not corrected", None)):
            found = errors(seed, drift)
            rows.append({"seed": seed, "way": way, "median": np.median(found), "last": found[-1], "largest": found.max()})
    lines = [
        f"Drift 1 nm/h, creep {PROFILE.creep:.1%} a decade, frame {SCALE.frame:g} nm, step {SCALE.step:g} nm; "
        f"{SCALE.budget} spectra of {AVERAGES} sweeps each.",
        "",
        "| way | median error, nm | of the last spectrum | largest (worst seed) | seeds below one step at the end |",
        "|---|---|---|---|---|",
    ]
    for way in ("corrected", "not corrected"):
        mine = [row for row in rows if row["way"] == way]
        median, last = (np.median([row[key] for row in mine]) for key in ("median", "last"))
        worst, below = max(row["largest"] for row in mine), sum(row["last"] < SCALE.step for row in mine)
        lines.append(f"| {way} | {median:.3f} | {last:.3f} | {worst:.3f} | {below} of {len(mine)} |")
    write("plans_drift", lines, rows)


if __name__ == "__main__":
    main()
