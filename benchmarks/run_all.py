"""Make every result anew, and the page that lists them.

    python benchmarks/run_all.py                 all of them, one after the other (many hours)
    python benchmarks/run_all.py NAME ...        those whose names begin so: agents_ plans_drift
    python benchmarks/run_all.py --index         the page alone, results/README.md

A script that fails does not stop the others; at the end the failed ones are named. Some need more than the package: agents_real
and surface_* need published files (``BLUESKY_STM_DATA``), and arena others, without which their entries are left out.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
RESULTS = HERE / "results"


class Result(NamedTuple):
    """A file of results, what it answers, and the arguments of Python that make it anew (none: it was made by hand)."""

    name: str
    question: str
    command: tuple[str, ...] = ()


def _to_file(name: str, question: str, *more: str, script: str = "", ending: str = ".md") -> Result:
    return Result(name, question, (f"benchmarks/{script or f'bench_{name}'}.py", f"benchmarks/results/{name}{ending}", *more))


def _own(name: str, question: str, *more: str, script: str = "") -> Result:
    return Result(name, question, (f"benchmarks/{script or f'bench_{name}'}.py", *more))


MADE = [
    _to_file("agents_real", "How well is predicted what was not measured, on published runs?"),
    _own("arena", "Who finds the best places and draws the truest map in the same hours?", script="arena"),
    _to_file("agents_acquisition", "What does each acquisition function find with the same model?"),
    _to_file("agents_maps", "How few spectra draw the map?"),
    _to_file("agents_depth", "What is the net worth on scenes that no training has seen?", "60"),
    _to_file("agents_cube", "How well is the dI/dV cube reconstructed from 5 % of its spectra?"),
    _to_file("agents_novelty", "How soon are all kinds of spectra seen?", "6"),
    _to_file("agents_pareto", "How much of the front of two objectives is found?"),
    _to_file("agents_prior", "What is a parent scale worth to its child, where places are exact?"),
    _to_file("agents_step", "What does one step of the default agent cost in time and memory?"),
    _to_file("exports", "What do foreign readers and validators make of exported files?"),
    _own("plans_multiscale", "How often does a descent of three scales end at a vacancy?", "--seeds", "1-20", "101-112"),
    _to_file("plans_inherit", "What is the parent's run worth to the agent of a child frame, where the microscope drifts?"),
    _own("agents_promise", "Is the promise of the stop rule kept, and what does it save?"),
    _own("plans_stop", "Where does each stop rule end a run, and what is missed by it?"),
    _own("plans_drift", "Where were the spectra taken, with drift corrected and not?", "--seeds", "12"),
    _own("plans_tip", "How soon is a changed tip noticed, and how often for nothing?", "--seeds", "20"),
    _own(
        "bad_night",
        "Where are spectra taken when everything goes wrong, and how many such nights end at a vacancy that is in reach?",
        "--seeds",
        "12",
        "--nights",
        "on",
        "good",
    ),
    _own(
        "bad_night_full",
        "The same in whole nights of three scales?",
        "--full",
        "--first",
        "201",
        "--seeds",
        "8",
        script="bench_bad_night",
    ),
    _own("plans_dead_time", "How long does the microscope wait for decisions?"),
    Result("devices", "What do the devices cost beside plain ones?", ("-m", "pytest", "-q", "benchmarks/bench_devices.py")),
    _own("nanonis_overhead", "What does TCP cost for each spectrum?", script="bench_nanonis"),
    Result("storage", "What does storage cost?", ("-m", "pytest", "-q", "benchmarks/bench_storage.py")),
    _to_file("nanonis_commands", "Which commands of Nanonis does the simulated software answer, and what follows from each?"),
    _to_file("interferences", "Is a program at a Nanonis misled by people, faults, restarts and other programs?"),
    _to_file("trust", "Which alterations of stored runs are found, and what does the chain of digests cost?"),
    _own("reading", "What does reading a file of others cost beside its numbers alone?"),
    _own("views", "What does the live view cost?"),
    _to_file("report", "What does opening a report of a thousand spectra cost?"),
    _to_file("desk", "What do the desk and its door for language-model agents stand, and what does watching cost?"),
    _to_file("surface_speed", "How fast does the simulated microscope measure?", script="bench_surface"),
    _to_file("surface_classes", "Has the simulated surface the published spectra?", script="surface_classes"),
    _to_file("surface_learning", "Is the simulated surface as hard to learn as the real one?"),
    _to_file("surface_gallery", "Does the simulated surface look like the published one?", script="gallery", ending=".png"),
    _to_file("tip_changes", "How many jumps of the tip within a spectrum are found, and how many are reported for nothing?"),
    _to_file("speed", "What does everything cost beside the build of commit 2037f2f?"),
    Result("startup", "How long does it take from nothing to the first picture?"),
    Result(
        "house", "How does the source read to a stranger?", ("benchmarks/house.py", "--results", "benchmarks/results/house.md")
    ),
]


def files_of(result: Result) -> list[Path]:
    """Return the files that hold the result."""
    return sorted(file for file in RESULTS.iterdir() if file.stem == result.name)


def made_by(result: Result) -> tuple[str, str]:
    """Return the commits of the rows of a result, and where that is known from.

    Rows say it themselves where their script notes it. Otherwise it is the commit that stored the file, which the rows may
    be a little older than.
    """
    rows = Counter()
    for file in files_of(result):
        if file.suffix == ".json":
            stored = json.loads(file.read_text())
            for row in stored if isinstance(stored, list) else []:
                rows[_commit_in(str(row.get("made_by", "")))] += 1
    if set(rows) - {None}:
        stored_in = _stored(files_of(result))
        said = [f"{count} by {commit or f'{stored_in} or before'}" for commit, count in rows.most_common()]
        return (next(iter(rows)) if len(rows) == 1 else "; ".join(said)), "rows"
    written = [commit for file in files_of(result) if file.suffix == ".md" if (commit := _commit_in(file.read_text()))]
    return (written[0], "page") if written else (_stored(files_of(result)), "git")


def _commit_in(text: str) -> str | None:
    """Return the commit that a text names last, which is that of its newest row or column."""
    found = re.findall(r"commit ([0-9a-f]{7})[0-9a-f]*(\+?)", text)
    return "".join(found[-1]) if found else None


def _stored(files: list[Path]) -> str:
    command = ["git", "log", "-1", "--format=%h", "--abbrev=7", "--", *map(str, files)]
    return subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout.strip() or "not stored yet"


def _date(files: list[Path]) -> str:
    command = ["git", "log", "-1", "--format=%as", "--", *map(str, files)]
    return subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout.strip()


HEAD = """# Results

