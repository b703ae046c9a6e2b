#!/usr/bin/env bash
# Expected: a scan at constant current of ASE, asked for a current that is found nowhere between the lowest layer and the top of the cell, says so.
# Seen (ase 3.29.0): a current that is too large gives a height of 0 everywhere, the bottom of the cell; one that is too small gives heights above the
#   cell, where nothing was calculated. Neither raises, neither is NaN.
# Hurts: get_averaged_current and sts count currents in different units (see ase_sts_of_a_metal_is_a_valley.sh), so one is easily wrong by orders
#   of magnitude; the picture is then flat, or shows a corrugation of a thousandth of an angstrom that is drawn over the whole scale of colours.
# Do: compare the heights with the atoms and with the cell before a picture is looked at.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "ase==3.29.0" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from ase import Atoms
from ase.dft.stm import STM


class Surface:
    """The answers of a calculator for one state whose density is waved along x and decays with the height."""

    wave = np.exp(-0.5 * 0.25 * np.arange(40)) * (1 + 0.3 * np.cos(2 * np.pi * np.arange(12) / 12))[:, None, None] * np.ones((12, 8, 1))

    def get_number_of_bands(self):
        return 1

    def get_k_point_weights(self):
        return [1.0]

    def get_number_of_spins(self):
        return 1

    def get_eigenvalues(self, k, s):
        return np.array([0.5])

    def get_fermi_level(self):
        return 0.0

    def get_pseudo_wave_function(self, n, k, s):
        return self.wave


surface = Atoms("H", cell=[6, 4, 10], pbc=True)
surface.calc = Surface()
microscope = STM(surface)
right = microscope.get_averaged_current(1.0, 4.0)
print("ase", version("ase"), "- the cell is 10 angstrom high")
heights = {}
for name, current in (("as at 4 angstrom", right), ("a million times as much", 1e6 * right), ("a millionth", 1e-6 * right)):
    heights[name] = microscope.scan(1.0, current)[2]
    print(f"current {name}: heights {heights[name].min():.4f} to {heights[name].max():.4f} angstrom")
assert 3 < heights["as at 4 angstrom"].min() < 4 < heights["as at 4 angstrom"].max() < 5
assert np.all(heights["a million times as much"] == 0)
assert heights["a millionth"].min() > 10
print("as ever: a current that is not there has a height")
PY
