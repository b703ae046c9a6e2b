"""The gap between tip and surface that a closed feedback keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._barrier import Barrier
from bluesky_stm.surface._energies import REACH, bin_edges, bin_width, graded_edges
from bluesky_stm.surface._states import StateModel, counted, mean_states, precision, summed_counts

_GAPS = np.linspace(0.3, 1.5, 5)
"""Gaps, in nm, between which the gap of a set point is interpolated at a bias of up to `_TUNNELING`."""

_FAR_GAPS = np.linspace(0.3, 5.1, 13)
"""The same for a larger bias, at which electrons are emitted over ever longer gaps."""

_TUNNELING = 3.0
"""Bias, in V, up to which no gap in use is wider than those of `_GAPS`."""

CONTACT = 0.25
"""Gap, in nm, below which tip and surface touch: no barrier is left through which a current could be kept."""

_LEAST = -16.0
"""Logarithm of the current at the smallest of these gaps, in units of that which is kept, below which no states carry it."""

_TRANSMISSION_PARTS = 4
"""Number of parts of an energy bin in which the transmission is constant."""


@dataclass(frozen=True)
class ConstantCurrent:
    """The gap that a closed feedback keeps at each place.

    Attributes
    ----------
    barrier : Barrier
    bias : float
        Sample bias, in V.
    current : float
        Magnitude of the set point, in nA.
    finest : float
        Width of energy bins that resolve the density of states, in eV; 0 where it is not known.
    """

    barrier: Barrier
    bias: float
    current: float
    finest: float = 0.0

    @cached_property
    def edges(self) -> Floats:
        """Edges of the energy bins that can carry current, in eV from the Fermi level, increasing; shape (K + 1,).

        The states of the places are to be summed over these bins.
        """
        sharpness, finest = self.barrier.sharpness, self.barrier.resolving(self.finest)
        if self.barrier.screening is None:
            return graded_edges(self.bias, self.barrier.thermal, sharpness, finest)
        # Where both Fermi levels lie in the bands of the sample depends on the gap: no energy may have wide bins.
        lifted = abs(float(self.barrier.lifted(np.array([self.bias]), 0.0)[0, 0]))
        margin, width = REACH * self.barrier.thermal + lifted, bin_width(sharpness, 0.0, 0.0, finest)
        return bin_edges(min(self.bias, 0.0) - margin, max(self.bias, 0.0) + margin, width)

    def carried(self, model: StateModel, parameters: Floats, bent: float = 0.0) -> Floats:
        """Return the current at each of some gaps, in units of the current that is kept.

        Parameters
        ----------
        model : StateModel
            Model of the states.
        parameters : ndarray of shape (n, P)
            Rows in the order of the names of the model.
        bent : float
            Energy by which the states are lifted, in eV.

        Returns
        -------
        ndarray of shape (R, n)
        """
        edges = self.edges - bent
        if not counted(model):
            return self.weights @ mean_states(model, parameters, edges).T
        # Summed by parts: differences are taken of the few weights, not of the states counted at each of many places.
        return summed_counts(model, parameters.astype(self._kind), edges, self._steps)

    def gap(self, carried: Floats) -> Floats:
        """Return the gap at which each place carries the set current.

        The logarithm of the current is interpolated inversely between a few gaps. Single precision is enough: 1e-7 nm.

        Parameters
        ----------
        carried : ndarray of shape (R, n)
            Current at each of some gaps: states of the places summed with the `weights` of the bins, as of `carried`.

        Returns
        -------
        ndarray of shape (n,)
            In nm; ``-inf`` where too few states carry the current until tip and surface touch (`CONTACT`).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            missing = np.log(carried).astype(float)
            gap = _neville_at_zero(missing, self._gaps)
            # Of far fewer states nothing but rounding is left, and extrapolated it is any gap.
            kept = np.isfinite(missing.sum(axis=0)) & (missing[0] > _LEAST) & (gap >= CONTACT)
            return np.where(kept, gap, -np.inf)

    @cached_property
    def _steps(self) -> Floats:
        """Weight of the states counted up to each edge: that of the bin below it less that of the bin above; (R, K + 1)."""
        return -np.diff(self.weights / np.diff(self.edges), axis=1, prepend=0.0, append=0.0)

    @cached_property
    def _kind(self) -> type[np.float32 | np.float64]:
        return precision(self.edges)

    @property
    def _gaps(self) -> Floats:
        return _GAPS if abs(self.bias) <= _TUNNELING else _FAR_GAPS

    @cached_property
    def weights(self) -> Floats:
        """Contribution of each bin to the current at each of some gaps, in units of the current that is kept; shape (R, K).

        Within a bin the states are taken as a straight line, with the slope between the bins to either side.
        """
        fractions, middle = np.arange(_TRANSMISSION_PARTS) / _TRANSMISSION_PARTS, (self.edges[1:] + self.edges[:-1]) / 2
        fine = np.append((self.edges[:-1, None] + np.diff(self.edges)[:, None] * fractions).ravel(), self.edges[-1])
        at, energy = np.array([self.bias]), (fine[1:] + fine[:-1]) / 2
        carried = np.empty((len(self._gaps), len(energy)))
        for row, gap in zip(carried, self._gaps.tolist(), strict=True):
            lifted = self.barrier.lifted(at, gap)
            row[:] = np.abs(self.barrier.window(at, fine + lifted)) * np.exp(-self.barrier.decay(at[0], energy + lifted) * gap)
        parts = carried.reshape(len(self._gaps), -1, _TRANSMISSION_PARTS)
        kernel, tilt = parts.sum(axis=2), (parts * (energy.reshape(-1, _TRANSMISSION_PARTS) - middle[:, None])).sum(axis=2)
        slope = tilt[:, 1:-1] / (middle[2:] - middle[:-2])
        kernel[:, 2:] += slope
        kernel[:, :-2] -= slope
        return (self.barrier.conductance / self.current * kernel).astype(np.float32)


@lru_cache(maxsize=64)
def constant_current(barrier: Barrier, setpoint: Setpoint, finest: float = 0.0) -> ConstantCurrent:
    """Return the feedback at a set point. It is cached, as many sets of places share one.

    Parameters
    ----------
    barrier : Barrier
        Tunnel barrier between tip and sample.
    setpoint : Setpoint
        Bias (V) and current (nA) that the feedback keeps.
    finest : float
        Width of energy bins that resolve the density of states, in eV; 0 where it is not known.
    """
    return ConstantCurrent(barrier, setpoint.bias, setpoint.current, finest)


def _neville_at_zero(nodes: Floats, values: Floats) -> Floats:
    """Return the value at 0 of the polynomial through ``values`` (R,) at ``nodes`` (R, n), by Neville's scheme; shape (n,)."""
    rows = values[:, None]
    for order in range(1, len(nodes)):
        near, far = nodes[:-order], nodes[order:]
        rows = (near * rows[1:] - far * rows[:-1]) / (near - far)
    return rows[0]