This page is written by `python benchmarks/run_all.py --index`. `make results` makes every result anew, which takes many hours,
and `make benchmarks` runs those that hold their figures against a bar. Compare times within a row only: each was measured
beside a floor or a peer in the same process.

A commit is that of the code which made the rows, as the rows (*rows*) or the page (*page*) say. Where they do not, it is that
of the last change of the file (*git*), and the code may be a little older. A `+` says that the code had changes that were not
committed.
"""


def index() -> str:
    """Write the page that lists every result."""
    lines = [HEAD, "| result | question | commit | known from | stored | made by |", "|---|---|---|---|---|---|"]
    for result in MADE:
        files = files_of(result)
        links = ", ".join(f"[{file.name}]({file.name})" for file in files)
        commit, source = made_by(result)
        script = next((part.removeprefix("benchmarks/") for part in result.command if part.endswith(".py")), "")
        made = f"[{script}](../{script})" if script else "by hand"
        lines.append(f"| {links} | {result.question} | {commit} | {source} | {_date(files)} | {made} |")
    return "\n".join(lines) + "\n"


def run(result: Result) -> bool:
    """Make one result anew; return True when its script ended well."""
    print(f"{result.name}: {' '.join(('python', *result.command))}", flush=True)
    begun = time.monotonic()
    done = subprocess.run([sys.executable, *result.command], cwd=HERE.parent, env={"OMP_NUM_THREADS": "1", **os.environ})
    print(f"{result.name}: {'done' if done.returncode == 0 else 'FAILED'} after {time.monotonic() - begun:.0f} s", flush=True)
    if done.returncode == 0:
        _sign(RESULTS / f"{result.name}.md")
    return done.returncode == 0


def _sign(page: Path) -> None:
    """Let a page that names no commit say by which code its rows were made."""
    if page.exists() and not _commit_in(page.read_text()):
        from made_by import made_by as maker  # it imports the agents, which a look at the index does not need

        page.write_text(f"{page.read_text().rstrip()}\n\nAll rows were made by {maker()}.\n")


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginning of the names of results")
    parser.add_argument("--index", action="store_true", help="only write the page that lists the results")
    asked = parser.parse_args()
    chosen = [r for r in MADE if not asked.names or any(r.name.startswith(name) for name in asked.names)]
    if not chosen:
        parser.error(f"There is no result {asked.names[0]!r}; there are {', '.join(r.name for r in MADE)}.")
    failed = [] if asked.index else [result.name for result in chosen if result.command and not run(result)]
    (RESULTS / "README.md").write_text(index())
    if failed:
        print(f"These failed: {', '.join(failed)}.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
