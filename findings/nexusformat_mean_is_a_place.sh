#!/usr/bin/env bash
# Expected: mean(), std() and sum() of an NXdata speak of the same thing, its signal, as the documentation string of mean() says ("the mean of the group signal").
# Seen (nexusformat 2.1.0): sum() and average() are of the signal, but mean() and std() are the centre and the width of the signal taken as a
#   distribution along the axis: for a dI/dV spectrum the mean is a bias, without the unit being changed to say so. On an image they raise.
#   A slice of length one (image[1:2]) loses its axis as well, where numpy keeps it.
# Hurts: whoever reads an exported spectrum and takes data.mean() for the mean conductance, or std() for the noise of a flat stretch.
# Do: average(), or data.nxsignal.nxvalue.mean() with numpy; index the field's nxvalue to keep an axis of length one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "nexusformat==2.1.0" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from nexusformat.nexus import NeXusError, NXdata, NXfield

print("nexusformat", version("nexusformat"), "numpy", version("numpy"))
bias = np.linspace(-0.2, 0.6, 41)
conductance = 3.0 + 0.1 * np.sin(40 * bias)
spectrum = NXdata(NXfield(conductance, name="didv", units="nS"), NXfield(bias, name="bias", units="V"))

print("documentation of mean():", " ".join(NXdata.mean.__doc__.split()))
print(f"numpy : mean {conductance.mean():.4f} nS, standard deviation {conductance.std():.4f} nS, sum {conductance.sum():.2f} nS")
mean, spread, total, average = (float(getattr(spectrum, name)()) for name in ("mean", "std", "sum", "average"))
print(f"NXdata: mean() {mean:.4f}, std() {spread:.4f}, sum() {total:.2f}, average() {average:.4f}")
assert np.isclose(total, conductance.sum()) and np.isclose(average, conductance.mean())
assert np.isclose(mean, (bias * conductance).sum() / conductance.sum())
assert np.isclose(spread, np.sqrt((((bias - mean) ** 2) * conductance).sum() / conductance.sum()))

image = NXdata(
    NXfield(np.arange(12.0).reshape(3, 4), name="height"),
    (NXfield(np.arange(3.0), name="y"), NXfield(np.arange(4.0), name="x")),
)
try:
    image.mean()
except NeXusError as error:
    print("an image: mean() raises:", error)
else:
    raise SystemExit("mean() of an image no longer raises")
print("image[1:2] has shape", image[1:2].height.shape, "and image[1:3]", image[1:3].height.shape)
assert image[1:2].height.shape == (4,) and image[1:3].height.shape == (2, 4)
print("as ever: the mean of a spectrum is a place on its axis")
PY
