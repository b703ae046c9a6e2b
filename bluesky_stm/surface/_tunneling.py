"""From density of states to current: Bardeen's integral through a trapezoidal barrier.

Choices, made here once:

- The tip is s-wave [1]_, its density of states flat unless it is said to rise or fall, so the current is the integral of the
  sample's states between the two Fermi levels, each weighted with its transmission.
- Transmission in the WKB approximation with the average of the trapezoidal barrier, ``exp(-2 kappa z)`` with
  ``kappa = sqrt((phi + V/2 - E) / (hbar^2 / 2 m))`` [2]_. The image charge is left out. The measured edges contain the band
  bending under the tip; another tip shifts them all by the same energy.
- Thermal broadening enters through the difference of the two Fermi functions, integrated exactly over each energy bin,
  so that a bin may be wider than kT.
- The lock-in's modulation is averaged over its period: what ``modulated`` returns is what an ideal lock-in reads.

References
----------
.. [1] J. Tersoff and D. R. Hamann, Phys. Rev. B 31, 805 (1985), doi:10.1103/PhysRevB.31.805
.. [2] R. J. Hamers, Annu. Rev. Phys. Chem. 40, 531 (1989), doi:10.1146/annurev.pc.40.100189.002531
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.units import BOLTZMANN, ELECTRON_KINETIC

BIN: float = 0.0125
"""Width of the energy bins, in eV; bins are fixed to the Fermi level, whatever is swept."""

_NODES = 6
"""Gaps at which the transmission is exact; between them it is interpolated to better than 1e-4."""

_REACH = 0.4
"""Half the range of gaps that the nodes span, in nm."""


@dataclass(frozen=True)
class Barrier:
    """What lies between tip and sample.

    Attributes
    ----------
    work_function : float
        Mean of tip and sample, in eV.
    temperature : float
        Of the electrons, in K.
    conductance : float
        Current, in nA, that a density of 1 over 1 eV would carry without a gap.
    tip_slope : float
        By how much the logarithm of the tip's own density of states grows with energy, in 1/eV; 0 for an ideal tip.
    bending : float
        By how much the tip lifts the states of the sample under it, in eV.
    """

    work_function: float
    temperature: float
    conductance: float
    tip_slope: float = 0.0
    bending: float = 0.0

    @property
    def mean_decay(self) -> float:
        """``2 kappa`` of electrons at the Fermi level without bias, in 1/nm."""
        return 2 * float(np.sqrt(self.work_function / ELECTRON_KINETIC))

    def decay(self, bias: Floats, energy: Floats) -> Floats:
        """``2 kappa``, in 1/nm, of electrons at ``energy`` (K,) for each ``bias`` (J,); shape (J, K)."""
        height = self.work_function + np.asarray(bias)[:, None] / 2 - energy
        return 2 * np.sqrt(np.maximum(height, 0.0) / ELECTRON_KINETIC)

    def window(self, bias: Floats, energy: Floats) -> Floats:
        """``f(E - V) - f(E)`` integrated over each bin around ``energy`` (K,), in eV, times the tip's states; shape (J, K)."""
        half, at_tip = (energy[1] - energy[0]) / 2, energy - np.asarray(bias)[:, None]
        return (self._occupied(at_tip, half) - self._occupied(energy, half)) * np.exp(self.tip_slope * at_tip)

    def _occupied(self, energy: Floats, half: float) -> Floats:
        thermal = BOLTZMANN * self.temperature
        low, high = (np.logaddexp(0, -(energy + side) / thermal) for side in (-half, half))
        return thermal * (low - high)

    def current(self, density: Floats, energy: Floats, bias: Floats, gap: Floats) -> Floats:
        """Tunneling current by direct summation: the reference for `Sweep`, which is faster.

        Parameters
        ----------
        density : ndarray of shape (n, K)
            Density of states at ``energy`` (K,), the centres of the bins.
        bias : ndarray of shape (J,)
            Sample bias, in V.
        gap : ndarray of shape (n,)
            Distance between tip and surface, in nm.

        Returns
        -------
        ndarray of shape (n, J)
            Current, in nA, with the sign of the bias.
        """
        decay, window = self.decay(bias, energy), self.window(bias, energy)
        rows = [(window * np.exp(-decay * z)) @ states for states, z in zip(density, gap, strict=True)]
        return self.conductance * np.array(rows)


def energy_bins(low: float, high: float, width: float = BIN) -> Floats:
    """Centres of the energy bins of ``width`` from ``low`` to ``high``, in eV."""
    return (np.arange(np.floor(low / width), np.ceil(high / width)) + 0.5) * width


