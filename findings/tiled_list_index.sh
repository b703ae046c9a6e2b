#!/usr/bin/env bash
# Expected: an array that is read over Tiled takes a list of rows as numpy, h5py and dask do: x[[0, 2]] is rows 0 and 2.
# Seen (tiled 0.2.20): the list is taken for a tuple. x[[0, 2]] is the one number x[0, 2], without a word; a list as long as the array has
#   dimensions never fails while its numbers fit; a longer or shorter one fails or means something else. x[::-1] is refused with HTTP 400.
# Hurts: whoever fetches chosen spectra out of a stored stack, or turns an image round so that row 0 is the lowest: the first gets a number
#   that can be broadcast into any later calculation.
# Do: read contiguous rows (x[0:3]) or the whole array, and choose, mask and turn round in numpy.
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

spectra = np.arange(12.0).reshape(3, 4)  # three spectra of four points
stored = client.write_array(spectra)
assert np.array_equal(stored.read(), spectra)

picked = stored[[0, 2]]
print("numpy  spectra[[0, 2]] :", spectra[[0, 2]].tolist())
print("tiled  stored[[0, 2]]  :", np.asarray(picked).tolist(), "with shape", np.shape(picked))
assert np.shape(picked) == () and float(picked) == spectra[0, 2]

row = stored[[2]]
print("tiled  stored[[2]]     :", np.asarray(row).tolist(), "with shape", np.shape(row), "(numpy: shape", spectra[[2]].shape, "as it should be)")
assert np.array_equal(row, spectra[2])

for label, index in (("stored[[0, 1, 2]]", [0, 1, 2]), ("stored[::-1]", slice(None, None, -1))):
    try:
        stored[index]
    except Exception as error:
        print(f"tiled  {label} raises {type(error).__name__}: {str(error)[:60]}")
    else:
        raise SystemExit(f"{label} no longer raises")
assert np.array_equal(stored[0:3][[0, 2]], spectra[[0, 2]])
print("as ever: a list inside the brackets of a Tiled array picks one element")
PY
