"""What the devices cost for each spectrum, beside plain ones of ``ophyd.sim`` with arrays of the same size.

``python -m pytest benchmarks/bench_devices.py -s`` prints the figures and holds them against their bars. The controller does
nothing and answers at once, so that what is left are device, RunEngine, documents and catalog; both sides run the same
messages, round by round one after the other, into the same embedded catalog.
"""

import statistics
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd import Component as Cpt
from ophyd import Device
from ophyd.sim import NullStatus, SynAxis, SynSignal

from bluesky_stm.controllers import FakeController
from bluesky_stm.devices import STM
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.storage import open_catalog

SPECTRA, ROUNDS, POINTS = 100, 7, 121
ARRAYS = ("bias", "current", "lockin_x", "lockin_y", "didv")
NUMBERS = ("x", "y", "z", "setpoint_bias", "setpoint_current", "time", "quality")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Idle(FakeController):
    """Arrives and answers at once, with one and the same spectrum."""

    def __init__(self):
        super().__init__()
        self.spectrum = super().sweep(SweepSettings(points=POINTS))

    def move_tip(self, point, speed=None):
        self._tip = point

    def sweep(self, settings, progress=None):
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
    stm = STM(controller=Idle())
    return stm.tip, Point(1.0, 2.0), [stm.sweep, stm.tip]


def plain():
    motor = SynAxis(name="motor")
    return motor, 1.0, [PlainSpectrum(name="spectrum"), motor]


def milliseconds(run, plan):
    begun = time.perf_counter()
    run(plan)
    return (time.perf_counter() - begun) / SPECTRA * 1e3


@pytest.fixture
def engine(tmp_path):
    catalog = open_catalog(tmp_path / "catalog")
    engine = RunEngine(context_managers=[])
    engine.subscribe(catalog)
    yield engine
    catalog.close()


@pytest.mark.parametrize("plan", ["move and sweep", "bp.count"])
def test_a_spectrum_costs_at_most_twice_what_plain_devices_cost(engine, plan):
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
    each = ", ".join(f"{side} {statistics.median(values):.2f} ms" for side, values in times.items())
    print(f"\n{plan}: {each} a spectrum, ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    assert statistics.median(ratios) <= 2.0


@pytest.mark.parametrize("side", [ours, plain])
def test_one_spectrum(benchmark, side):
    """Without a catalog, for the table of pytest-benchmark."""
    engine = RunEngine(context_managers=[])
    parts = side()
    benchmark.pedantic(lambda: engine(spectra(*parts, SPECTRA)), rounds=5, warmup_rounds=1)
