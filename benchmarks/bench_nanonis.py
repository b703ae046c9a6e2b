"""What TCP costs for each spectrum: a move and a sweep directly, and the same ones over the Nanonis protocol, side by side.

``python benchmarks/bench_nanonis.py`` writes ``results/nanonis_overhead.*``; as a test it asks that the overhead stays below a
tenth of what a real spectrum takes. Simulated time takes none: what is left are the commands (set, read back, swept, left as
before), the waiting for signals that are newer than the question, once for each published period, and the simulation. Client
and server are one process, so that the processor's time is that of both. ``--beside CHECKOUT`` measures another
checkout, too, in turns with this one.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController

try:
    from bluesky_stm.controllers.nanonis_server import NanonisServer
except ImportError:  # as it was called in an older checkout
    from bluesky_stm.controllers.nanonis import NanonisServer
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


def beside(checkout):
    """Processor time of a spectrum over TCP, in s, of a checkout and of this one: medians of rounds in turns."""
    here = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        trees = {name: Path(folder) / name for name in ("other", "this")}
        for tree, source in zip(trees.values(), (Path(checkout), here), strict=True):
            shutil.copytree(source / "bluesky_stm", tree / "bluesky_stm")
            for part in ("devices", "plans"):
                shutil.copytree(source / part, tree / "bluesky_stm" / part)
        times = {name: [] for name in trees}
        for _ in range(ROUNDS):
            for name, tree in trees.items():
                paths = [str(tree), str(here / "benchmarks")]
                script = f"import sys; sys.path[:0] = {paths}; import bench_nanonis as b; b.tell()"
                told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
                times[name].append(json.loads(told.stdout.splitlines()[-1]))
    return {name: statistics.median(values) for name, values in times.items()}


def tell():
    """Print the processor time of a spectrum over TCP, in s, after one round to warm up."""
    with NanonisServer(SimulatedController(seed=1), (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        controller = NanonisController(ports=server.ports)
        print(json.dumps([per_spectrum(controller, n) for n in range(2)][-1][1]))
        controller.close()


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
    if "--beside" in sys.argv:
        times = beside(sys.argv[sys.argv.index("--beside") + 1])
        told = (
            f"{times['other'] * 1e3:.1f} ms of processor time for a spectrum over TCP there, {times['this'] * 1e3:.1f} ms here"
        )
        lines += ["", f"Beside the checkout {Path(sys.argv[-1]).name}: {told}, {times['this'] / times['other']:.2f} of it."]
        rows.append({"name": "beside", **times})
    write("nanonis_overhead", lines, rows)


if __name__ == "__main__":
    main()
