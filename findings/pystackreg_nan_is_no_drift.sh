#!/usr/bin/env bash
# Expected: two images of a surface of which one pixel is missing (NaN: a scan that was ended early, a spike taken out) are registered without it, as
#   one pixel of 16,384 says nothing about their shift, or refused.
# Seen (pystackreg 0.2.8): the shift is 0 in both directions and the rotation 0, whichever of the two images has the missing pixel and whichever
#   transformation is asked for; the same two images without it give the true shift to a thousandth of a pixel. Nothing is raised or warned of. In a stack
#   that is registered to the image before, the images after the damaged one count as shifted by nothing either.
# Hurts: drift measured from a series of topographs: an unfinished image says that the sample stood still.
# Do: fill missing pixels (nearest values do) before the registration, and refuse a shift of 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "pystackreg==0.2.8" "numpy==2.4.6" "scipy==1.16.3"
cd "$work" && "$work/venv/bin/python" -W error - <<'PY'
from importlib.metadata import version

import numpy as np
from pystackreg import StackReg
from scipy.ndimage import gaussian_filter

print("pystackreg", version("pystackreg"))
surface = gaussian_filter(np.random.default_rng(0).normal(size=(160, 160)), 3)
before, after = surface[10:138, 10:138], surface[14:142, 3:131]  # the same surface, 7 pixels along x and -4 along y later
holed = after.copy()
holed[60, 60] = np.nan
for kind in ("TRANSLATION", "RIGID_BODY", "AFFINE"):
    register = StackReg(getattr(StackReg, kind)).register
    whole, lacking = register(before, after)[:2, 2], register(before, holed)[:2, 2]
    print(f"{kind}: shift of the whole images {whole.round(3)}, with one pixel missing {lacking.round(3)}")
    assert np.allclose(whole, (7, -4), atol=0.01) and np.allclose(lacking, 0, atol=1e-9)
series = np.stack([before, holed, surface[18:146, 0:128]])
shifts = StackReg(StackReg.TRANSLATION).register_stack(series, reference="previous")[:, :2, 2]
print("in a series, one after the other:", shifts.round(3).tolist(), "where (0, 0), (7, -4), (10, -8) are right")
assert np.allclose(shifts, 0, atol=1e-9)
print("as ever: a missing pixel is no drift")
PY
