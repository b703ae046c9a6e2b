#!/usr/bin/env bash
# Expected: an image that SciFiReaders reads from a Nanonis scan has its dimension "X" along the lines of the scan, the fast direction,
#   with the width of the frame, and "Y" across them, with its height.
# Seen (SciFiReaders 0.12.7, sidpy 0.12.9): the array is (line, pixel) with the uppermost line first, and its first dimension is named "X" and
#   given the width. Of a frame of 40 nm x 10 nm the lines lie 40 nm / n apart instead of 10 nm / n, a profile along "X" runs along y, and along
#   "Y" it runs along x. The numbers themselves are right.
# Hurts: whoever measures lengths or angles, or looks up the place of a spectrum, in what came out of the reader. In a square frame nothing
#   but the swapped names gives it away; with unequal numbers of pixels the reader stops with an error instead.
# Do: swap the two dimensions after reading and turn the second one round, or take the array alone and build the axes from SCAN_RANGE.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "SciFiReaders==0.12.7" "sidpy==0.12.9"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version
from pathlib import Path

import numpy as np
import SciFiReaders

pixels, width, height = 8, 40e-9, 10e-9
header = {
    "NANONIS_VERSION": "2",
    "SCANIT_TYPE": "              FLOAT            MSBFIRST",
    "REC_DATE": "01.02.2024",
    "REC_TIME": "12:00:00",
    "REC_TEMP": "290.0",
    "ACQ_TIME": "10.0",
    "SCAN_PIXELS": f"{pixels} {pixels}",
    "SCAN_FILE": "a.sxm",
    "SCAN_TIME": "1.0 1.0",
    "SCAN_RANGE": f"{width} {height}",
    "SCAN_OFFSET": "0 0",
    "SCAN_ANGLE": "0",
    "SCAN_DIR": "up",
    "BIAS": "1.0",
    "Z-CONTROLLER": "\tName\ton\tSetpoint\n\tlog Current\t1\t1E-10 A",
    "COMMENT": "",
    "DATA_INFO": "\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n\t14\tZ\tm\tboth\t1.0\t0.0",
}
# an upward scan: line n is at y = n; the height is 10 * y + x, in picometres
lines, columns = np.mgrid[:pixels, :pixels]
surface = (10 * lines + columns) * 1e-12
text = "".join(f":{key}:\n{value}\n" for key, value in header.items()) + "\n:SCANIT_END:\n\n\n"
backward = surface[:, ::-1]
Path("a.sxm").write_bytes(text.encode() + b"\x1a\x04" + np.stack([surface, backward]).astype(">f4").tobytes())

image = SciFiReaders.NanonisSXMReader("a.sxm").read()[0]
first, second = image.dim_0, image.dim_1
step = np.asarray(image)[:, 0] * 1e12, np.asarray(image)[0] * 1e12
print("SciFiReaders", version("SciFiReaders"), "with sidpy", version("sidpy"))
print(f"dimension 0: {first.name!r}, {first.values[0]:g} to {first.values[-1]:g} nm, heights along it {step[0].round().tolist()} pm")
print(f"dimension 1: {second.name!r}, {second.values[0]:g} to {second.values[-1]:g} nm, heights along it {step[1].round().tolist()} pm")
# along y the height changes by 10 pm a line, along x by 1 pm a pixel
assert first.name == "X" and np.isclose(first.values[-1], 40) and np.allclose(np.diff(step[0]), -10)
assert second.name == "Y" and np.isclose(second.values[-1], 10) and np.allclose(np.diff(step[1]), 1)
print("as ever: what is called X, 40 nm wide, runs down the lines (y), and what is called Y, 10 nm, runs along them (x)")
PY
