"""What foreign programs make of our exports: readers, and validators of NeXus.

    python benchmarks/bench_exports.py benchmarks/results/exports.md

Needs a network: it installs the programs, in the releases named, into environments of their own in a temporary folder.
"""

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from made_by import made_by

import bluesky_stm
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import cits_grid, explore, scan_topograph
from bluesky_stm.storage import export, provenance

PAGE = Path(__file__).parents[1] / "docs" / "stored-runs.md"
BEGIN, END = "<!-- foreign readers, by benchmarks/bench_exports.py -->", "<!-- end of foreign readers -->"
READERS = [
    "SciFiReaders==0.12.7",
    "sidpy==0.12.9",
    "nanonispy2==1.2.0",
    "xarray-nanonis==2025.10.0",
    "rosettasciio==0.15.0",
    "silx==3.1.3",
    "nexusformat==2.1.0",
    "netCDF4==1.7.5.1.post1",
    "polars==2.1.0",
]
VALIDATORS = ["pynxtools==0.16.0", "pynxtools-spm==0.4.1", "nexusformat==2.1.0"]
VALIDATED = {
    "run": "an exploration with its decisions, maps and drift",
    "image": "a topograph alone",
    "grid": "a grid",
    "unmodulated": "an exploration without lock-in",
}
CHANNELS = ["current", "lockin_x", "lockin_y", "didv"]


def make_files(folder):
    """Explore a simulated surface and take a small grid on it; export both in every format, and the truth beside them."""
    with bluesky_stm.simulated(seed=7, catalog=folder / "catalog") as s:
        s.RE(explore(s.stm, s.agent("terrace"), budget=9, drift={"every": 4, "pixels": 32}))
        run = s.catalog[-1]
        s.RE(cits_grid(s.stm, (4, 4), Frame((0.0, 0.0), (3.0, 3.0), (32, 32))))
        grid = s.catalog[-1]
        for name in ("run.nxs", "run.hf5", "run.nc", "run.csv", "run.parquet", "run.sxm", "one.dat"):
            export(run, folder / name, spectrum=3)
        export(grid, folder / "grid.3ds")
        s.RE(scan_topograph(s.stm, Frame((0.0, 0.0), (20.0, 20.0), (32, 32))))
        export(s.catalog[-1], folder / "image.nxs")
        s.stm.lockin.on.set(False).wait()
        s.RE(explore(s.stm, s.agent("terrace", scalarizer="positive_channel_area"), budget=5))
        export(s.catalog[-1], folder / "unmodulated.nxs")
        spectra = {name: np.stack([getattr(one, name) for one in run.spectra]) for name in CHANNELS}
        gridded = bluesky_stm.files.read_3ds(folder / "grid.3ds")
        bluesky_stm.files.write(folder / "grid.nxs", gridded, provenance(grid))
        np.savez(
            folder / "truth.npz",
            height=run.topograph.height,
            **spectra,
            **{f"one_{name}": values[3] for name, values in spectra.items()},
            **{f"grid_{name}": getattr(gridded, name) for name in CHANNELS},
        )


def environment(folder, packages):
    """Make an environment that holds some packages and nothing else; return its folder of programs."""
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "pip", "install", "-q", "--no-compile", *packages], check=True)
    return folder / "bin"


def verdict(*command):
    """Last line of what a validator says, without colours; both end with status 0, valid or not."""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", said.stdout + said.stderr).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "valid" in line or "errors" in line), lines[-1])


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_files(folder)
        readers = environment(folder / "readers", READERS)
        script = Path(__file__).with_name("foreign_readers.py")
        rows = json.loads(
            subprocess.run([readers / "python", script, folder], capture_output=True, text=True, check=True).stdout
        )
        validators = environment(folder / "validators", VALIDATORS)
        programs = [("pynxtools 0.16.0", ("validate_nexus",)), ("nxvalidate, nexusformat 2.1.0", ("nxvalidate", "-e"))]
        checks = [
            (name, file, verdict(validators / program, *options, folder / f"{file}.nxs"))
            for file in VALIDATED
            for name, (program, *options) in programs
        ]
    text = ["# What foreign programs make of the exports", "", f"Made by {made_by()}.", ""]
    text += [
        "| file | validator | verdict |",
        "|---|---|---|",
        *(f"| `{file}.nxs`, {VALIDATED[file]} | {name} | {said.replace(str(folder), '')} |" for name, file, said in checks),
    ]
    text += ["", "Arrays are ours with row 0 at the lowest y; reversed and exchanged axes are those of the reader's array.", ""]
    text += ["| reader | file | finds | does not find |", "|---|---|---|---|"]
    text += [f"| {reader} | `{file}` | {there} | {lost} |" for reader, file, there, lost in rows]
    Path(sys.argv[1]).write_text("\n".join(text) + "\n")
    into_docs(rows)
    return 0 if all("NOT valid" not in said and not re.search(r"errors: [1-9]", said) for *_, said in checks) else 1


def into_docs(rows):
    """Put the table of the readers into the page about stored runs, between its marks, a row for each file and reader."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = ["| file | read by | what it finds | what it does not find |", "|---|---|---|---|"]
    for reader, file, there, lost in sorted(rows, key=lambda row: row[1]):
        found = {}
        for hit in there.split("; ") if ": " in there else ():
            name, how = hit.split(": ", 1)
            found.setdefault(how, []).append(name.removeprefix("grid_").removeprefix("one_"))
        said = "; ".join(f"{', '.join(names)} {how}" for how, names in found.items()) or there
        table.append(f"| `{file}` | {reader} | {said} | {lost or 'nothing'} |")
    PAGE.write_text("\n".join([before + BEGIN, *table, END + after]))


if __name__ == "__main__":
    sys.exit(main())
