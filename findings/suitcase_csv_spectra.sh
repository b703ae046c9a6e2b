#!/usr/bin/env bash
# Expected: suitcase.csv.export writes a table of a run, with its arrays in some form, and returns the names of the files.
# Seen (suitcase-csv 0.3.0 with suitcase-utils 0.5.4): the table is written whole, and then each call ends in "ValueError: I/O operation on closed
#   file", because the files are closed at the stop document and once more on leaving. Fields that are arrays are left out without a word.
# Hurts: a facility that exports runs in a loop (the first run ends it); a run of spectra, of which the bias set point and the time remain.
# Do: feed the documents to suitcase.csv.Serializer by hand and never use it as a context; take another format for spectra.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "suitcase-csv==0.3.0" "suitcase-utils==0.5.4" "event-model==1.24.0" "pandas==3.1.1"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import pathlib
from importlib.metadata import version

import event_model
import numpy as np
import suitcase.csv

print("suitcase-csv", version("suitcase-csv"), "suitcase-utils", version("suitcase-utils"), "pandas", version("pandas"))


def documents():
    run = event_model.compose_run()
    yield "start", run.start_doc
    keys = {
        "setpoint": {"source": "demo", "dtype": "number", "shape": []},
        "current": {"source": "demo", "dtype": "array", "shape": [5], "dtype_numpy": "<f8"},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for number in range(3):
        reading = {"setpoint": 0.1 * number, "current": np.linspace(-1, 1, 5)}
        yield "event", stream.compose_event(data=reading, timestamps={"setpoint": 0.0, "current": 0.0})
    yield "stop", run.compose_stop()


try:
    suitcase.csv.export(documents(), "exported")
except ValueError as error:
    print("export raises ValueError:", error)
    assert "closed file" in str(error)
else:
    raise SystemExit("export no longer raises")
(path,) = pathlib.Path("exported").glob("*.csv")
lines = path.read_text().splitlines()
print("and yet the file is there:", lines[0], f"and {len(lines) - 1} rows")
assert len(lines) == 4 and "setpoint" in lines[0] and "current" not in lines[0]

serializer = suitcase.csv.Serializer("by_hand")
for name, document in documents():
    serializer(name, document)
(path,) = pathlib.Path("by_hand").glob("*.csv")
assert len(path.read_text().splitlines()) == 4
print("fed by hand it ends without an error; the spectra are missing all the same")
PY
