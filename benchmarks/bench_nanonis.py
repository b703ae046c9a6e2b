"""What TCP costs for each spectrum: a move and a sweep over the Nanonis protocol, beside the same ones directly.

``python -m pytest benchmarks/bench_nanonis.py -s`` prints the figures. Simulated time takes none; signals are published each
millisecond, so that what is left are the commands of a sweep (set, read back, swept, left as before) and the simulation.
"""

import statistics
import time
from collections import Counter

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController, NanonisServer
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import SweepSettings

SPECTRA, ROUNDS = 20, 5
SLOWEST = 0.26
"""Bar, in s for each spectrum: a tenth of what a real one of 121 points takes."""


def seconds(controller, offset):
    """For a move and a sweep, the mean of some."""
    begun = time.perf_counter()
    for number in range(SPECTRA):
        controller.move_tip(Point(0.5 * number, 0.1 * offset))
        controller.sweep(SweepSettings())
    return (time.perf_counter() - begun) / SPECTRA


def test_tcp_costs_little_beside_a_spectrum():
    direct, behind = SimulatedController(seed=1), SimulatedController(seed=1)
    with NanonisServer(behind, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        controller = NanonisController(ports=server.ports)
        rounds = [(seconds(direct, n), seconds(controller, n)) for n in range(ROUNDS)]
        sent, answer = Counter(), server.software.answer
        server.software.answer = lambda command, values: sent.update([command]) or answer(command, values)
        controller.sweep(SweepSettings())
        server.software.answer = answer
        controller.close()
    alone, over_tcp = (statistics.median(times) for times in zip(*rounds, strict=True))
    more = 1e3 * (over_tcp - alone)
    print(f"\n  a move and a sweep: direct {alone * 1e3:.1f} ms, over TCP {over_tcp * 1e3:.1f} ms: {more:.1f} ms more")
    print(f"  commands for a sweep: {sent.total()}")
    assert over_tcp - alone < SLOWEST
