"""What starting costs: measures of `bench_speed`, each of a process of its own, in an environment of either build."""

import sys
from tempfile import TemporaryDirectory

from bench_speed import ran, report

PEERS = ("import msgpack, msgpack_numpy, rich", "import bluesky, ophyd", "import typer, rich")
SESSION = "import sys, bluesky_stm; bluesky_stm.simulated(seed=1, catalog=sys.argv[1]).close()"
THREE_RUNS = """
import sys, bluesky_stm
from bluesky_stm.geometry import Point
from bluesky_stm.plans import spectrum_at

with bluesky_stm.simulated(seed=1, catalog=sys.argv[1]) as session:
    for x in range(3):
        session.RE(spectrum_at(session.stm, Point(float(x), 4.0)))
"""


def starts():
    """Processor time of a process that starts and does next to nothing, in s."""
    with TemporaryDirectory() as folder:
        cli = [sys.executable, "-m", "bluesky_stm.cli"]
        ran([sys.executable, "-c", THREE_RUNS, folder])
        found = {"ls of 3 runs": [*cli, "ls", "--catalog", folder], "--help": [*cli, "--help"]}
        found["simulated()"] = [sys.executable, "-c", SESSION, folder]
        found |= {peer: [sys.executable, "-c", peer] for peer in PEERS}
        return {name: min(ran(command)[0] for _ in range(3)) for name, command in found.items()}


if __name__ == "__main__":
    report(starts)
