#!/usr/bin/env bash
# Expected: a reader of Nanonis spectra opens each file that Nanonis writes; a header value that it does not understand stays text.
# Seen (nanonis-xarray 0.1.9): where the oscillation controller is there (any microscope with a qPlus sensor), Nanonis writes its cut-off frequencies as "1.55k".
#   The reader multiplies that text by its unit, hertz, and the whole file ends in a TypeError that speaks of numpy's string multiply and names neither line nor file.
#   The same line in plain digits is read as a quantity in Hz.
# Hurts: every user of a combined STM and AFM: not one of their spectra opens, though the spectrum itself is read without trouble.
# Do: parse the table below [DATA] with pandas, or take the letter out of the header in a copy of the file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "nanonis-xarray==0.1.9" "numpy==2.4.6" "pint==0.25.3" "pandas==2.3.3"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version
from pathlib import Path

from nanonis_xarray.read_dat import read_dat

print("nanonis-xarray", version("nanonis-xarray"), "pint", version("pint"))


def opened(cutoff):
    """Write a spectrum as Nanonis does, with this cut-off frequency in its header, and open it."""
    rows = "\n".join(f"{0.1 * k:.7E}\t{1e-11 * k:.7E}" for k in range(-3, 4))
    header = f"Experiment\tbias spectroscopy\t\nOscillation Control>Demod 2 Cut off frq (Hz)\t{cutoff}\t\n"
    Path("spectrum.dat").write_text(f"{header}\n[DATA]\nBias calc (V)\tCurrent (A)\n{rows}\n")
    return read_dat("spectrum.dat")


plain = opened("1550")
print("1550 :", dict(plain.sizes), plain.attrs["header"]["Oscillation Control"])
assert plain.sizes == {"bias_calc": 7}
try:
    opened("1.55k")
except TypeError as error:
    print("1.55k:", type(error).__name__, error)
    assert "spectrum.dat" not in str(error) and "cut off" not in str(error).lower()
else:
    raise SystemExit("1.55k was read")
PY
echo "as ever: a frequency with a k closes the whole file"
