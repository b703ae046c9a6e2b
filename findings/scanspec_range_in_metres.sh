#!/usr/bin/env bash
# Expected: `Range(axis, start, stop, step)` has start and stop as its bounds, so that no midpoint lies beyond `stop`: from 0 to 5 in steps of 0.9 there are six, the last at 4.5.
# Seen (scanspec 1.0.0): in metres the same 5 nm have seven midpoints, the last at 5.4 nm: a tolerance of the comparison is a fixed number, far larger than a step.
#   Five steps of 0.1 nm get a sixth. In nanometres or micrometres all is well.
# Hurts: whoever describes a scan of a piezo in SI units, as EPICS records of stages and the files of microscopes have them: the last place is up to a step outside.
# Do: give positions in nm to the Spec and convert where they are set; or take `Linspace`, which counts its points.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "scanspec==1.0.0" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

from scanspec.specs import Linspace, Range

print("scanspec", version("scanspec"))


def midpoints(spec, unit):
    return [round(float(point["x"]) / unit, 6) for point in spec.midpoints()]


for name, unit in (("nm", 1.0), ("m", 1e-9)):
    print(f"0 to 5 nm in steps of 0.9 nm, in {name}: {midpoints(Range('x', 0, 5 * unit, 0.9 * unit), unit)}")
assert midpoints(Range("x", 0, 5, 0.9), 1) == [0, 0.9, 1.8, 2.7, 3.6, 4.5]
assert midpoints(Range("x", 0, 5e-9, 0.9e-9), 1e-9) == [0, 0.9, 1.8, 2.7, 3.6, 4.5, 5.4]
assert midpoints(Range("x", 0, 0.5e-9, 0.1e-9), 1e-9)[-1] == 0.6
assert midpoints(Linspace("x", 0, 5e-9, 6), 1e-9)[-1] == 5
print("as ever: a range in metres goes beyond its end")
PY
