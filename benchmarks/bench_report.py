"""What a report of a thousand spectra costs: bytes, and processor time until Chromium shows it.

    python benchmarks/bench_report.py FILE.md [PAGE.html ...]

writes for each page its size and the processor time, in s, of the thread of the browser in which the page runs, the median of
five openings. Without a page it makes one, of a made-up run of 1000 spectra of 121 points on a topograph of 512 x 512. To
compare with an older page, make that one from the older source and name both.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from made_by import made_by

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))
sys.path.insert(0, str(ROOT / "tests" / "views"))

SETTLED = 3.0
"""Time after which a page is drawn, in s."""


def made(folder):
    """A page of 1000 spectra, places at random, whose values are those of a made-up surface."""
    from conftest import explore

    from bluesky_stm.geometry import Frame, Point
    from bluesky_stm.views import RunRecord, report

    record = RunRecord.of(explore(Frame(Point(0, 0), (200, 200), (512, 512)), "mesa", budget=100, seeds=50))
    record.observations[:] = 10 * record.observations
    record.decisions[:] = 10 * record.decisions
    return report(record, Path(folder) / "report.html")


def opened(path):
    """Processor time, in s, of the thread that runs the page."""
    from chromium import Chromium

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(profile)
        try:
            browser.connect()
            browser.ask("Performance.enable", timeDomain="threadTicks")
            browser.open(Path(path).resolve(), 1400)
            time.sleep(SETTLED)
            metrics = {one["name"]: one["value"] for one in browser.ask("Performance.getMetrics")["metrics"]}
        finally:
            browser.close()
        return metrics["TaskDuration"]


def main(result, pages):
    """Write a row for each page."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for page in map(Path, pages or [made(folder)]):
            spent = statistics.median(opened(page) for _ in range(5))
            rows.append(f"| {page.name} | {page.stat().st_size / 1e6:.2f} | {spent:.3f} |")
    lines = [f"A report of 1000 spectra in Chromium, median of five openings. Made by {made_by()}.", ""]
    lines += ["| page | size, MB | processor time of its thread, s |", "|---|---|---|", *rows]
    Path(result).write_text("\n".join(lines) + "\n")
    print(Path(result).read_text())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
