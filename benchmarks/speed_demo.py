"""What the demo costs: measures of `bench_speed`, in an environment of either build."""

import sys
from tempfile import TemporaryDirectory

from bench_speed import ran, report


def demo():
    """Processor time, in s, and memory, in GB, of the demo, and processor time of its replay alone."""
    with TemporaryDirectory() as folder:
        cli = [sys.executable, "-m", "bluesky_stm.cli"]
        seconds, memory = ran([*cli, "demo", "--catalog", folder])
        again, _ = ran([*cli, "replay", "--catalog", folder])
    return {"demo": seconds, "memory of the demo": memory, "replay of the demo": again}


if __name__ == "__main__":
    report(demo)
