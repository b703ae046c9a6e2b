#!/usr/bin/env bash
# Expected: stmpy.load("spectrum.dat") gives bias and current as they stand in the file.
# Seen (getstmpy 0.2.0): unless told otherwise it moves the bias axis so that the first change of sign of the current lies at zero. In a gap the
#   current is noise around zero, so its first change of sign is at the edge of the gap: the axis of a sample with a gap of 0.6 eV is shifted by more
#   than 0.2 V, and not by the same amount in each spectrum. The channels keep the bias of the file, and no warning is given but one printed line.
# Hurts: semiconductors and superconductors: band edges and gaps shift from spectrum to spectrum, and a histogram of them shows the noise.
# Do: stmpy.load(path, biasOffset=False), and subtract an offset that was measured.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "getstmpy==0.2.0" "numpy==2.4.6"
cd "$work" && MPLBACKEND=Agg "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import stmpy

print("getstmpy", version("getstmpy"), "numpy", version("numpy"))
bias = np.linspace(-1.0, 1.0, 201)
ideal = np.sign(bias) * np.clip(np.abs(bias) - 0.3, 0.0, None) * 1e-9  # a gap from -0.3 to 0.3 V, no offset of any kind


def spectrum(path, current):
    with open(path, "w") as file:
        file.write("Experiment\tbias spectroscopy\t\n\n[DATA]\nBias calc (V)\tCurrent (A)\n")
        for row in zip(bias, current):
            file.write("%.6E\t%.6E\n" % row)


shifts = []
for seed in range(8):
    path = f"spectrum{seed}.dat"
    spectrum(path, ideal + 3e-12 * np.random.default_rng(seed).normal(size=201))
    loaded, plain = stmpy.load(path), stmpy.load(path, biasOffset=False)
    assert np.allclose(plain.en, bias)
    assert np.array_equal(plain.iv, loaded.iv)
    shifts.append(float(loaded.en[0] - bias[0]))
    assert np.allclose(loaded.en - bias, shifts[-1])
print("eight spectra of one gapped sample, shift of the bias axis in V:", [round(shift, 3) for shift in shifts])
assert min(shifts) > 0.2 and len({round(shift, 3) for shift in shifts}) > 1

spectrum("metal.dat", bias * 1e-9)
assert np.allclose(stmpy.load("metal.dat").en, bias)
print("a metal's spectrum keeps its axis")
print("as ever: in a gap the noise sets the zero of the energy")
PY
