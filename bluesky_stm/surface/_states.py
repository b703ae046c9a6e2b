"""Density of states at a place: what the tip sees, as a function of energy.

A model of states turns a row of parameters into a curve. Rows are made by adding up what each part of the surface
contributes (terrace, region, defect ...), so every parameter is one that may be added: energies, exponents, logarithms,
amplitudes. Energies are in eV from the Fermi level; densities are relative to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bluesky_stm.geometry import Floats


class StateModel(Protocol):
    """What a sample says about its states."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in their order."""

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Density of states of the rows ``parameters`` (n, P) at ``energy`` (K,); shape (n, K)."""


def parameter_row(model: StateModel, change: Mapping[str, float]) -> Floats:
    """A row of parameters with those of ``change`` set and the others 0; shape (P,)."""
    unknown = set(change) - set(model.names)
    if unknown:
        raise KeyError(f"{sorted(unknown)} are not parameters of these states; they are {model.names}.")
    return np.array([change.get(name, 0.0) for name in model.names])


@dataclass(frozen=True)
class Level:
    """A state in the gap: a Gaussian at ``energy`` of standard deviation ``width``, both in eV."""

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
        """Edges in eV, powers, the logarithm of the ratio of the bands, amplitudes of the levels."""
        bands = ("valence", "valence_power", "conduction", "conduction_power", "log_ratio")
        return bands + tuple(level.name for level in self.levels)

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Density of states, relative to that of the valence band 1 eV below its edge; ``energy`` increases."""
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
    """``distance ** power``, 0 where the distance is negative; in place."""
    np.maximum(distance, distance.dtype.type(1e-30), out=distance)
    np.log(distance, out=distance)
    np.multiply(distance, power, out=distance)
    return np.exp(distance, out=distance)


@dataclass(frozen=True)
class SurfaceState:
    """A metal with a two-dimensional surface state: constant density that steps up at the bottom of its band.

    Parameters of a place: ``metal`` (density without the state), ``state`` (height of the step), ``onset`` and ``width``
    (energy and broadening of the step, eV).
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Two densities, two energies in eV."""
        return ("metal", "state", "onset", "width")

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Density of states, relative to that of the bare metal."""
        metal, state, onset, width = parameters[..., None].swapaxes(0, 1)
        return metal + state / (1 + np.exp(-(energy - onset) / width))
