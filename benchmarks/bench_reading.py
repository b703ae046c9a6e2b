"""Reading files of others beside ``numpy.fromfile`` and one conversion of the same bytes, in processor time.

``python benchmarks/bench_reading.py`` makes a grid of 250 x 80 x 121 points and a scan of 1024 x 1024 pixels in 8 channels,
reads each both ways in turn, and writes ``benchmarks/results/reading.md``. The bar is a ratio of 1.5.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "files"))
import made  # the writers of the tests

from bluesky_stm import files

ROUNDS = 15
BAR = 1.5
RESULTS = Path(__file__).parent / "results" / "reading.md"


def grid(folder: Path) -> Path:
    """Write 250 x 80 spectra of 121 points with lock-in X and Y, as the published campaign has them."""
    rng, bias = np.random.default_rng(0), np.linspace(-1.5, 1.5, 121)
    scale = rng.uniform(0.5, 1.5, (80, 250, 1))
    current = 1e-10 * (bias + bias**3) * scale + 1e-13 * rng.standard_normal((80, 250, 121))
    lockin = 2e-12 * (1 + 3 * bias**2) * scale + 1e-14 * rng.standard_normal((80, 250, 121))
    channels = {"Current (A)": current, "LI Demod 1 X (A)": lockin, "LI Demod 1 Y (A)": 0.2 * lockin + 1e-12}
    return made.grid(folder / "grid.3ds", channels, limits=(-1.5, 1.5), size=(250e-9, 80e-9))


def scan(folder: Path) -> Path:
    """Write a scan of 1024 x 1024 pixels, forward and backward, of four channels."""
    rng = np.random.default_rng(1)
    names = (("Z", "m"), ("Current", "A"), ("LI Demod 1 X", "A"), ("LI Demod 1 Y", "A"))
    info = "\n".join(f"\t{k}\t{name}\t{unit}\tboth\t1.0E+0\t0.0E+0" for k, (name, unit) in enumerate(names))
    return made.sxm(folder / "scan.sxm", [1e-9 * rng.standard_normal((1024, 1024)) for _ in range(8)], info)


def plain(path: Path) -> np.ndarray:
    """Read all numbers of a file, behind its header, and convert them once."""
    data = path.open("rb").read(4096)
    mark = next(mark for mark in (b":HEADER_END:\r\n", b"\x1a\x04") if mark in data)
    return np.fromfile(path, ">f4", offset=data.index(mark) + len(mark)).astype(float)


def compared(path: Path, read: Callable[[Path], object]) -> tuple[float, float]:
    """Return the least processor time of both ways, in s, each taken in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for k, way in enumerate((plain, read)):
            begun = time.process_time()
            kept = way(path)
            times[k].append(time.process_time() - begun)
            del kept
    return min(times[0]), min(times[1])


def main() -> int:
    """Measure, write the table, and return 1 where a ratio is above the bar."""
    rows, worst = [], 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = (
            ("grid, 250 x 80 x 121, 3 channels", grid(folder), files.read),
            ("scan, 1024 x 1024, 8 channels", scan(folder), files.read_scan),
        )
        for words, path, read in cases:
            base, own = compared(path, read)
            worst = max(worst, own / base)
            size = path.stat().st_size / 2**20
            rows.append(f"| {words} | {size:.0f} | {1e3 * base:.0f} | {1e3 * own:.0f} | {own / base:.2f} |")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = [
        "# Reading files of others",
        "",
        f"Processor time, the least of {ROUNDS} rounds, both ways in turn: `numpy.fromfile` and one conversion of the same",
        "numbers to double precision, and reading with units, axes, calibration of dI/dV and quality. The bar: a ratio of 1.5.",
        "Channels of a grid stay in single precision, in which the file has them; each spectrum of it is in double precision.",
        "`python benchmarks/bench_reading.py` makes this table.",
        "",
        "| file | MiB | numpy, ms | read, ms | ratio |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"Largest memory of the process, with numpy and scipy: {most:.0f} MiB.",
        "",
    ]
    RESULTS.write_text("\n".join(text))
    print("\n".join(text))
    return int(worst > BAR)


if __name__ == "__main__":
    sys.exit(main())
