#!/usr/bin/env bash
# Expected: exporting a run as TIFF keeps the numbers of its images, or refuses a type that it cannot keep; TIFF holds 32- and 64-bit floats.
# Seen (suitcase-tiff 0.4.0, both tiff_series and tiff_stack): each image is turned into unsigned 16-bit counts unless told otherwise. A topograph
#   in metres becomes all zeros, one in nanometres keeps its whole nanometres, and a negative height wraps round to 65535. No warning is given.
# Hurts: a microscopist who hands topographs or conductance maps to others as TIFF; detectors at beamlines count photons, an STM does not.
# Do: pass astype="float32", and look at the minimum and maximum of what was written.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "suitcase-tiff==0.4.0" "event-model==1.24.0" "tifffile==2026.3.3"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import pathlib
import tempfile
from importlib.metadata import version

import event_model
import numpy as np
import suitcase.tiff_series
import suitcase.tiff_stack
import tifffile

print("suitcase-tiff", version("suitcase-tiff"))


def documents(image):
    run = event_model.compose_run()
    yield "start", run.start_doc
    key = {"source": "demo", "dtype": "array", "shape": list(image.shape), "dtype_numpy": "<f8"}
    stream = run.compose_descriptor(name="primary", data_keys={"height": key})
    yield "descriptor", stream.descriptor_doc
    yield "event", stream.compose_event(data={"height": image}, timestamps={"height": 0.0})
    yield "stop", run.compose_stop()


def written(module, image, **settings):
    folder = pathlib.Path(tempfile.mkdtemp(dir="."))
    module.export(documents(image), folder, **settings)
    (path,) = [path for path in folder.rglob("*") if path.is_file()]
    return tifffile.imread(path)


nm = np.array([[0.2, 0.7, 1.4], [2.6, 3.1, 4.9]])
for module in (suitcase.tiff_series, suitcase.tiff_stack):
    for unit, image in (("nm", nm), ("m", nm * 1e-9)):
        back = written(module, image)
        print(module.__name__, "heights in", unit, "come back as", back.dtype, back.ravel().tolist())
        assert back.dtype == np.uint16
        assert np.array_equal(back, np.trunc(image))
below = written(suitcase.tiff_series, nm - 1.3)
print("heights around zero come back as", below.ravel().tolist())
assert below.max() > 60000
kept = written(suitcase.tiff_series, nm, astype="float32")
print("with astype float32:", kept.ravel().tolist())
assert np.allclose(kept, nm)
print("as ever: a TIFF of a run holds 16-bit counts unless a type is given")
PY
