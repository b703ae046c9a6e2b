#!/usr/bin/env bash
# Expected: STM.sts of ASE gives dI/dV of a metal whose density of states is constant as a constant, and currents in the ratio of those that
#   get_averaged_current gives.
# Seen (ase 3.29.0): it is |V|: zero at the Fermi level, ten times as much at 1 V as at 0.1 V. The states between 0 and the bias are summed, which is
#   the current already; the sum is counted three times over by the interpolation between grid points (its weights add up to 3), then squared and
#   multiplied by 5000, and the result is differentiated. get_averaged_current gives the sum as it is.
# Hurts: whoever compares a calculated spectrum with a measured one: every metal looks like graphene, every band edge is smeared, and a map of
#   constant current differs from one drawn with the currents of sts.
# Do: differentiate get_averaged_current, or the sum of states at the place itself, with respect to the bias.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "ase==3.29.0" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import contextlib
import io
from importlib.metadata import version

import numpy as np
from ase import Atoms
from ase.dft.stm import STM


class Metal:
    """The answers of a calculator for states that are spaced evenly in energy and decay alike."""

    energies = np.arange(-2, 2.01, 0.05) + 0.0123
    wave = np.exp(-0.5 * 0.25 * np.arange(40)) * np.ones((12, 8, 1))

    def get_number_of_bands(self):
        return len(self.energies)

    def get_k_point_weights(self):
        return [1.0]

    def get_number_of_spins(self):
        return 1

    def get_eigenvalues(self, k, s):
        return self.energies.copy()

    def get_fermi_level(self):
        return 0.0

    def get_pseudo_wave_function(self, n, k, s):
        return self.wave


surface = Atoms("H", cell=[6, 4, 10], pbc=True)
surface.calc = Metal()
microscope = STM(surface)
with contextlib.redirect_stdout(io.StringIO()):
    bias, current, conductance = microscope.sts(0, 0, 4.0, -1, 1, 0.1)
averaged = np.array([microscope.get_averaged_current(volts, 4.0) for volts in (0.5, 1.0)])
at = {volts: conductance[np.argmin(abs(bias - volts))] for volts in (0.1, 0.5, 0.9)}
print("ase", version("ase"))
print("dI/dV at 0.1, 0.5, 0.9 V, in units of the one at 0.1 V:", [round(float(value / at[0.1]), 2) for value in at.values()])
ratio = current[-1] / current[np.argmin(abs(bias - 0.5))]
print(f"current at 1 V over that at 0.5 V: {ratio:.2f} by sts, {averaged[1] / averaged[0]:.2f} by get_averaged_current")
factor = current[-1] / averaged[1] ** 2
print(f"current of sts over the square of the one of get_averaged_current: {factor:.0f} = 5000 x 3 x 3")
assert np.isclose(factor, 45000, rtol=1e-6)
assert np.allclose([at[0.5] / at[0.1], at[0.9] / at[0.1]], [5, 9], rtol=0.01)
assert np.isclose(ratio, 4, rtol=0.01) and np.isclose(averaged[1] / averaged[0], 2, rtol=0.01)
print("as ever: the spectrum of a metal has a valley at the Fermi level")
PY
