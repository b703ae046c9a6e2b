"""How fast the simulated microscope measures, beside a floor timed in the same run.

    pytest benchmarks/bench_surface.py --benchmark-columns=min,median

Floors: for a topograph one ``np.exp`` over the image; for spectra and grids the energy integral alone, ``Barrier.current`` at
the same biases and energy bins, with the states given. Everything measured includes noise, clip and lock-in. Ratios stand in
``extra_info`` and are asserted; processor time is compared, not wall time, so that a busy machine does not decide.
"""

import time
import tracemalloc

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Patch, Sweep

SWEEP = SweepSettings(-1.5, 1.5, 121)
ROUNDS = 5


@pytest.fixture(scope="module")
def stm():
    return SimulatedController(seed=1)


def cpu(function, rounds=ROUNDS, inner=1):
    """Least processor time of one call, in s."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(inner):
            function()
        times.append((time.process_time() - begun) / inner)
    return min(times)


def integral(stm, places):
    """The energy integral alone for some places, as a function to be timed."""
    sweep = Sweep(stm.surface.barrier, SWEEP.bias)
    patch = Patch(stm.surface, places)
    density, gap = patch.density(sweep.energy), patch.gap(stm.get_setpoint())
    return lambda: stm.surface.barrier.current(density, sweep.energy, SWEEP.bias, gap)


@pytest.mark.parametrize("side", [500, 200, 50, 10])
def test_topograph_of_512_lines(benchmark, stm, side):
    """At most 1500 times ``np.exp`` over as many numbers; guide 0.5 s."""
    frame = Frame.square((0, 0), side, 512)
    numbers = np.random.default_rng(0).random((512, 512))
    benchmark.pedantic(stm.scan, (frame,), rounds=3, warmup_rounds=1)
    ratio = cpu(lambda: stm.scan(frame), 3) / cpu(lambda: np.exp(numbers), 20)
    benchmark.extra_info["times np.exp"] = round(ratio)
    print(f"\n{side} nm: {ratio:.0f} times np.exp")
    assert ratio < 1500


def test_a_spectrum(benchmark, stm):
    """At most 4 times its energy integral; guide 1 ms."""
    stm.sweep(SWEEP)
    benchmark.pedantic(stm.sweep, (SWEEP,), rounds=50, warmup_rounds=2)
    ratio = cpu(lambda: stm.sweep(SWEEP), inner=50) / cpu(integral(stm, np.array([stm.get_tip().point])), inner=50)
    benchmark.extra_info["times the integral"] = round(ratio, 2)
    print(f"\n{ratio:.2f} times the integral")
    assert ratio < 4


def test_a_grid_of_180_by_180(benchmark, stm):
    """At most twice its energy integrals, in less than 2 GiB; guide 10 s."""
    frame = Frame.square((0, 0), 250, 180)
    benchmark.pedantic(stm.grid, (frame, SWEEP), rounds=1)
    rows = [integral(stm, places) for places in frame.points()[::12]]
    ratio = cpu(lambda: stm.grid(frame, SWEEP), 1) / (12 * sum(cpu(row, 3) for row in rows))
    benchmark.extra_info["times the integral"] = round(ratio, 2)
    print(f"\n{ratio:.2f} times the integral")
    assert ratio < 2


def test_a_grid_of_180_by_180_needs_less_than_two_gibibytes(stm):
    tracemalloc.start()
    try:
        stm.grid(Frame.square((0, 0), 250, 180), SWEEP)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"\n{peak / 2**20:.0f} MiB")
    assert peak < 2**31


def test_memory_grows_with_the_tile_and_not_with_the_frame(stm):
    """Beyond the image itself, four times as many pixels take no more."""
    extra = []
    for pixels in (256, 512):
        places = Frame.square((0, 0), 50, pixels).points()
        tracemalloc.start()
        try:
            image = stm.surface.height(places)
            extra.append(tracemalloc.get_traced_memory()[1] - image.nbytes)
        finally:
            tracemalloc.stop()
    assert extra[1] < extra[0] + 2**19
