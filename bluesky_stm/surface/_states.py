"""Density of states at a place as a function of energy.

A model of states turns a row of parameters into a curve. Rows are sums of what each part of the surface contributes (terrace,
region, defect ...), so every parameter is one that may be added: an energy, an exponent, a logarithm or an amplitude. Energies
are in eV from the Fermi level; densities are relative to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeGuard

import numpy as np

from bluesky_stm.geometry import Floats


class StateModel(Protocol):
    """The density of states of a sample, as a function of parameters that add up.

    A model that knows its integral, too, is a `CountedStates`; that of any other is taken numerically.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in their order."""

    def density(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the density of states.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            One row for each place, in the order of `names`; energies in eV.
        energy : ndarray of shape (K,)
            Energies, in eV from the Fermi level, increasing.

        Returns
        -------
        ndarray of shape (n, K)
            Relative to each other; the barrier makes currents of them.
        """


class CountedStates(StateModel, Protocol):
    """A density of states whose integral is known in closed form, so that it is exact for bins of any width."""

    def count(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the number of states up to an energy: the integral of `density`, from wherever it is convenient.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            One row for each place, in the order of `names`; energies in eV.
        energy : ndarray of shape (K,)
            Upper ends of the integral, in eV from the Fermi level, increasing.

        Returns
        -------
        ndarray of shape (n, K)
            In eV times the unit of `density`; only differences along a row are used.
        """

    def finest(self, rows: Floats) -> float:
        """Return the width of energy bins that resolve the density of any sum of rows.

        Parameters
        ----------
        rows : ndarray of shape (m, P)
            The row of the terrace, and below it the changes that are added to it.

        Returns
        -------
        float
            In eV; 0 for states that are sharper than any temperature, infinite for a model without a scale.
        """


def counted(model: StateModel) -> TypeGuard[CountedStates]:
    """Return True when the model knows its integral."""
    # Many times faster than isinstance with a protocol, which would be felt in each spectrum.
    return hasattr(model, "count")


_SAMPLES = 4
"""Number of energies in a bin at which the density of a model without `CountedStates.count` is taken at first."""

_HALVINGS = 12
"""Largest number of times that a bin in which the density changes much is halved."""

_SMOOTH = 0.1
"""Difference of the samples in a bin, relative to their mean, from which on the bin is halved."""


def mean_states(model: StateModel, parameters: Floats, edges: Floats) -> Floats:
    """Return the mean density of states in energy bins: their integral, however narrow a level is, over their width.

    Parameters
    ----------
    model : StateModel
        A model without `CountedStates.count` is integrated numerically, more finely where its density changes much.
    parameters : ndarray of shape (n, P)
        Rows in the order of the names of the model.
    edges : ndarray of shape (K + 1,)
        Edges of the bins, in eV from the Fermi level, increasing.

    Returns
    -------
    ndarray of shape (n, K)
        In single precision.
    """
    if not counted(model):
        return _sampled(model, parameters, edges[:-1], edges[1:], _HALVINGS).astype(np.float32)
    at: Floats = edges.astype(precision(edges))
    # Energy by energy, as the model counts: in memory the places lie side by side.
    count = model.count(parameters.astype(at.dtype), at).T
    return ((count[1:] - count[:-1]) * (1 / np.diff(at))[:, None]).astype(np.float32, copy=False).T


def summed_counts(model: CountedStates, parameters: Floats, edges: Floats, weights: Floats) -> Floats:
    """Return weighted sums of the states counted up to each edge: ``weights @ model.count(parameters, edges).T``.

    Parameters
    ----------
    model : CountedStates
        Model of the states.
    parameters : ndarray of shape (n, P)
        Rows in the order of the names of the model, in the precision in which the states of each place are to be counted.
    edges : ndarray of shape (K + 1,)
        Energies, in eV from the Fermi level, increasing.
    weights : ndarray of shape (R, K + 1)
        Weight of each edge in each sum.

    Returns
    -------
    ndarray of shape (R, n)
    """
    if isinstance(model, Semiconductor):
        return model.summed(parameters, edges, weights)
    kind = parameters.dtype
    return weights.astype(kind) @ model.count(parameters, edges.astype(kind)).T


def precision(edges: Floats) -> type[np.float32 | np.float64]:
    """Return the precision in which states are counted: single leaves 1e-4 of a bin of 1 meV, narrower bins need double.

    Parameters
    ----------
    edges : ndarray of shape (K + 1,)
        Edges of the bins, in eV.
    """
    return np.float32 if np.diff(edges).min() > 1e-3 else np.float64


def _sampled(model: StateModel, parameters: Floats, low: Floats, high: Floats, halvings: int) -> Floats:
    """Return the mean density in each bin from samples of it, more of them where they differ by much; shape (n, K)."""
    fractions = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    energy = (low[:, None] + (high - low)[:, None] * fractions).ravel()
    samples = np.asarray(model.density(parameters, energy)).reshape(len(parameters), -1, _SAMPLES)
    mean = samples.mean(axis=2)
    rough = (np.ptp(samples, axis=2) > _SMOOTH * np.abs(mean)).any(axis=0)
    if halvings and rough.any():
        ends = np.column_stack([low[rough], (low[rough] + high[rough]) / 2, high[rough]])
        halves = _sampled(model, parameters, ends[:, :2].ravel(), ends[:, 1:].ravel(), halvings - 1)
        mean[:, rough] = halves.reshape(len(parameters), -1, 2).mean(axis=2)
    return mean


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
            density += _product(amplitudes[:, present], self._shapes(energy, np.flatnonzero(present).tolist()))
        return density

    def finest(self, rows: Floats) -> float:
        """Return a fifth of the width of the narrowest level, in eV, which adds 1/300 to its variance.

        It is infinite without levels, because bands have no scale of their own.

        Parameters
        ----------
        rows : ndarray of shape (m, P)
            Not used: the width of a level does not depend on the place.
        """
        return min((level.width for level in self.levels), default=np.inf) / 5

    def count(self, parameters: Floats, energy: Floats) -> Floats:
        """Return the integral of `density` over the energy.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            Rows in the order of `names`; edges in eV.
        energy : ndarray of shape (K,)
            Upper ends of the integral, in eV from the Fermi level, increasing.

        Returns
        -------
        ndarray of shape (n, K)
            In eV: each band is counted from its edge, each level from its centre; only differences have a meaning.
        """
        count = np.zeros((len(energy), len(parameters)), parameters.dtype)
        for some, powers, factor in self._bands(parameters, energy):
            count[some] += np.multiply(powers, factor, out=powers)
        levels, amplitudes = self._levels(parameters, energy)
        if len(amplitudes):
            count += _product(levels.astype(count.dtype), amplitudes)
        return count.T

    def summed(self, parameters: Floats, energy: Floats, weights: Floats) -> Floats:
        """Return ``weights @ count(parameters, energy).T``; what is the same for all energies or all places is taken out.

        Parameters
        ----------
        parameters : ndarray of shape (n, P)
            Rows in the order of `names`; edges in eV.
        energy : ndarray of shape (K,)
            Upper ends of the integral, in eV from the Fermi level, increasing.
        weights : ndarray of shape (R, K)
            Weight of each energy in each sum.

        Returns
        -------
        ndarray of shape (R, n)
        """
        levels, amplitudes = self._levels(parameters, energy)
        kind = parameters.dtype
        summed = _product(_product(weights, levels).astype(kind), amplitudes)
        for some, powers, factor in self._bands(parameters, energy.astype(kind)):
            summed += _product(weights[:, some].astype(kind), powers) * factor
        return summed

    @cached_property
    def _places(self) -> Floats:
        """Centres and widths of the levels, in eV; shape (2, L)."""
        return np.array([(level.energy, level.width) for level in self.levels]).reshape(-1, 2).T

    def _bands(self, parameters: Floats, energy: Floats) -> list[tuple[slice, Floats, Floats]]:
        """Of each band the energies that lie in it, its count there (k, n), and what that is still to be multiplied by (n,)."""
        # Energy by energy, so that numpy works on the many places side by side: several times faster than place by place.
        valence, valence_power, conduction, conduction_power, log_ratio = np.ascontiguousarray(parameters[:, :5].T)
        below, above = np.searchsorted(energy, (valence.max(), conduction.min())).tolist()
        bands, at = [], energy[:, None]
        if below:
            rise = valence_power + 1
            bands.append((slice(below), _power(valence - at[:below], rise), -1 / rise))
        if above < len(energy):
            rise = conduction_power + 1
            bands.append((slice(above, None), _power(at[above:] - conduction, rise), np.exp(log_ratio) / rise))
        return bands

    def _levels(self, parameters: Floats, energy: Floats) -> tuple[Floats, Floats]:
        """Return the count (K, L) of each level that is anywhere, for an amplitude of 1, and the amplitudes (L, n)."""
        from scipy.special import erf

        amplitudes = np.maximum(parameters[:, 5:].T, 0)
        present = np.flatnonzero(amplitudes.any(axis=1))
        centers, widths = self._places[:, present]
        # In double precision, however few places: far from a level nothing may be left of what it counts below and above.
        return widths * np.sqrt(np.pi / 2) * erf((energy[:, None] - centers) / (np.sqrt(2) * widths)), amplitudes[present]

    def _shapes(self, energy: Floats, which: list[int]) -> Floats:
        centers = np.array([[self.levels[i].energy] for i in which], energy.dtype)
        widths = np.array([[self.levels[i].width] for i in which], energy.dtype)
        return np.exp(-(((energy - centers) / widths) ** 2) / 2)


def _product(first: Floats, second: Floats) -> Floats:
    """Return the product of two matrices of finite numbers.

    Once in many thousand sweeps OpenBLAS (0.3.31, AVX-512) raised the flag of an invalid operation, over numbers that looked
    finite and never again over the same, as its kernels did before (issues 13173 and 24067 of numpy): it is not looked at.
    """
    with np.errstate(invalid="ignore"):
        return first @ second


def _power(distance: Floats, power: Floats) -> Floats:
    """Return ``distance ** power``, 0 where the distance is negative; ``distance`` is overwritten."""
    # The natural functions: numpy computes those of single precision many at a time, those to the base of 2 one by one.
    np.maximum(distance, distance.dtype.type(1e-30), out=distance)
    np.log(distance, out=distance)
    np.multiply(distance, power, out=distance)
    return np.exp(distance, out=distance)
