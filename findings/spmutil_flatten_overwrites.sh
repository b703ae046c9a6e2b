#!/usr/bin/env bash
# Expected: flattened = SPMUtil.flatten_map(heights, mode) returns a flattened map and leaves the heights as they were measured.
# Seen (SPMUtil 1.0.6): the map that is given is flattened itself, and Average returns that same array: the measured heights are gone, and a
#   comparison of both, or a second mode that is tried on "the raw map", starts from what is flattened already. With FlattenMode.Off it is left alone. With
#   LinearFit and PolyFit one pixel that was not measured (NaN) makes the whole map NaN, also in the array that was given.
# Hurts: drift and step heights that are read from the raw map afterwards; scans that were stopped lose every height, in memory and when saved.
# Do: SPMUtil.flatten_map(heights.copy(), mode), and fill missing pixels first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "SPMUtil==1.0.6" "numpy==2.4.6"
cd "$work" && MPLBACKEND=Agg "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from SPMUtil import FlattenMode, flatten_map

print("SPMUtil", version("SPMUtil"), "numpy", version("numpy"))
rows, columns = np.mgrid[:6, :9]
measured = 5 + 0.1 * rows + 0.03 * columns  # a tilted terrace, in nm
for mode in (FlattenMode.Average, FlattenMode.LinearFit, FlattenMode.Off):
    heights = measured.copy()
    flattened = flatten_map(heights, mode)
    same = np.shares_memory(flattened, heights)
    print(f"{mode.name}: the map that was given spans {np.ptp(heights):.3g} nm now, {np.ptp(measured):.3g} nm before; same array: {same}")
    changed = not np.array_equal(heights, measured)
    assert changed == (mode is not FlattenMode.Off), "the map that is given is left alone now"
heights = measured.copy()
heights[2, 3] = np.nan
flatten_map(heights, FlattenMode.LinearFit)
print("one pixel of 54 missing, LinearFit:", int(np.isnan(heights).sum()), "of 54 are NaN in the map that was given")
assert np.isnan(heights).all(), "a missing pixel stays one now"
print("as ever: the measured map is overwritten")
PY
