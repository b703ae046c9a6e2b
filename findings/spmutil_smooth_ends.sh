#!/usr/bin/env bash
# Expected: a running mean of a constant curve is that constant, also at its ends; SPMUtil's filter_1d.average_smooth is one over `box_pts` samples.
# Seen (SPMUtil 1.0.6): beyond the ends of the curve zeros are averaged in. With 5 samples the first and the last value of a constant 2 nS are
#   1.2 nS, those beside them 1.6 nS, and with 21 samples ten points on each side are pulled down, by up to 48 %.
# Hurts: dI/dV of spectra, where the ends of the sweep are where the set point is: bands seem to bend down, and a normalised conductance or a fit of a gap
#   that divides by the conductance at the ends is wrong by up to a factor of two.
# Do: cut box_pts // 2 samples at each end, or scipy.ndimage.uniform_filter1d(y, box_pts, mode="nearest").
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "SPMUtil==1.0.6" "numpy==2.4.6"
cd "$work" && MPLBACKEND=Agg "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from SPMUtil import filter_1d

print("SPMUtil", version("SPMUtil"), "numpy", version("numpy"))
constant = np.full(201, 2.0)  # nS
for samples in (5, 21):
    smooth = np.asarray(filter_1d.average_smooth(constant, samples))
    wrong = np.flatnonzero(~np.isclose(smooth, 2.0))
    print(f"{samples} samples: first {np.round(smooth[:3], 3)} nS, last {smooth[-1]:.3g} nS, {len(wrong)} of {len(constant)} wrong")
    assert len(smooth) == len(constant) and np.allclose(smooth[samples:-samples], 2.0)
    assert np.isclose(smooth[0], 2.0 * (samples // 2 + 1) / samples), "the ends are right now"
print("as ever: zeros are averaged into both ends")
PY
