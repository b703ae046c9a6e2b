"""A junction of a material given by its density of states alone, and its spectra by direct quadrature.

Everything here is written down again from the textbook, so that no test compares the package with itself.
"""

from dataclasses import dataclass

import numpy as np
from scipy import constants

from bluesky_stm.surface import Barrier, SweepIntegral
from bluesky_stm.surface._states import mean_states

WORK_FUNCTION = 4.5
GAP = 0.8
BOLTZMANN = constants.k / constants.e


@dataclass(frozen=True)
class Material:
    """A density of states that is the same everywhere: a function of the energy, in eV, and nothing else."""

    function: object
    names = ("amplitude",)

    def density(self, parameters, energy):
        return parameters[:, :1] * self.function(energy)


def measured(function, bias, temperature, modulation):
    """Current (nA) and dI/dV (nS) of a simulated sweep over a material with this density of states."""
    sweep = SweepIntegral(Barrier(WORK_FUNCTION, temperature, 1e7), bias, GAP, modulation)
    states = mean_states(Material(function), np.ones((1, 1)), sweep.edges)
    current, modulated = sweep(states, np.array([GAP]))
    return current[0], modulated[0] / modulation


def fermi(energy, temperature):
    return 1 / (1 + np.exp(np.clip(energy / (BOLTZMANN * temperature), -700, 700)))


def transmission(energy, bias):
    """WKB through a barrier that falls linearly over the gap, from `WORK_FUNCTION` at the sample: Simpson's rule."""
    mean = 0.0
    for place, weight in zip(np.linspace(0, 1, 9), np.array([1, 4, 2, 4, 2, 4, 2, 4, 1]) / 24, strict=True):
        mean = mean + weight * np.sqrt(2 * constants.m_e * (WORK_FUNCTION - energy + place * bias) * constants.e)
    return np.exp(-2 * mean / constants.hbar * GAP * 1e-9)


def calculated(weights, energy, bias, temperature, modulation, phases=60):
    """Current and dI/dV of a sweep by direct quadrature.

    ``weights`` (K,) are the density of states at ``energy`` (K,) times the weights of a quadrature rule. The lock-in is the
    first Fourier coefficient of the current over one period of the modulation.
    """

    def current(at):
        carried = fermi(energy - at[:, None], temperature) - fermi(energy, temperature)
        return 1e7 * (carried * transmission(energy, at[:, None])) @ weights

    angle = 2 * np.pi * (np.arange(phases) + 0.5) / phases
    moved = [2 * np.sin(a) * current(bias + modulation * np.sin(a)) for a in angle]
    return current(bias), np.mean(moved, axis=0) / modulation


def trapezoid(function, energy):
    """Weights of the trapezoidal rule times a density of states."""
    return function(energy) * np.gradient(energy)
