#!/usr/bin/env bash
# Expected: features that are seen before and after two bad images (`link(..., memory=...)` keeps their names) tell the drift across them: at one pixel an
#   image the drift of image 7 is 7 pixels, whether images 4 and 5 were used or not.
# Seen (trackpy 0.7): `compute_drift` adds up steps between neighbouring frames only, and takes what lies across a gap for no drift at all: image 6 is missing in the
#   table, and the drift of image 7 is 4 pixels. `subtract_drift` then leaves three pixels of drift in the later images; the documentation says nothing of gaps.
# Hurts: whoever follows the drift of a night by its atoms or adsorbates and leaves out the images in which the tip changed.
# Do: number the images that are left one after the other and keep their times apart, or subtract the positions of the first image feature by feature.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "trackpy==0.7" "numpy==2.4.6" "pandas==3.0.3" "scipy==1.17.1"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
import trackpy

print("trackpy", version("trackpy"))
trackpy.quiet()
atoms = np.random.default_rng(0).uniform(0, 100, (20, 2))


def drift(left_out):
    """The drift in x that trackpy finds; all atoms move by exactly one pixel an image."""
    seen = [{"frame": n, "x": x + n, "y": y} for n in range(10) if n not in left_out for x, y in atoms]
    tracks = trackpy.link(pd.DataFrame(seen), 4, memory=3)
    assert tracks.particle.nunique() == len(atoms)  # every atom was found again behind the gap
    return trackpy.compute_drift(tracks)["x"]


whole, gap = drift(()), drift((4, 5))
print("all images:            ", {int(n): round(float(x), 1) for n, x in whole.items()})
print("images 4 and 5 left out:", {int(n): round(float(x), 1) for n, x in gap.items()})
assert abs(whole[7] - 7) < 1e-6 and 6 not in gap.index
assert abs(gap[7] - 4) < 1e-6
print("as ever: the drift across a gap is taken for none")
PY
