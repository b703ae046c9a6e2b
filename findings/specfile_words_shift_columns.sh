#!/usr/bin/env bash
# Expected: a SPEC file of a run has one column for each reading that its header names, or the export says that it cannot write a reading.
# Seen (suitcase-specfile 0.2.5): a text reading of two words is written without quotes, so every column to the right of it moves by one: the header names
#   7 columns, the row holds 8, and the position that a reader finds by name is a word. Readings that are arrays (every spectrum) are left out without a word.
# Hurts: a facility that hands its users SPEC files: the column "tip_x" of a run with a note about the tip holds no position.
# Do: keep text out of Events that go to SPEC (put it into the configuration), or export to another format.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "suitcase-specfile==0.2.5" "bluesky==1.15.1" "ophyd==1.11.2" "event-model==1.24.0" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version
from pathlib import Path

import bluesky.plan_stubs as bps
import numpy as np
from bluesky import RunEngine
from ophyd import Component, Device, Signal
from suitcase import specfile


class Tip(Device):
    """One reading of each kind."""

    didv = Component(Signal, value=np.linspace(0.0, 1.0, 4))
    note = Component(Signal, value="clean tip")
    x = Component(Signal, value=1.5)


def measure():
    yield from bps.open_run()
    yield from bps.create("primary")
    yield from bps.read(tip)
    yield from bps.save()
    yield from bps.close_run()


print("suitcase-specfile", version("suitcase-specfile"))
tip = Tip(name="tip")
documents = []
RunEngine({})(measure(), lambda name, document: documents.append((name, document)))
(path,) = specfile.export(documents, "exported")["stream_data"]
lines = Path(path).read_text().splitlines()
header = next(line for line in lines if line.startswith("#L "))[3:].split()
row = next(line for line in lines if line and not line.startswith("#")).split()
print("header:", header)
print("row   :", row)
named = row[header.index("tip_x")]
print(f"under tip_x, which was 1.5, stands {named!r}; tip_didv is in the header: {'tip_didv' in header}")
assert len(row) == len(header) + 1 and named == "tip" and "tip_didv" not in header
PY
echo "as ever: a reading of two words moves the columns after it, and arrays are left out"
