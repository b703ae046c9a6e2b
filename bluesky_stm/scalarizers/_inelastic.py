"""Inelastic tunneling: the steps of dI/dV at the energy of a vibration or a spin excitation, on both sides of zero bias.

Above that energy a second way of tunneling opens, for electrons of either direction. Temperature rounds a step to 5.4 kT
[1]_, a modulation to 1.2 times its amplitude (peak), and the steps sit on an elastic background that changes smoothly with
the bias.

References
----------
.. [1] J. Lambe, R. C. Jaklevic, Phys. Rev. 165, 821 (1968), doi:10.1103/PhysRev.165.821
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.scalarizers._base import NoValueError
from bluesky_stm.scalarizers._line_fit import fit_line
from bluesky_stm.scalarizers._smearing import ResolvedScalarizer, over_modulation
from bluesky_stm.scalarizers._sweep import Sweep

STARTS: Final = np.linspace(0.15, 0.85, 15)
"""Energies, in units of half the sweep, among which the search begins."""

LEAST: Final = 0.08
"""Distance of a step from zero bias, and from the end of the sweep, in units of half the sweep."""

THERMAL_REACH: Final = 25
"""Distance from a step, in units of kT, beyond which it is 0 or 1 to nine digits."""

SAMPLES_PER_KT: Final = 20
"""Number of samples of the rounded step for each kT; straight lines between them miss it by less than 1e-4."""


@dataclass(frozen=True)
class StepFit:
    """A pair of inelastic steps.

    Attributes
    ----------
    energy : float
        Of the excitation, in eV.
    height : float
        Mean height of both steps, relative to the elastic conductance at zero bias.
    energy_std, height_std : float
        Standard deviations by the noise.
    bias, didv : ndarray of shape (n,)
        Bias, in V, and the fit there, in nS.
    """

    energy: float
    height: float
    energy_std: float
    height_std: float
    bias: Floats = field(repr=False, compare=False)
    didv: Floats = field(repr=False, compare=False)


class InelasticStep(ResolvedScalarizer):
    """Height of the steps that an excitation makes in dI/dV at plus and minus its energy, relative to the elastic conductance.

    With an ``energy`` that is given there is a value wherever the sweep reaches it: about 0 where nothing is excited. Else the
    energy is sought, and without steps there is no value.
    """

    name: str = "inelastic_step"
    which: Literal["height", "energy"] = setting("height", "", "What is returned: relative height, or the energy in eV.")
    energy: float | None = setting(
        None, units.ENERGY, "Energy of the excitation; by default it is sought in the spectrum.", gt=0
    )
    degree: int = setting(2, "", "Degree of the polynomial by which the elastic background depends on the bias.", ge=0, le=4)
    sigmas: float = setting(4.0, "", "Standard deviations by which steps that are sought must stand out of the noise.", gt=0)

    @property
    @override
    def units(self) -> str:
        return "" if self.which == "height" else units.ENERGY

    def fit(self, spectrum: Spectrum) -> StepFit:
        """Return the steps, and how certain they are.

        Raises
        ------
        NoValueError
            When the sweep does not reach beyond the steps on both sides, or none stand out of the noise.
        """
        sweep = Sweep.of(spectrum).clear
        reach, smeared = sweep.reach, self.smearing(spectrum, sweep)
        smeared.check(reach)
        background = np.vander(sweep.bias / reach, self.degree + 1, increasing=True)
        at, risen = _smeared_step(units.BOLTZMANN * self.temperature, smeared.modulation)

        def design(parameters: Floats) -> Floats:
            energy = self.energy if self.energy is not None else reach * float(parameters[0])
            steps = [np.interp(side * sweep.bias - energy, at, risen) for side in (1, -1)]
            return np.column_stack([background, *steps])

        # a step needs a background on both sides of it
        low, high = max(LEAST * reach, smeared.width), reach - max(LEAST * reach, smeared.width / 2)
        if self.energy is not None and not low < self.energy < high:
            raise NoValueError(
                f"steps at {self.energy * 1e3:.3g} meV are seen at {low * 1e3:.3g} to {high * 1e3:.3g} mV, in a sweep that "
                f"reaches {reach * 1e3:.3g} mV beyond zero bias and resolves {smeared.width * 1e3:.3g} mV"
            )
        starts = [np.empty(0)] if self.energy is not None else [np.array([start]) for start in STARTS]
        found = fit_line(sweep.didv, sweep.current, design, background, starts)
        energy, energy_std = self.energy, 0.0
        if energy is None:
            energy, energy_std = float(found.parameters[0]) * reach, float(found.deviations[0]) * reach
            if found.gain < self.sigmas:
                raise NoValueError(f"no step stands out of the noise: the best has {found.gain:.2g} standard deviations")
            if not low < energy < high or not energy_std < 0.2 * energy:
                raise NoValueError(
                    f"the steps are not determined: {energy * 1e3:.3g} meV, give or take {energy_std * 1e3:.2g}, in a sweep "
                    f"that reaches {reach * 1e3:.3g} mV beyond zero bias"
                )
        found.check(sweep.didv, "two steps")
        elastic, height = float(found.heights[0]), float(found.heights[-2:].mean())
        slopes = np.zeros(len(found.heights))
        slopes[[0, -2, -1]] = -height / elastic**2, 0.5 / elastic, 0.5 / elastic
        known = found.covariance[len(found.parameters) :, len(found.parameters) :]
        spread = math.sqrt(max(float(slopes @ known @ slopes), 0.0))
        return StepFit(energy, height / elastic, energy_std, spread, sweep.bias, found.curve)

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        found = self.fitted(spectrum)
        steps = (Mark.edge("inelastic step", side * found.energy, std=found.energy_std) for side in (-1, 1))
        return [Mark.curve("fit of two steps", found.bias, found.didv), *steps]


@lru_cache(maxsize=16)
def _smeared_step(kt: float, modulation: float) -> tuple[Floats, Floats]:
    """Return distances from the energy of a step, in eV, and what a lock-in sees of it there; 0 and 1 further away."""
    reach = THERMAL_REACH * kt + modulation
    at = np.linspace(-reach, reach, 1 + 2 * math.ceil(SAMPLES_PER_KT * reach / kt))
    return at, over_modulation(lambda energy: _step(energy / kt), at, kt, modulation)


def _step(x: Floats) -> Floats:
    """Return the thermal step of Lambe and Jaklevic: 0 far below its energy, 1 far above; x in units of kT."""
    size = np.maximum(np.abs(x), 1e-3)  # closer to 0 it is a straight line
    fallen = np.exp(-np.minimum(size, 700.0))
    below = (fallen**2 + (size - 1) * fallen) / (1 - fallen) ** 2
    return np.where(np.abs(x) < 1e-3, 0.5 + x / 6, np.where(x > 0, 1 - below, below))
