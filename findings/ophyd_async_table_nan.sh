#!/usr/bin/env bash
# Expected: a Table with a column of float64 takes any float64, NaN included: NaN is how a missing sample is written everywhere in this stack.
# Seen (ophyd-async 0.21.3): a column with a NaN is refused with "Cannot cast [...] to float64 without losing precision", although it is float64
#   already; infinity passes. An Array1D signal of the same type takes the NaN.
# Hurts: spectra kept as a table of bias, current and lock-in: one sweep that ended early, or one point at which the preamplifier clipped, and the
#   whole table cannot be set; the message speaks of precision.
# Do: keep columns that may have gaps as signals of Array1D, or carry a column of validity and a number in place of the NaN.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "ophyd-async==0.21.3"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import asyncio
from importlib.metadata import version

import numpy as np
from ophyd_async.core import Array1D, Table, soft_signal_rw

print("ophyd-async", version("ophyd-async"), "pydantic", version("pydantic"), "numpy", version("numpy"))


class Sweep(Table):
    bias: Array1D[np.float64]
    current: Array1D[np.float64]


bias = np.linspace(-0.5, 0.5, 3)
whole = Sweep(bias=bias, current=np.array([-1.0, 0.0, 1.0]))
print("whole sweep    :", whole.current.tolist(), whole.current.dtype)
clipped = Sweep(bias=bias, current=np.array([-1.0, 0.0, np.inf]))
print("with infinity  :", clipped.current.tolist())
try:
    Sweep(bias=bias, current=np.array([-1.0, 0.0, np.nan]))
except ValueError as error:
    reason = [line.strip() for line in str(error).splitlines() if "cast" in line][0]
    print("with NaN       : refused:", reason.split(" [type")[0])
    assert "without losing precision" in reason
else:
    raise SystemExit("a Table now takes NaN")


async def as_array():
    signal = soft_signal_rw(Array1D[np.float64], name="current")
    await signal.connect()
    await signal.set(np.array([-1.0, 0.0, np.nan]))
    return await signal.get_value()


value = asyncio.run(as_array())
print("as Array1D     :", value.tolist())
assert np.isnan(value[2])
print("as ever: NaN does not equal itself, and the check of a Table's columns compares")
PY
