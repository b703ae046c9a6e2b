#!/usr/bin/env bash
# Expected: "nan" in a column of a SPEC file, which is how C and Python print it, is read as not-a-number, or refused.
# Seen (silx 3.1.3): SpecFile reads nan and inf as 0.0 without a warning, so a place that has no value becomes one that was measured to be zero. In the last
#   column the whole row is left out instead, with "Error on scan 1 line 2" on the error stream, so the columns are shorter than the scan. 2e400 is read as inf.
# Hurts: an average, a fit or a map of a column with failed readings: the mean of (2, nan, 4) is 2 and the least value is 0.
# Do: numpy.loadtxt reads the rows of the same file right; or leave out the rows without a value before writing SPEC.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "silx==3.1.3" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version
from pathlib import Path

import numpy as np
from silx.io.specfile import SpecFile

print("silx", version("silx"))
Path("gap.spec").write_text(
    "#F gap.spec\n#D Sun Nov 29 10:00:00 2026\n\n#S 1 ascan x 0 2 2 1\n#D Sun Nov 29 10:00:00 2026\n#N 4\n#L x  gap  current  z\n0 2.0 0.1 5\n1 nan inf 6\n2 4.0 0.3 7\n"
)
scan = SpecFile("gap.spec")[0]
gap, current = scan.data_column_by_name("gap"), scan.data_column_by_name("current")
right = np.loadtxt("gap.spec")
print("silx  :", gap, current, "mean gap", gap.mean())
print("numpy :", right[:, 1], right[:, 2], "mean gap of what was measured", np.nanmean(right[:, 1]))
assert np.isnan(right[1, 1]) and np.isinf(right[1, 2])
assert gap.tolist() == [2.0, 0.0, 4.0] and current.tolist() == [0.1, 0.0, 0.3]
Path("last.spec").write_text(Path("gap.spec").read_text().replace("inf 6", "0.2 nan"))
rows = SpecFile("last.spec")[0].data_column_by_name("x")
print("nan in the last column: the rows that are left are x =", rows)
assert rows.tolist() == [0.0, 2.0]
PY
echo "as ever: not-a-number is read as zero"
