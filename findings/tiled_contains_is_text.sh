#!/usr/bin/env bash
# Expected: Contains("detectors", "z") finds the runs whose list of detectors has the element "z".
# Seen (tiled 0.2.20, SQL catalog): the metadata value is searched as text. Found are also lists in which "z" is a part of another name, in
#   either case, and mappings that have it in a key; Contains("pixels", 1) finds [16, 21] and 0.1; and "_" stands for any character, as in SQL's LIKE.
# Hurts: a facility that asks for the runs with one detector or one sample, and averages, exports or deletes what comes back.
# Do: take Contains as a first sieve and test the element on each run's metadata, or store one key for each detector and search by Eq.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "tiled[server]==0.2.20"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import logging
import pathlib
from importlib.metadata import version

import numpy as np
from tiled.catalog import from_uri
from tiled.client import Context, from_context
from tiled.queries import Contains
from tiled.server.app import build_app

logging.disable(logging.INFO)
print("tiled", version("tiled"))
folder = pathlib.Path("store").resolve()
folder.mkdir()
tree = from_uri(str(folder / "catalog.db"), init_if_not_exists=True, writable_storage=[str(folder / "data")])
client = from_context(Context.from_app(build_app(tree)))

runs = {
    "height": {"detectors": ["z"], "pixels": [1, 1]},
    "quartz": {"detectors": ["quartz"], "pixels": [16, 21]},
    "noise": {"detectors": ["HZ"], "pixels": [0.1]},
    "named": {"detectors": {"z": "off"}, "pixels": [32, 32]},
    "current": {"detectors": ["current"], "pixels": [64, 64]},
}
for name, metadata in runs.items():
    client.write_array(np.zeros(2), key=name, metadata=metadata)


def found(key, value):
    names = sorted(client.search(Contains(key, value)))
    print(f"Contains({key!r}, {value!r}) finds {names}")
    return names


assert found("detectors", "z") == ["height", "named", "noise", "quartz"]
assert found("pixels", 1) == ["height", "noise", "quartz"]
assert found("detectors", "c_rrent") == ["current"]
exact = [name for name, node in client.search(Contains("detectors", "z")).items() if "z" in list(node.metadata["detectors"])]
print("sieved by hand, elements of lists and keys of mappings:", exact)
print("as ever: Contains looks for text inside of text")
PY
