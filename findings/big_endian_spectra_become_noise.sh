#!/usr/bin/env bash
# Expected: numbers as they lie in a Nanonis file (big-endian float32, what `numpy.fromfile(..., ">f4")` gives) are stored as these numbers or refused,
#   as pyarrow, SimpleITK, zfpy and duckdb refuse them, and tifffile, asdf, igorwriter and scipy's savemat turn them round.
# Seen: npTDMS 1.13.0 writes the bytes as they are and says in the file that they are little-endian: a current of 1.0 is read back as 4.6e-41,
#   without a word. `tiff_encode` of imagecodecs 2026.3.6 does the same with floats and integers.
# Hurts: whoever turns files of one microscope into the format of another program. Many of the wrong numbers are ordinary small ones, so a plot shows
#   noise rather than nonsense.
# Do: `array.astype(array.dtype.newbyteorder("="))` before anything is written.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "npTDMS==1.13.0" "imagecodecs==2026.3.6" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import imagecodecs
import numpy as np
from nptdms import ChannelObject, TdmsFile, TdmsWriter

print("npTDMS", version("npTDMS"), "imagecodecs", version("imagecodecs"))
current = np.array([1.0, -2.5, 0.125], dtype=">f4")


def through_tdms(values):
    with TdmsWriter("spectrum.tdms") as writer:
        writer.write_segment([ChannelObject("spectrum", "current", values)])
    return TdmsFile.read("spectrum.tdms")["spectrum"]["current"][:]


def through_tiff(values):
    return imagecodecs.tiff_decode(imagecodecs.tiff_encode(np.tile(values, (4, 1))))[0]


for name, through in (("npTDMS", through_tdms), ("imagecodecs, TIFF", through_tiff)):
    kept, native = through(current), through(current.astype("<f4"))
    print(f"{name}: {current.tolist()} come back as {kept.tolist()}; little-endian ones as {native.tolist()}")
    assert np.array_equal(native, current)
    assert np.array_equal(kept, current.view("<f4"))
print("as ever: the bytes are kept and the order is not")
PY