@dataclass(frozen=True, eq=False)
class Sweep:
    """Currents at several biases and one gap for each place: the energy integral as one matrix product.

    The transmission is interpolated between a few gaps,
    ``exp(-2 kappa z) = exp(-2 kappa_0 z) sum_r L_r(z) exp(-2 (kappa - kappa_0) z_r)``, so that all that depends on bias and
    energy is computed once for a sweep and used for every place.

    Attributes
    ----------
    barrier : Barrier
    bias : ndarray of shape (J,)
        Sample bias, in V.
    center : float
        Gap around which the interpolation is good, in nm.
    modulation : float
        Amplitude (peak) of a lock-in modulation, in V: 0 for the current, otherwise what the lock-in makes of it.
    """

    barrier: Barrier
    bias: Floats
    center: float = 0.8
    modulation: float = 0.0

    @cached_property
    def energy(self) -> Floats:
        """Centres of the energy bins that can carry current, in eV; shape (K,)."""
        margin = 12 * BOLTZMANN * self.barrier.temperature + self.modulation
        return energy_bins(min(self.bias.min(), 0.0) - margin, max(self.bias.max(), 0.0) + margin)

    def __call__(self, density: Floats, gap: Floats) -> tuple[Floats, Floats]:
        """Current and modulated current, in nA, of places with ``density`` (n, K) and ``gap`` (n,); each of shape (n, J).

        The modulated current is the amplitude in phase with the bias, ``modulation * dI/dV`` for a small modulation.
        """
        weights = np.exp(-self.barrier.mean_decay * gap)[:, None] * _lagrange(self._nodes, gap)
        products = (density @ self._kernel).reshape(len(density), _NODES, -1)
        both = np.einsum("nr,nrj->nj", weights, products)
        return both[:, : len(self.bias)], both[:, len(self.bias) :]

    @cached_property
    def _nodes(self) -> Floats:
        return self.center + _REACH * np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)

    @cached_property
    def _kernel(self) -> Floats:
        """What energy k contributes to node r and bias j, current and modulated current; shape (K, R * 2 * J)."""
        still = self._kernel_at(self.bias)
        phase = np.pi * (np.arange(16) + 0.5) / 16 - np.pi / 2
        moved = sum(np.sin(p) * self._kernel_at(self.bias + self.modulation * np.sin(p)) for p in phase) / 8
        return np.concatenate([still, moved], axis=1).transpose(2, 0, 1).reshape(len(self.energy), -1)

    def _kernel_at(self, bias: Floats) -> Floats:
        window = self.barrier.conductance * self.barrier.window(bias, self.energy)
        excess = self.barrier.decay(bias, self.energy) - self.barrier.mean_decay
        return np.stack([window * np.exp(-excess * node) for node in self._nodes])


def _lagrange(nodes: Floats, at: Floats) -> Floats:
    """Lagrange polynomials of ``nodes`` (R,) at ``at`` (n,); shape (n, R)."""
    apart = nodes[:, None] - nodes + np.eye(len(nodes))
    factors = (at[:, None, None] - nodes) / apart[None]
    factors[:, np.arange(len(nodes)), np.arange(len(nodes))] = 1.0
    return factors.prod(axis=2)


def gap_at(density: Floats, energy: Floats, barrier: Barrier, bias: float, current: float) -> Floats:
    """Gap at which each place carries ``current``, by inverse interpolation of the logarithm of the current.

    Parameters
    ----------
    density : ndarray of shape (n, K)
        Density of states at ``energy`` (K,), the centres of the bins.
    bias : float
        In V.
    current : float
        Magnitude, in nA.

    Returns
    -------
    ndarray of shape (n,)
        In nm; ``-inf`` where there are no states to carry a current.
    """
    gaps, at = np.linspace(0.3, 1.5, 5), np.array([bias])
    decay, window = barrier.decay(at, energy)[0], barrier.window(at, energy)[0]
    kernel = (np.abs(window)[:, None] * np.exp(-decay[:, None] * gaps)).astype(density.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        missing = np.log((kernel.T @ density.T).astype(float) * (barrier.conductance / current))
        gap = _neville_at_zero(missing, gaps)
    return np.where(np.isfinite(missing).all(axis=0), gap, -np.inf)


def _neville_at_zero(nodes: Floats, values: Floats) -> Floats:
    """What the polynomial through ``values`` (R,) at ``nodes`` (R, n) is at 0, by Neville's scheme; shape (n,)."""
    count = len(nodes)
    rows = list(np.broadcast_to(values[:, None], nodes.shape))
    for order in range(1, count):
        for i in range(count - order):
            near, far = nodes[i], nodes[i + order]
            rows[i] = (near * rows[i + 1] - far * rows[i]) / (near - far)
    return rows[0]
