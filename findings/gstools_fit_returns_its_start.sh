#!/usr/bin/env bash
# Expected: the variogram of a topograph with heights in micrometres or metres is that of the same topograph in nm: the same correlation length, a
#   variance smaller by the square of the unit.
# Seen (GSTools 1.7.0): `fit_variogram` gives the variogram of a rough surface only while its variance is about 1. With heights in micrometres it returns
#   a nugget as large as the sill; with heights in metres a variance of 1e8 nm2 where 0.6 nm2 is right. Nothing is raised and nothing warned of; only
#   who asks for it (`return_r2=True`) sees an r2 of -1e18. The cause is the absolute tolerance at which the fit ends.
# Hurts: roughness and correlation lengths of surfaces, and kriging with such a model: its map is flat and its error of the size of the start value.
# Do: give heights in a unit in which their variance is about 1, and look at r2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "gstools==1.7.0" "numpy==2.4.6" "scipy==1.16.3"
cd "$work" && "$work/venv/bin/python" -W error - <<'PY'
from importlib.metadata import version

import gstools
import numpy as np

print("gstools", version("gstools"))
x, y = np.random.default_rng(0).uniform(0, 10, (2, 300))
surface = gstools.SRF(gstools.Exponential(dim=2, var=1, len_scale=1.5), seed=3)((x, y))
for unit, scale in (("nm", 1), ("um", 1e-3), ("m", 1e-9)):
    lag, gamma = gstools.vario_estimate((x, y), surface * scale, np.linspace(0, 5, 20))
    model = gstools.Exponential(dim=2)
    *_, r2 = model.fit_variogram(lag, gamma, return_r2=True)
    variance, nugget = model.var / scale**2, model.nugget / scale**2
    print(f"heights in {unit:2s}: length {model.len_scale:.2f} nm, variance {variance:.3g} nm2, nugget {nugget:.3g} nm2, r2 {r2:.3g}")
    if unit == "nm":
        assert r2 > 0.95 and 0.4 < variance < 0.8 and 1 < model.len_scale < 2.5
    else:
        assert r2 < -1 and (unit == "um" or variance > 1e6)
print("as ever: the fit ends where it begins when the numbers are small")
PY
