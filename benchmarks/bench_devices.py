"""What the devices cost for each spectrum, beside plain ones of ``ophyd.sim`` with arrays of the same size.

``python -m pytest benchmarks/bench_devices.py -s`` prints the figures, holds them against their bar and writes them to
``results/devices.md``. Ours is a `SimulatedController` in simulated time whose answers were measured before: of the physics,
nothing is left. Both sides carry out the same messages, in rounds one after the other, into the same embedded catalog; times
are CPU time of all threads of the process, as other work on the machine would be counted otherwise.
"""

import json
import os
import platform
import statistics
import time
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd import Component as Cpt
from ophyd import Device
from ophyd.sim import NullStatus, SynAxis, SynSignal

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.storage import open_catalog

SPECTRA, ROUNDS, POINTS = 100, 9, 121
ARRAYS = ("bias", "current", "lockin_x", "lockin_y", "didv")
NUMBERS = ("x", "y", "z", "setpoint_bias", "setpoint_current", "time", "quality")
RESULTS = Path(__file__).parent / "results"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Remembering(SimulatedController):
    """Simulated time, and no physics: every sweep gives the spectrum that was measured first, every move arrives."""

    def __init__(self):
        super().__init__(seed=1, profile="ideal")
        self.spectrum = super().sweep(SweepSettings(points=POINTS))
        self.tip = super().get_tip()

    def move_tip(self, point, speed=None):
        self._acts.clock.sleep(0.1)
        self.tip = type(self.tip)(*point, self.tip.z)
        return self.tip.point

    def get_tip(self):
        return self.tip

    def sweep(self, settings, progress=None):
        self._acts.clock.sleep(2.63)
        return self.spectrum


class PlainSpectrum(Device):
    """Five arrays and seven numbers, as a spectrum has."""

    bias, current, lockin_x, lockin_y, didv = (Cpt(SynSignal, func=lambda: np.zeros(POINTS)) for _ in ARRAYS)
    x, y, z, setpoint_bias, setpoint_current, time, quality = (Cpt(SynSignal, func=float) for _ in NUMBERS)

    def trigger(self):
        for name in self.component_names:
            getattr(self, name).trigger()
        return NullStatus()


def spectra(motor, place, detectors, number):
    """The messages of an exploration: move, sweep, read."""

    @bpp.stage_decorator(detectors)
    @bpp.run_decorator()
    def run():
        for _ in range(number):
            yield from bps.checkpoint()
            yield from bps.mv(motor, place)
            yield from bps.trigger_and_read(detectors)
            yield from bps.checkpoint()

    return run()


def ours():
    stm = STM(controller=Remembering())
    return stm.tip, Point(1.0, 2.0), [stm.sweep, stm.tip]


def plain():
    motor = SynAxis(name="motor")
    return motor, 1.0, [PlainSpectrum(name="spectrum"), motor]


def milliseconds(run, plan):
    begun = time.process_time()
    run(plan)
    return (time.process_time() - begun) / SPECTRA * 1e3


@pytest.fixture
def engine(tmp_path):
    catalog = open_catalog(tmp_path / "catalog")
    engine = RunEngine(context_managers=[])
    engine.subscribe(catalog)
    yield engine
    catalog.close()


@pytest.fixture(scope="module")
def rows():
    """What was measured; written when all is over."""
    rows = []
    yield rows
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "devices.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = [
        f"{ROUNDS} rounds of {SPECTRA} spectra of {POINTS} points, simulated time, embedded catalog; CPU time; Python "
        f"{platform.python_version()}, load {os.getloadavg()[0]:.1f}.",
        "",
        "| plan | ours, ms a spectrum | plain, ms a spectrum | ratio | lowest | highest |",
        "|---|---|---|---|---|---|",
        *("| {plan} | {ours:.2f} | {plain:.2f} | {ratio:.2f} | {lowest:.2f} | {highest:.2f} |".format(**row) for row in rows),
    ]
    (RESULTS / "devices.md").write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


@pytest.mark.parametrize("plan", ["move and sweep", "bp.count"])
def test_a_spectrum_costs_at_most_twice_what_plain_devices_cost(engine, rows, plan):
    def make(motor, place, detectors):
        return bp.count(detectors[:1], SPECTRA) if plan == "bp.count" else spectra(motor, place, detectors, SPECTRA)

    sides = {"ours": ours(), "plain": plain()}
    times = {side: [] for side in sides}
    for round_ in range(ROUNDS + 1):
        for side, parts in sides.items():
            took = milliseconds(engine, make(*parts))
            if round_:  # the first one warms up
                times[side].append(took)
    ratios = [a / b for a, b in zip(times["ours"], times["plain"], strict=True)]
    each = {side: statistics.median(values) for side, values in times.items()}
    rows.append({"plan": plan, **each, "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)})
    assert statistics.median(ratios) <= 2.0
