"""Densities of states of metals, superconductors and graphene.

Each is an integral in closed form, too, so that energy bins of any width hold the right weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bluesky_stm.geometry import Floats


@dataclass(frozen=True)
class Resonance:
    """A discrete level that interferes with a continuum: the line shape of Fano [1]_, as an impurity of Kondo shows it [2]_.

    Its amplitude times ``(q + e)**2 / (1 + e**2) - 1``, with e the distance from its energy in units of its width, is added to
    the density of states; with an infinite q the amplitude times ``1 / (1 + e**2)``, a level that only adds to it.

    Attributes
    ----------
    name : str
    energy : float
        Energy of the resonance, in eV from the Fermi level.
    width : float
        Half of its full width at half maximum, in eV; Boltzmann's constant times the Kondo temperature.
    q : float
        Ratio of the two ways through which electrons tunnel: 0 for a dip, infinite for a peak.

    References
    ----------
    .. [1] U. Fano, Phys. Rev. 124, 1866 (1961), doi:10.1103/PhysRev.124.1866
    .. [2] V. Madhavan et al., Science 280, 567 (1998), doi:10.1126/science.280.5363.567
    """

    name: str
    energy: float
    width: float
    q: float

    def line(self, energy: Floats) -> Floats:
        """Return what an amplitude of 1 adds to the density of states at each ``energy``, in eV."""
        far = (energy - self.energy) / self.width
        return (1.0 if math.isinf(self.q) else self.q**2 - 1 + 2 * self.q * far) / (1 + far**2)

    def count(self, energy: Floats) -> Floats:
        """Return the integral of `line` from the energy of the resonance to each ``energy``, in eV."""
        far = (energy - self.energy) / self.width
        if math.isinf(self.q):
            return self.width * np.arctan(far)
        return self.width * ((self.q**2 - 1) * np.arctan(far) + self.q * np.log1p(far**2))


def _lines(resonances: tuple[Resonance, ...], amplitudes: Sequence[Floats], energy: Floats) -> Floats | float:
    """Return what resonances add to the density of states; their amplitudes have the shape (n, 1) each."""
    return sum(amplitude * each.line(energy) for each, amplitude in zip(resonances, amplitudes, strict=True) if amplitude.any())


def _counts(resonances: tuple[Resonance, ...], amplitudes: Sequence[Floats], energy: Floats) -> Floats | float:
    """Return the integral of `_lines`."""
    return sum(
        amplitude * each.count(energy) for each, amplitude in zip(resonances, amplitudes, strict=True) if amplitude.any()
    )


@dataclass(frozen=True)
class SurfaceState:
    """A metal with a two-dimensional surface state: a constant density that steps up at the bottom of its band.

    The parameters of a place are ``metal`` (density without the state), ``state`` (height of the step), ``onset`` (energy of
    the step, eV), ``width`` (broadening of the step, eV) and the amplitude of each resonance, by its name.

    Attributes
    ----------
    resonances : tuple of Resonance
        Resonances of impurities with the electrons of the metal.
    """

    resonances: tuple[Resonance, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the two densities, the two energies (eV) and the resonances."""
        return ("metal", "state", "onset", "width", *(each.name for each in self.resonances))

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the density of states, relative to that of the bare metal.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            Rows in the order of `names`; energies in eV.
        energy : ndarray of shape (K,)
            Energies, in eV from the Fermi level.

        Returns
        -------
        ndarray of shape (n, K)
            The step of the surface state, rounded by its width, on the metal, with a Fano line for each resonance.
        """
        metal, state, onset, width, *amplitudes = parameters[..., None].swapaxes(0, 1)
        with np.errstate(over="ignore"):  # far below the onset the step is 0, however large the exponential
            density = metal + state / (1 + np.exp(-(energy - onset) / width))
        return density + _lines(self.resonances, amplitudes, energy)

    def finest(self, rows: Floats) -> float:
        """Return three quarters of the smallest width of the step, in eV, or a quarter of that of a resonance."""
        width = rows[:, 3]
        step = 0.75 * max(float(width[0] + np.minimum(width[1:], 0).sum()), 0.0)
        return min([step, *(each.width / 4 for each in self.resonances)])

    def count(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the integral of `density` over the energy.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            Rows in the order of `names`; energies in eV.
        energy : ndarray of shape (K,)
            Upper ends of the integral, in eV from the Fermi level.

        Returns
        -------
        ndarray of shape (n, K)
            In eV. The metal is counted from the Fermi level, the step from far below, a resonance from its centre; only
            differences have a meaning.
        """
        metal, state, onset, width, *amplitudes = parameters[..., None].swapaxes(0, 1)
        far = (energy - onset) / width
        # The integral of the step is log(1 + exp(far)), written such that nothing overflows.
        risen = np.exp(-np.abs(far))
        np.log1p(risen, out=risen)
        risen += np.maximum(far, 0, out=far)
        risen *= state * width
        count = np.add(risen, metal * energy, out=risen)
        count += _counts(self.resonances, amplitudes, energy)
        return count


