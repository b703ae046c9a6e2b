#!/usr/bin/env bash
# Expected: xarray.open_dataset("sweep.dat", engine="nanonis") keeps the samples in the order of the file, in the precision that is written there,
#   under the name of the first column.
# Seen (xarray-nanonis 2025.10.0): the samples are sorted by bias. A sweep up and down again in one column comes back as one curve in which the two
#   branches alternate, with each bias twice. The first column is called "bias" whatever it was: a Z spectroscopy gets distances as bias. All is
#   rounded to float32. (nanonis-xarray 0.1.9, another package with engine "nanonis_dat", refuses the sweep: "non-unique MultiIndex".)
# Hurts: hysteresis, multi-segment sweeps (the borders are there twice) and I(z) curves; a derivative of the mixed curve divides by zero.
# Do: read such files with nanonispy2 or by numpy, which keep file order, and split the branches before anything is sorted.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "xarray-nanonis==2025.10.0" "nanonis-xarray==0.1.9" "xarray==2026.9.0" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import xarray as xr

print(*(f"{name} {version(name)}" for name in ("xarray-nanonis", "nanonis-xarray", "xarray")))


def data_file(path, experiment, first, x, current):
    with open(path, "w") as file:
        file.write(f"Experiment\t{experiment}\t\nSaved Date\t01.02.2026 03:04:05\t\n\n[DATA]\n{first}\tCurrent (A)\n")
        for row in zip(x, current):
            file.write("%.6E\t%.6E\n" % row)
    return path


up = np.linspace(-0.5, 0.5, 6)
bias = np.concatenate([up, up[::-1]])
current = np.concatenate([up * 1e-9, up[::-1] * 2e-9])  # the way back carries twice the current
loop = data_file("loop.dat", "bias spectroscopy", "Bias calc (V)", bias, current)
read = xr.open_dataset(loop, engine="nanonis").load()
print("bias in the file :", bias.round(2).tolist())
print("bias that is read:", read["bias"].values.round(2).tolist(), read["bias"].dtype)
print("current in nA    :", (read["Current"].values * 1e9).round(2).tolist())
assert read["bias"].dtype == np.float32
assert np.array_equal(read["bias"].values, np.sort(bias).astype("f4"))
ratio = read["Current"].values[6:] / read["bias"].values[6:] * 1e9
assert {round(float(value)) for value in ratio} == {1, 2}, "the branches are no longer mixed"
assert not np.all(np.isfinite(np.gradient(read["Current"].values, read["bias"].values.astype("f8"))))

distance = np.linspace(0.0, 1e-10, 5)
retract = data_file("retract.dat", "Z spectroscopy", "Z rel (m)", distance, np.exp(-distance / 5e-11) * 1e-9)
read = xr.open_dataset(retract, engine="nanonis").load()
print("a Z spectroscopy has the coordinates", list(read.coords), "from", float(read["bias"][0]), "to", float(read["bias"][-1]))
assert list(read.coords) == ["bias"] and float(read["bias"][-1]) < 1e-9

try:
    xr.open_dataset(loop, engine="nanonis_dat")
except ValueError as error:
    print("engine nanonis_dat:", str(error)[:80])
else:
    raise SystemExit("nanonis-xarray now reads a sweep that visits a bias twice")
print("as ever: the order in which the instrument measured is lost")
PY
