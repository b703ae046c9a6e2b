#!/usr/bin/env bash
# Expected: a spectrum that was swept from +2 V to -2 V, with an axis of negative scale (hyperspy allows it, and its readers make such axes), is analysed as the same
#   spectrum swept upwards.
# Seen (hyperspy 2.5.0): `find_peaks1D_ohaver` finds no peak, without a word; with the axis turned round it finds it. `align1D` refuses ("out of the axis limits", or
#   "strictly increasing"), as do `estimate_peak_width` and `gaussian_filter`. Fits of a model and `estimate_shift1D` are right.
# Hurts: whoever counts resonances or vortex states over a grid that the instrument swept downwards, which is how many start: a map of no peaks.
# Do: `s.isig[::-1]`, then set scale and offset to the rising axis, before anything else.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "hyperspy==2.5.0" "numpy==2.4.6" "scipy==1.17.1"
cd "$work" && "$work/venv/bin/python" -W ignore - 2> >(grep -v "WARNING" >&2) <<'PY'
from importlib.metadata import version

import hyperspy.api as hs
import numpy as np

print("hyperspy", version("hyperspy"))
hs.preferences.General.show_progressbar = False


def swept(direction, moved=0):
    """A resonance at +1 V on a background, swept upwards (1) or downwards (-1); a second one may be moved by some pixels."""
    bias = direction * np.linspace(-2, 2, 41)
    peak = np.exp(-((bias - 1) ** 2) / 0.05) + 0.1
    spectra = hs.signals.Signal1D(np.vstack([peak, np.roll(peak, moved)]))
    axis = spectra.axes_manager[-1]
    axis.scale, axis.offset, axis.units = direction * 0.1, -2.0 * direction, "V"
    return spectra


def peaks(direction):
    return [round(float(place), 2) for place in swept(direction).find_peaks1D_ohaver(amp_thresh=0.3)[0]["position"]]


def aligned(direction):
    spectra = swept(direction, moved=3)
    try:
        spectra.align1D()
    except ValueError as error:
        return f"ValueError: {error}"
    return str(spectra.axes_manager[-1].axis[spectra.data.argmax(axis=-1)].round(2))


for name, direction in (("upwards", 1), ("downwards", -1)):
    print(f"swept {name}: peaks at {peaks(direction)} V; aligned: {aligned(direction)}")
assert peaks(1) == [0.99] and peaks(-1) == []
assert aligned(1) == "[1. 1.]" and aligned(-1).startswith("ValueError")
print("as ever: what was swept downwards has no peaks")
PY
