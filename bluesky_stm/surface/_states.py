"""Density of states at a place as a function of energy.

A model of states turns a row of parameters into a curve. Rows are sums of what each part of the surface contributes (terrace,
region, defect ...), so every parameter is one that may be added: an energy, an exponent, a logarithm or an amplitude. Energies
are in eV from the Fermi level; densities are relative to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bluesky_stm.geometry import Floats


class StateModel(Protocol):
    """The density of states of a sample, as a function of parameters that add up."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in their order."""

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the density of states of the rows ``parameters`` (n, P) at ``energy`` (K,), in eV; shape (n, K)."""


def parameter_row(model: StateModel, change: Mapping[str, float]) -> Floats:
    """Return a row of parameters with those of ``change`` set and the others 0; shape (P,).

    Raises
    ------
    KeyError
        When ``change`` names a parameter that the model does not have.
    """
    unknown = set(change) - set(model.names)
    if unknown:
        raise KeyError(f"{sorted(unknown)} are not parameters of these states; they are {model.names}.")
    return np.array([change.get(name, 0.0) for name in model.names])


@dataclass(frozen=True)
class Level:
    """A state in the gap: a Gaussian.

    Attributes
    ----------
    name : str
    energy : float
        Centre, in eV from the Fermi level.
    width : float
        Standard deviation, in eV.
    """

    name: str
    energy: float
    width: float


@dataclass(frozen=True)
class Semiconductor:
    """Two bands that begin as powers of the distance from their edges, and levels in the gap between them.

    ``density = (valence - E)**valence_power`` below the valence band edge,
    ``exp(log_ratio) (E - conduction)**conduction_power`` above the conduction band edge, and for each level its amplitude times
    a Gaussian. Powers above that of a bulk band (1/2) stand for the surface potential that pulls the states away from the
    surface near the edge [1]_.

    References
    ----------
    .. [1] R. M. Feenstra, J. Vac. Sci. Technol. B 21, 2080 (2003), doi:10.1116/1.1606466
    """

    levels: tuple[Level, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters.

        These are the band edges (eV), their exponents, the logarithm of the ratio of the bands, and the amplitudes of the
        levels.
        """
        bands = ("valence", "valence_power", "conduction", "conduction_power", "log_ratio")
        return bands + tuple(level.name for level in self.levels)

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the density of states, relative to that of the valence band 1 eV below its edge.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            Rows in the order of `names`.
        energy : ndarray of shape (K,)
            In eV from the Fermi level, increasing.

        Returns
        -------
        ndarray of shape (n, K)
        """
        valence, valence_power, conduction, conduction_power, log_ratio = parameters[:, :5, None].swapaxes(0, 1)
        density = np.zeros((len(parameters), len(energy)), parameters.dtype)
        below = slice(0, np.searchsorted(energy, valence.max()))
        above = slice(np.searchsorted(energy, conduction.min()), len(energy))
        density[:, below] = _power(valence - energy[below], valence_power)
        density[:, above] += np.exp(log_ratio) * _power(energy[above] - conduction, conduction_power)
        # Defects take states away that a place may not have, or that their neighbours took before: then none are left.
        amplitudes = np.maximum(parameters[:, 5:], 0)
        present = amplitudes.any(axis=0)
        if present.any():
            density += amplitudes[:, present] @ self._shapes(energy, np.flatnonzero(present).tolist())
        return density

    def _shapes(self, energy: Floats, which: list[int]) -> Floats:
        centers = np.array([[self.levels[i].energy] for i in which], energy.dtype)
        widths = np.array([[self.levels[i].width] for i in which], energy.dtype)
        return np.exp(-(((energy - centers) / widths) ** 2) / 2)


def _power(distance: Floats, power: Floats) -> Floats:
    """Return ``distance ** power``, 0 where the distance is negative; ``distance`` is overwritten."""
    np.maximum(distance, distance.dtype.type(1e-30), out=distance)
    np.log(distance, out=distance)
    np.multiply(distance, power, out=distance)
    return np.exp(distance, out=distance)


@dataclass(frozen=True)
class SurfaceState:
    """A metal with a two-dimensional surface state: a constant density that steps up at the bottom of its band.

    The parameters of a place are ``metal`` (density without the state), ``state`` (height of the step), ``onset`` (energy of
    the step, eV) and ``width`` (broadening of the step, eV).
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the two densities and the two energies (eV)."""
        return ("metal", "state", "onset", "width")

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the density of states (n, K) at ``energy`` (K,), in eV, relative to that of the bare metal."""
        metal, state, onset, width = parameters[..., None].swapaxes(0, 1)
        with np.errstate(over="ignore"):  # far below the onset the step is 0, however large the exponential
            return metal + state / (1 + np.exp(-(energy - onset) / width))
