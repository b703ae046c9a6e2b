"""What everything around physics and linear algebra costs, beside the build of commit 2037f2f.

    make speed [PARTS="surface start"] [REPEATS=5]
    python benchmarks/bench_speed.py benchmarks/results/speed.md [surface ...] [--repeats 5]

Both builds are installed into folders of their own, and measured in turn by processes that see one of them only, with one
thread each and the same packages of others. A figure is processor time, the median of such processes. Rows of parts of the
table that were not asked for stay as they are in the file; below it stands what each part was measured with, and how many
other processes wanted the processors at that time.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

HERE = Path(__file__).parent
OLD = "2037f2f"
REPEATS = 5
TREE = ("bluesky_stm", "devices", "plans", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


class Row(NamedTuple):
    """What is held against a bar: a measure of this build over another one, of the old build where no other is named."""

    part: str
    measure: str
    most: float
    over: str = ""


ROWS = [
    Row("surface", "sweep", 1.0),
    Row("surface", "sweep", 8.0, "sweep in a grid"),
    Row("surface", "sweep in a grid", 1.0),
    Row("surface", "move", 0.5),
    *(Row("surface", f"topograph of {side} nm", 0.6) for side in (500, 200, 50, 10)),
    Row("surface", "scene", 1 / 3),
    Row("documents", "validation of an Event", 0.15),
    Row("storage", "load_run of 3,000 spectra", 1 / 3),
    Row("storage", "report of 3,000 spectra", 1 / 3),
    Row("agent", "quiet agent step, n = 1000", 0.15, "exact GP, n = 1000"),
    Row("agent", "quiet agent step, n = 1000", 1.0),
    Row("agent", "agent step, n = 50", 0.5),
    Row("agent", "agent step, n = 25", 0.5),
    Row("start", "ls of 3 runs", 3.0, "import msgpack, msgpack_numpy, rich"),
    Row("start", "simulated()", 1.5, "import bluesky, ophyd"),
    Row("start", "--help", 1.2, "import typer, rich"),
    Row("demo", "demo", 0.4),
    Row("demo", "memory of the demo", 0.7),
    Row("demo", "replay of the demo", 0.5),
    Row("index", "index, a run of 10 Events", 0.1),
    Row("index", "index, a run of 500 Events", 0.2),
    Row("index", "index, 1,000 runs of 10 Events", 1.0, "3 minutes"),
    Row("setup", "size of the default environment", 1.0, "1.2 GB"),
    Row("setup", "packages of the default environment", 1.0, "110 packages"),
]


# ---- within a process that sees one build ----


def measured(function, times):
    """Return the mean processor time of a call, in s."""
    begun = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - begun) / times


def ran(command):
    """Run a command; return its processor time, in s, and the most memory that it held, in GB."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def report(*functions):
    """Print what the functions found, by the names of the measures."""
    print(json.dumps({name: seconds for function in functions for name, seconds in function().items()}))


# ---- the table ----


def build(commit, folder):
    """Install a build (None: the working tree) into a folder in which processes see it alone; return that folder."""
    source = folder.with_suffix(".source")
    source.mkdir()
    archive = subprocess.run(["git", "archive", commit or "HEAD", *TREE], cwd=HERE.parent, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    if not commit:
        for part in TREE:
            copy = shutil.copytree if (HERE.parent / part).is_dir() else shutil.copy
            copy(HERE.parent / part, source / part, **({"dirs_exist_ok": True} if copy is shutil.copytree else {}))
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", folder, source]
    subprocess.run(command, check=True)
    return folder


def measures(part, folder):
    """Run the measures of a part in a process that sees the build in ``folder``."""
    seen = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / f"speed_{part}.py")]
    done = subprocess.run(command, cwd=folder, env=seen, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compared(part, builds, repeats):
    """Return the medians of each measure of a part, for each build."""
    found = {name: [] for name in builds}
    for _ in range(repeats):
        for name, folder in builds.items():
            found[name].append(measures(part, folder))
    return {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()}


def written(row, found):
    """Return a row of the table."""
    new, old = found["new"], found["old"]
    over = new[row.over] if row.over else old[row.measure]
    ratio = new[row.measure] / over
    beside = (row.over if row.over[:1].isdigit() else f"{row.over}: {said('', over)}") if row.over else said(row.measure, over)
    verdict = "" if ratio <= row.most else " **missed**"
    mine = said(row.measure, new[row.measure])
    return f"| {row.part} | {row.measure} | {mine} | {beside} | {ratio:.2f}{verdict} | {row.most:.2g} |"


def said(measure, value):
    """Return a value with its unit, which the name of its measure tells."""
    if "packages" in measure:
        return f"{value:.0f}"
    if "memory" in measure or "size" in measure:
        return f"{value:.3g} GB"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def commit():
    """Return the commit of the working tree, with ``+`` where it was changed since."""
    say = lambda *asked: subprocess.run(["git", *asked], cwd=HERE.parent, capture_output=True, text=True).stdout.strip()  # noqa: E731
    return say("rev-parse", "--short", "HEAD") + "+" * bool(say("status", "--porcelain", "--", *TREE))


def merged(before, parts, rows, told):
    """Return the page with new ``rows`` of some parts, ``told`` how they were measured; the rest stays as it was ``before``."""
    kept, notes = [], [told]
    for line in before.splitlines():
        if line.startswith("| ") and line.split(" | ")[0][2:] not in (*parts, "part"):
            kept.append(line)
        elif line.startswith("Rows of ") and ": beside commit" in line:
            named, how = line.removeprefix("Rows of ").split(":", 1)
            left = [part for part in named.split(", ") if part not in parts]
            notes += [f"Rows of {', '.join(left)}:{how}"] if left else []
    head = [
        "| part | measure | this build | beside: the old build, or what is named | ratio | bar |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([__doc__, *head, *sorted([*rows, *kept]), "", *notes]) + "\n"


def main():
    """Measure what is asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("parts", nargs="*", choices=[[], *sorted({row.part for row in ROWS})])
    asked = parser.parse_args()
    parts = asked.parts or list(dict.fromkeys(row.part for row in ROWS))
    with TemporaryDirectory() as folder:
        builds = {name: build(of, Path(folder) / name) for name, of in (("new", None), ("old", OLD))}
        found = {part: compared(part, builds, asked.repeats) for part in parts}
    rows = [written(row, found[row.part]) for row in ROWS if row.part in found]
    version = f"Python {sys.version.split()[0]}, median of {asked.repeats} at a load of {os.getloadavg()[1]:.0f}"
    told = f"Rows of {', '.join(parts)}: beside commit {OLD}, {version}, by commit {commit()}."
    asked.file.write_text(merged(asked.file.read_text() if asked.file.exists() else "", parts, rows, told))
    print(asked.file.read_text())


if __name__ == "__main__":
    main()