@dataclass(frozen=True)
class Superconductor:
    """A superconductor with one gap and a lifetime of its quasiparticles, and a charge density wave above the gap.

    The parameters of a place are ``metal`` (density in the normal state), ``gap`` and ``broadening`` (eV), ``charge``: by how
    much states above the Fermi level exceed those below it, relative to their mean, far from it, and the amplitude of each
    resonance, by its name.

    Attributes
    ----------
    charge_energy : float
        Energy, in eV, over which ``charge`` turns from one sign to the other: the gap of the charge density wave.
    resonances : tuple of Resonance
        Levels besides.

    References
    ----------
    R. C. Dynes, V. Narayanamurti, J. P. Garno, Phys. Rev. Lett. 41, 1509 (1978), doi:10.1103/PhysRevLett.41.1509
    """

    charge_energy: float
    resonances: tuple[Resonance, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the density, of the gap and its broadening (eV), of the imbalance of charge, and of the resonances."""
        return ("metal", "gap", "broadening", "charge", *(each.name for each in self.resonances))

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the density of states, relative to that of the normal state.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            Rows in the order of `names`; gap and broadening in eV.
        energy : ndarray of shape (K,)
            Energies, in eV from the Fermi level.

        Returns
        -------
        ndarray of shape (n, K)
            Dynes' formula, plus the imbalance between filled and empty states, plus the resonances.
        """
        metal, gap, broadening, charge, *amplitudes = parameters[..., None].swapaxes(0, 1)
        complexed = energy + 1j * np.maximum(broadening, 1e-9)
        paired = np.abs((complexed / np.sqrt(complexed**2 - gap**2)).real)
        density = metal * (paired + charge * energy / np.hypot(energy, self.charge_energy))
        return density + _lines(self.resonances, amplitudes, energy)

    def finest(self, rows: Floats) -> float:
        """Return 0, as the edges of a gap are sharper than any temperature; without a gap a quarter of a level, in eV."""
        return (
            0.0 if rows[:, 1].any() or rows[:, 3].any() else min((each.width / 4 for each in self.resonances), default=np.inf)
        )

    def count(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the integral of `density` over the energy.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            Rows in the order of `names`; gap and broadening in eV.
        energy : ndarray of shape (K,)
            Upper ends of the integral, in eV from the Fermi level.

        Returns
        -------
        ndarray of shape (n, K)
            In eV, up to a constant: only differences have a meaning.
        """
        metal, gap, broadening, charge, *amplitudes = parameters[..., None].swapaxes(0, 1)
        complexed = energy + 1j * np.maximum(broadening, 1e-9)
        paired = np.sign(energy) * np.abs(np.sqrt(complexed**2 - gap**2).real)
        count = metal * (paired + charge * np.hypot(energy, self.charge_energy))
        return count + _counts(self.resonances, amplitudes, energy)


@dataclass(frozen=True)
class DiracCone:
    """The density of states of graphene: linear in the distance from the Dirac point.

    The parameters of a place are ``slope`` (density for each eV), ``dirac`` (energy of the Dirac point, eV) and ``floor`` (what
    the layers below add everywhere).
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the slope (1/eV), of the energy of the Dirac point (eV), and of the floor."""
        return ("slope", "dirac", "floor")

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the density of states of a cone on a floor.

        Parameters
        ----------
        parameters : ndarray of shape (n, 3)
            Rows in the order of `names`: the slope in 1/eV, the Dirac point in eV from the Fermi level, the floor without a
            unit.
        energy : ndarray of shape (K,)
            Energies, in eV from the Fermi level.

        Returns
        -------
        ndarray of shape (n, K)
        """
        slope, dirac, floor = parameters[..., None].swapaxes(0, 1)
        return slope * np.abs(energy - dirac) + floor

    def finest(self, rows: Floats) -> float:
        """Return 0: the tip of the cone is sharper than any temperature."""
        return 0.0

    def count(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the integral of `density` from the Dirac point.

        Parameters
        ----------
        parameters : ndarray of shape (n, 3)
            Rows in the order of `names`.
        energy : ndarray of shape (K,)
            Upper ends of the integral, in eV from the Fermi level.

        Returns
        -------
        ndarray of shape (n, K)
            In eV; negative below the Dirac point.
        """
        slope, dirac, floor = parameters[..., None].swapaxes(0, 1)
        far = energy - dirac
        return (slope / 2 * np.abs(far) + floor) * far
