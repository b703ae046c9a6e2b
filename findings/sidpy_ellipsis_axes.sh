#!/usr/bin/env bash
# Expected: grid[..., 0] of a sidpy Dataset is the same image as grid[:, :, 0], with the axes y and x.
# Seen (sidpy 0.12.9): the numbers are right, the axes are not: an ellipsis is counted as one axis. Where the spectrum has as many points as the
#   image has columns, the image comes back with the axes y and bias, without a word; otherwise ValueError.
# Hurts: grids of n x n places with n points in the spectrum: plotting, interpolation and storage (pyNSID) take volts for nanometres.
# Do: write out each colon, grid[:, :, 0].
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "sidpy==0.12.9" "numpy==2.4.6"
cd "$work" && MPLBACKEND=Agg "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import sidpy

print("sidpy", version("sidpy"), "numpy", version("numpy"))


def grid(rows, columns, points):
    values = np.arange(float(rows * columns * points)).reshape(rows, columns, points)
    dataset = sidpy.Dataset.from_array(values, title="grid")
    dataset.data_type = "spectral_image"
    axes = [
        sidpy.Dimension(np.linspace(0, 2, rows), "y", units="nm", quantity="Length", dimension_type="spatial"),
        sidpy.Dimension(np.linspace(0, 5, columns), "x", units="nm", quantity="Length", dimension_type="spatial"),
        sidpy.Dimension(np.linspace(-0.1, 0.1, points), "bias", units="V", quantity="Bias", dimension_type="spectral"),
    ]
    for number, axis in enumerate(axes):
        dataset.set_dimension(number, axis)
    return dataset, values


def axes(dataset):
    return [(axis.name, axis.units, float(axis.values[-1])) for _, axis in sorted(dataset._axes.items())]


dataset, values = grid(4, 5, 5)
colons, dots = dataset[:, :, 0], dataset[..., 0]
print("grid[:, :, 0]:", axes(colons))
print("grid[..., 0] :", axes(dots))
assert np.array_equal(np.asarray(colons), values[..., 0]) and np.array_equal(np.asarray(dots), values[..., 0])
assert [name for name, *_ in axes(colons)] == ["y", "x"]
assert [name for name, *_ in axes(dots)] == ["y", "bias"]

dataset, _ = grid(4, 5, 7)
try:
    dataset[..., 0]
except ValueError as error:
    print("with 7 points in the spectrum: ValueError:", str(error)[:90])
else:
    raise SystemExit("an ellipsis now keeps the axes")
print("as ever: an ellipsis stands for one axis here")
PY
