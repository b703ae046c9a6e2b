"""What TCP costs for each spectrum: a move and a sweep directly, and the same ones over the Nanonis protocol, side by side.

``python benchmarks/bench_nanonis.py`` writes ``results/nanonis_overhead.*``; as a test it asks that the overhead stays below a
tenth of what a real spectrum takes. Simulated time takes none: what is left are the commands (set, read back, swept, left as
before), the waiting for signals that are newer than the question, once for each published period, and the simulation. Client
and server are one process, so that the processor's time is that of both.
"""

import os
import statistics
import time
from collections import Counter

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import SweepSettings

SPECTRA, ROUNDS = 20, 5
PERIODS = {"1 ms": 0.001, "20 ms, as delivered": 0.02}
"""How often signals are published, in s."""

REAL = 2.63
"""Time for a published spectrum of 121 points, in s."""


def per_spectrum(controller, offset):
    """Wall time and processor time, in s, of a move and a sweep, the mean of some."""
    wall, processor = time.perf_counter(), time.process_time()
    for number in range(SPECTRA):
        controller.move_tip(Point(0.5 * number, 0.1 * offset))
        controller.sweep(SweepSettings())
    return (time.perf_counter() - wall) / SPECTRA, (time.process_time() - processor) / SPECTRA


def side_by_side(period):
    """Medians of some rounds of both, and the number of commands of a move and a sweep."""
    direct, behind = SimulatedController(seed=1), SimulatedController(seed=1)
    with NanonisServer(behind, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [period])
        controller = NanonisController(ports=server.ports)
        rounds = [(*per_spectrum(direct, n), *per_spectrum(controller, n)) for n in range(ROUNDS)]
        sent, answer = Counter(), server.software.answer
        server.software.answer = lambda command, values: sent.update([command]) or answer(command, values)
        controller.move_tip(Point(1.0, 1.0))
        controller.sweep(SweepSettings())
        server.software.answer = answer
        controller.close()
    names = ("direct", "direct_processor", "tcp", "tcp_processor")
    medians = dict(zip(names, map(statistics.median, zip(*rounds, strict=True)), strict=True))
    return {"period": period, "commands": sent.total(), "overhead": medians["tcp"] - medians["direct"], **medians}


def test_tcp_costs_little_beside_a_spectrum():
    assert side_by_side(PERIODS["1 ms"])["overhead"] < REAL / 10


def main():
    from plans_common import write

    rows = [{"name": name, **side_by_side(period)} for name, period in PERIODS.items()]
    lines = [
        f"A move and a sweep of 121 points, {rows[0]['commands']} commands; medians of {ROUNDS} x {SPECTRA}; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| published every | direct, ms | over TCP, ms | overhead, ms | of a real one | processor: direct, ms | TCP, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['direct'] * 1e3:.1f} | {row['tcp'] * 1e3:.1f} | {row['overhead'] * 1e3:.1f} | "
        f"{row['overhead'] / REAL:.1%} | {row['direct_processor'] * 1e3:.1f} | {row['tcp_processor'] * 1e3:.1f} |"
        for row in rows
    ]
    write("nanonis_overhead", lines, rows)


if __name__ == "__main__":
    main()
