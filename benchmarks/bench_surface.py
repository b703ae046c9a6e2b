"""How fast the simulated microscope measures, beside floors timed in the same run.

    python benchmarks/bench_surface.py benchmarks/results/surface_speed.md
    pytest benchmarks/bench_surface.py

Everything measured includes noise, clip and lock-in. A topograph is compared with one ``np.exp`` over the image. Spectra and
grids are compared with the energy integral of the same places, in three ways:

- *summed*: ``Barrier.current``, the current of each place at its own gap, energy by energy.
- *products*: in double precision the matrix products of the states with the kernels of current and lock-in at six gaps,
  between which the gap of each place lies. It is what a plain program would do; ours leaves out energies that cannot
  contribute, and calculates in single precision.
- *bare product*: of the states with one kernel, as if all places had the same gap and there was no lock-in. Nothing
  measured could be had for that; drawing the noise of a grid alone takes longer.

Processor time is compared, not wall time, the least of several rounds in which both take turns, so that a busy machine does
not decide. Bars: topograph at most 1500 times ``np.exp``, spectrum at most 4 and grid at most 2 times the integral.
"""

import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import SurfacePoints, SweepIntegral

SWEEP = SweepSettings(-1.5, 1.5, 121)
GAPS = 6
SIDES = (500, 200, 50, 10)
GRID = Frame.square((0, 0), 250, 180)


@pytest.fixture(scope="module")
def stm():
    return SimulatedController(seed=1)


def least(functions, rounds, inner=1):
    """Least processor time of one call of each function, in s; they take turns."""
    times = np.full((rounds, len(functions)), np.inf)
    for row in times:
        for i, function in enumerate(functions):
            begun = time.process_time()
            for _ in range(inner):
                function()
            row[i] = (time.process_time() - begun) / inner
    return times.min(axis=0)


def integrals(stm, places):
    """The energy integral of some places as three functions to be timed: summed, products, bare product."""
    sweep = SweepIntegral(stm.surface.barrier, SWEEP.bias)
    patch = SurfacePoints(stm.surface, places)
    states, gap = patch.states(sweep.edges).astype(float), patch.gap(stm.get_setpoint())
    kernels = np.random.default_rng(0).random((states.shape[1], GAPS * 2 * SWEEP.points))
    bare = np.ascontiguousarray(kernels[:, : SWEEP.points])
    return (
        lambda: stm.surface.barrier.current(states, sweep.edges, SWEEP.bias, gap),
        lambda: states @ kernels,
        lambda: states @ bare,
    )


def of_topograph(stm, side, rounds=8):
    """Time of a topograph of 512 x 512 pixels and of the exponential, in s."""
    frame, numbers = Frame.square((0, 0), side, 512), np.random.default_rng(0).random((512, 512))
    return least([lambda: stm.scan(frame), lambda: np.exp(numbers)], rounds)


def of_spectrum(stm):
    """Time of a spectrum and of its integrals, in s."""
    stm.sweep(SWEEP)
    return least([lambda: stm.sweep(SWEEP), *integrals(stm, np.array([stm.get_tip().point]))], 20, inner=20)


def of_grid(stm, rounds=3):
    """Time of the grid and of its integrals, in s; of the latter every twelfth row."""
    taken = least([lambda: stm.grid(GRID, SWEEP)], rounds)
    rows = [least(integrals(stm, places), rounds) for places in GRID.points()[::12]]
    return np.concatenate([taken, 12 * np.sum(rows, axis=0)])


def grid_memory(stm):
    """Largest memory that a grid takes, in bytes."""
    tracemalloc.start()
    try:
        stm.grid(GRID, SWEEP)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("side", SIDES)
def test_a_topograph_takes_at_most_1500_exponentials(stm, side):
    taken, floor = of_topograph(stm, side)
    assert taken / floor < 1500


def test_a_spectrum_takes_at_most_four_times_its_integral(stm):
    taken, summed, *_ = of_spectrum(stm)
    assert taken / summed < 4


def test_a_grid_takes_at_most_twice_its_integrals(stm):
    """Whether they are summed or had as matrix products."""
    taken, summed, products, _ = of_grid(stm)
    assert taken / summed < 2
    assert taken / products < 2


def test_a_grid_of_180_by_180_needs_less_than_two_gibibytes(stm):
    assert grid_memory(stm) < 2**31


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


def table(stm):
    """What was measured, as Markdown."""
    lines = ["| topograph, 512 x 512 | s | times `np.exp` (bar 1500) |", "|---|---|---|"]
    for side in SIDES:
        taken, floor = of_topograph(stm, side)
        lines.append(f"| {side} nm | {taken:.2f} | {taken / floor:.0f} |")
    lines += ["", "| | s | times the integral summed | as products | as a bare product |", "|---|---|---|---|---|"]
    for name, times, digits in (
        ("spectrum, 121 points (bar 4)", of_spectrum(stm), 5),
        ("grid, 180 x 180 x 121 (bar 2)", of_grid(stm), 2),
    ):
        ratios = " | ".join(f"{times[0] / floor:.2f}" for floor in times[1:])
        lines.append(f"| {name} | {times[0]:.{digits}f} | {ratios} |")
    lines.append(f"\nThe grid takes {grid_memory(stm) / 2**20:.0f} MiB at most (bar 2048). One core, processor time.")
    return "\n".join(lines)


if __name__ == "__main__":
    text = f"{__doc__}\n{table(SimulatedController(seed=1))}\n"
    Path(sys.argv[1]).write_text(text)
    print(text)
