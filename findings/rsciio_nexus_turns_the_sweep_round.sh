#!/usr/bin/env bash
# Expected: a NeXus file whose bias axis runs from +1 V to -1 V, as most sweeps do, is read with that axis (hyperspy has negative scales), or with axis and data both turned.
# Seen (rosettasciio 0.15.0): the axis is sorted and the data are left as they are, so the spectrum is mirrored at zero bias without a warning. An axis that is
#   not evenly spaced is replaced by channel numbers: scale 1, offset 0, without the unit. A scan axis that runs downwards turns the image likewise.
# Hurts: who opens a spectroscopy grid in hyperspy: filled and empty states are exchanged, and nothing on the screen says so.
# Do: write the file with rising bias and the data turned with it (as our exports do), or set the axis by hand from the file after loading.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "rosettasciio==0.15.0" "h5py==3.15.1" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import h5py
import numpy as np
from rsciio.nexus import file_reader

print("rosettasciio", version("rosettasciio"))


def written(name, bias):
    """Write three spectra that rise with the bias and return what the reader makes of them."""
    with h5py.File(name, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        grid = entry.create_group("grid")
        grid.attrs.update(NX_class="NXdata", signal="didv", axes=["x", "bias"], x_indices=0, bias_indices=1)
        grid.create_dataset("didv", data=np.tile(np.exp(bias), (3, 1))).attrs["units"] = "nS"
        grid.create_dataset("x", data=[0.0, 1.0, 2.0]).attrs["units"] = "nm"
        grid.create_dataset("bias", data=bias).attrs["units"] = "V"
    signal = next(each for each in file_reader(name) if each["data"].ndim == 2)
    axis = signal["axes"][1]
    read = axis["offset"] + axis["scale"] * np.arange(axis["size"])
    print(f"{name}: written {bias}, read {read} {axis.get('units')}; at the greatest bias {np.asarray(signal['data'])[0][read.argmax()]:.3f} nS")
    return read, np.asarray(signal["data"])[0], axis


up = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
read, data, _ = written("up.nxs", up)
assert np.allclose(read, up) and np.allclose(data, np.exp(up))
read, data, _ = written("down.nxs", up[::-1])
assert np.allclose(read, up) and np.allclose(data, np.exp(-up))
read, data, axis = written("uneven.nxs", np.array([-1.0, -0.9, -0.5, 0.0, 1.0]))
assert np.allclose(read, np.arange(5)) and axis.get("units") is None
PY
echo "as ever: a downward sweep is mirrored, an uneven one loses its axis"
