#!/usr/bin/env bash
# Expected: a numpy record array that Tiled accepts comes back with its field names and types, or is refused.
# Seen (tiled 0.2.20): write_array takes it, read gives opaque bytes of the right size ("V24"): names and types of the fields are gone, and the numbers
#   are there only for one who knows how to cut the bytes. Plain arrays of any kind, big-endian, half precision, complex and times, come back exactly.
# Hurts: spectra kept as records of bias, current and lock-in, as numpy, HDF5 tables and instrument software like to have them.
# Do: one array for each channel, or a table (write_table of a DataFrame), which keeps its columns; as a rescue, read().view(the dtype of old).
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
from tiled.server.app import build_app

logging.disable(logging.INFO)
print("tiled", version("tiled"))
folder = pathlib.Path("store").resolve()
folder.mkdir()
tree = from_uri(str(folder / "catalog.db"), init_if_not_exists=True, writable_storage=[str(folder / "data")])
client = from_context(Context.from_app(build_app(tree)))

spectrum = np.zeros(4, dtype=[("bias", "<f8"), ("current", ">f8"), ("lockin", "<f4"), ("ordinal", "<i4")])
spectrum["bias"] = np.linspace(-0.1, 0.1, 4)
spectrum["current"] = [-1.0, -0.5, np.nan, 1.0]
back = client.write_array(spectrum).read()
print("written:", spectrum.dtype)
print("read   :", back.dtype, "fields", back.dtype.names)
assert back.dtype == np.dtype("V24") and back.dtype.names is None
try:
    back["bias"]
except IndexError as error:
    print('back["bias"]: IndexError:', str(error)[:80])
rescued = back.view(spectrum.dtype)
assert np.array_equal(rescued["bias"], spectrum["bias"]) and np.isnan(rescued["current"][2])
print("by one who knows the types:", rescued["bias"].round(3).tolist())
for kind in (">f4", "<f2", "<c8", "<M8[ns]"):
    plain = np.arange(4).astype(kind)
    assert client.write_array(plain).read().dtype == plain.dtype
print("as ever: a record array is bytes to Tiled")
PY
