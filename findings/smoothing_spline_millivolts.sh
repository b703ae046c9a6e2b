#!/usr/bin/env bash
# Expected: make_smoothing_spline without `lam` chooses the smoothing by generalized cross-validation, which knows no unit: the same curve whether
#   the bias is given in volts or in millivolts.
# Seen (scipy 1.17.1): the search runs over a fixed stretch of lam, which has the unit of x cubed. The same 101 noisy samples are smoothed well with x in
#   steps of 1 or 0.01; in steps of 1e-3 and 1e-4 (sweeps over 100 and 10 mV, in volts) the result is a straight line through the data, without a
#   warning; in steps of 1e-6 it raises "ill-posed". The size of y does not matter. A change is under way upstream (a search without scale).
# Hurts: spectra of superconductors, Kondo and inelastic steps: narrow sweeps, always stored in volts: the gap is smoothed away.
# Do: divide x by its step (or give it in steps) before the call and scale derivatives back by hand; compare the residual with the noise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "scipy==1.17.1" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from scipy.interpolate import make_smoothing_spline

print("scipy", version("scipy"), "numpy", version("numpy"))
steps = np.arange(101) - 50.0
truth = 1.0 - 0.8 * np.exp(-((steps / 12.0) ** 2))  # a gap in a conductance of 1 nS
noisy = truth + 0.03 * np.random.default_rng(0).normal(size=101)


def error(step, scale=1.0):
    x = steps * step
    return float(np.sqrt(np.mean((make_smoothing_spline(x, noisy * scale)(x) / scale - truth) ** 2)))


print(f"noise of the samples: rms {np.sqrt(np.mean((noisy - truth) ** 2)):.4f}")
line = float(np.sqrt(np.mean((np.polyval(np.polyfit(steps, noisy, 1), steps) - truth) ** 2)))
print(f"a straight line through them: rms {line:.4f}")
for step in (1.0, 1e-2, 1e-3, 1e-4):
    print(f"x in steps of {step:g}: rms error {error(step):.4f} (y times 1e-9: {error(step, 1e-9):.4f})")
assert error(1.0) < 0.02 and error(1e-2) < 0.02
assert error(1e-3) > 0.9 * line and error(1e-4) > 0.9 * line
try:
    error(1e-6)
except ValueError as reason:
    print("x in steps of 1e-06: ValueError:", reason)
else:
    raise SystemExit("steps of 1e-6 no longer raise")
x = steps * 1e-4
cured = make_smoothing_spline(x / 1e-4, noisy)(x / 1e-4)
assert np.sqrt(np.mean((cured - truth) ** 2)) < 0.02
print("as ever: the unit of the bias decides whether there is a gap")
PY
