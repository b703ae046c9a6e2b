"""What everything around physics and linear algebra costs, beside the build of commit 2037f2f.

    python benchmarks/bench_speed.py benchmarks/results/speed.md [surface ...]

Both builds are copied into folders of their own, and measured in turn by processes that see one of them only, one thread each,
with the same packages of others. A figure is processor time, the median of five such processes (``--repeats``). Rows of parts
of the table that were not asked for stay as they are in the file.
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
PARTS = ("bluesky_stm", "devices", "plans")


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
    Row("agent", "quiet agent step, n = 1000", 0.15, "exact GP, n = 1000"),
    Row("agent", "quiet agent step, n = 1000", 1.0),
    Row("agent", "agent step, n = 50", 0.5),
    Row("agent", "agent step, n = 25", 0.5),
]


# ---- within a process that sees one build ----


def measured(function, times):
    """Return the mean processor time of a call, in s."""
    begun = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - begun) / times


def report(*functions):
    """Print what the functions found, by the names of the measures."""
    print(json.dumps({name: seconds for function in functions for name, seconds in function().items()}))


# ---- the table ----


def build(commit, folder):
    """Copy a build (None: the working tree) into a folder in which processes see it alone; return that folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit or "HEAD", *PARTS], cwd=HERE.parent, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    if not commit:
        for part in PARTS:
            shutil.copytree(HERE.parent / part, folder / part, dirs_exist_ok=True)
    for part in PARTS[1:]:
        (folder / part).rename(folder / PARTS[0] / part)
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
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
    beside = f"{row.over}: {over * 1e3:.3g} ms" if row.over else f"{over * 1e3:.3g} ms"
    verdict = "" if ratio <= row.most else " **missed**"
    return (
        f"| {row.part} | {row.measure} | {new[row.measure] * 1e3:.3g} ms | {beside} | {ratio:.2f}{verdict} | {row.most:.2g} |"
    )


def commit():
    """Return the commit of the working tree, with ``+`` where it was changed since."""
    say = lambda *asked: subprocess.run(["git", *asked], cwd=HERE.parent, capture_output=True, text=True).stdout.strip()  # noqa: E731
    return say("rev-parse", "--short", "HEAD") + "+" * bool(say("status", "--porcelain", "--", *PARTS))


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
    before = asked.file.read_text().splitlines() if asked.file.exists() else []
    kept = [line for line in before if line.startswith("| ") and line.split(" | ")[0][2:] not in (*parts, "part")]
    rows = [written(row, found[row.part]) for row in ROWS if row.part in found]
    version = f"Python {sys.version.split()[0]}, median of {asked.repeats}"
    made = [f"Rows of {', '.join(parts)}: beside commit {OLD}, {version}, by commit {commit()}."]
    made += [
        line for line in before if line.startswith("Rows of ") and not set(line[8:].split(":")[0].split(", ")) & set(parts)
    ]
    head = [
        "| part | measure | this build | beside: the old build, or what is named | ratio | bar |",
        "|---|---|---|---|---|---|",
    ]
    asked.file.write_text("\n".join([__doc__, *head, *sorted([*rows, *kept]), "", *made]) + "\n")
    print(asked.file.read_text())


if __name__ == "__main__":
    main()
