"""Tunneling current from the density of states: Bardeen's integral through a trapezoidal barrier.

Choices that were made here:

- The tip is s-wave [1]_. Its density of states is flat unless it is said to rise or fall, so the current is the integral of the
  sample's states between the two Fermi levels, each weighted with its transmission.
- The transmission is that of the WKB approximation with the average of the trapezoidal barrier, ``exp(-2 kappa z)`` with
  ``kappa = sqrt((phi + V/2 - E) / (hbar^2 / 2 m))`` [2]_. The image charge is left out. The measured edges contain the band
  bending under the tip; another tip shifts them all by the same energy.
- Thermal broadening enters through the difference of the two Fermi functions, integrated exactly over each energy bin,
  so that a bin may be wider than kT.
- The modulation of the lock-in is averaged over its period: the modulated current is what an ideal lock-in reads.

References
----------
.. [1] J. Tersoff and D. R. Hamann, Phys. Rev. B 31, 805 (1985), doi:10.1103/PhysRevB.31.805
.. [2] R. J. Hamers, Annu. Rev. Phys. Chem. 40, 531 (1989), doi:10.1146/annurev.pc.40.100189.002531
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.units import BOLTZMANN, ELECTRON_KINETIC

BIN: float = 0.0125
"""Width of the energy bins, in eV; the bins are fixed to the Fermi level, whatever is swept."""

_NODES = 6
"""Number of gaps at which the transmission is exact; between them it is interpolated to better than 1e-4."""

_GAP_RANGE = 0.4
"""Half the range of gaps that the nodes span, in nm."""

_GAPS = np.linspace(0.3, 1.5, 5)
"""Gaps, in nm, between which the gap of a set point is interpolated."""

_MARGIN = 0.15
"""Energy beyond bias and Fermi level, in eV, up to which states still contribute at a set point."""

_BIASES = 16
"""Number of biases of a sweep that are computed together, on the energies that the one furthest from the Fermi level needs."""


@dataclass(frozen=True)
class Barrier:
    """The tunnel barrier between tip and sample.

    Attributes
    ----------
    work_function : float
        Mean work function of tip and sample, in eV.
    temperature : float
        Temperature of the electrons, in K.
    conductance : float
        Current, in nA, that a density of 1 over 1 eV would carry without a gap.
    tip_slope : float
        Slope of the logarithm of the tip's own density of states with energy, in 1/eV; 0 for an ideal tip.
    bending : float
        Energy by which the tip lifts the states of the sample under it, in eV.
    """

    work_function: float
    temperature: float
    conductance: float
    tip_slope: float = 0.0
    bending: float = 0.0

    @property
    def mean_decay(self) -> float:
        """Decay constant ``2 kappa`` of electrons at the Fermi level without bias, in 1/nm."""
        return 2 * float(np.sqrt(self.work_function / ELECTRON_KINETIC))

    def decay(self, bias: Floats, energy: Floats) -> Floats:
        """Return the decay constant ``2 kappa`` of each energy at each bias.

        Parameters
        ----------
        bias : ndarray of shape (J,)
            Sample bias, in V.
        energy : ndarray of shape (K,)
            In eV from the Fermi level of the sample.

        Returns
        -------
        ndarray of shape (J, K)
            In 1/nm; 0 above the barrier.
        """
        height = self.work_function + np.asarray(bias)[:, None] / 2 - energy
        return 2 * np.sqrt(np.maximum(height, 0.0) / ELECTRON_KINETIC)

    def window(self, bias: Floats, energy: Floats) -> Floats:
        """Return ``f(E - V) - f(E)`` integrated over each energy bin, times the density of states of the tip.

        Parameters
        ----------
        bias : ndarray of shape (J,)
            Sample bias, in V.
        energy : ndarray of shape (K,)
            Centres of equally wide bins, in eV from the Fermi level of the sample.

        Returns
        -------
        ndarray of shape (J, K)
            In eV, with the sign of the bias.
        """
        half, at_tip = (energy[1] - energy[0]) / 2, energy - np.asarray(bias)[:, None]
        return (self._occupied(at_tip, half) - self._occupied(energy, half)) * np.exp(self.tip_slope * at_tip)

    def _occupied(self, energy: Floats, half: float) -> Floats:
        thermal = BOLTZMANN * self.temperature
        low, high = (np.logaddexp(0, -(energy + side) / thermal) for side in (-half, half))
        return thermal * (low - high)

    def current(self, density: Floats, energy: Floats, bias: Floats, gap: Floats) -> Floats:
        """Return the tunneling current by direct summation: the reference for `SweepIntegral`, which is faster.

        Parameters
        ----------
        density : ndarray of shape (n, K)
            Density of states at ``energy``.
        energy : ndarray of shape (K,)
            Centres of the energy bins, in eV from the Fermi level of the sample.
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
    """Return the centres of the energy bins that cover a range.

    Parameters
    ----------
    low, high : float
        Ends of the range, in eV.
    width : float
        Width of a bin, in eV. Edges lie at whole multiples of it.

    Returns
    -------
    ndarray of shape (K,)
        In eV, increasing.
    """
    return (np.arange(np.floor(low / width), np.ceil(high / width)) + 0.5) * width


@dataclass(frozen=True, eq=False)
class SweepIntegral:
    """Currents of a bias sweep at one gap for each place: the energy integral as one matrix product.

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
        Amplitude (peak) of a lock-in modulation, in V; 0 for no modulation.
    """

    barrier: Barrier
    bias: Floats
    center: float = 0.8
    modulation: float = 0.0

    @cached_property
    def energy(self) -> Floats:
        """Centres of the energy bins that can carry current, in eV; shape (K,)."""
        return self._window_bins(self.bias)

    def __call__(self, density: Floats, gap: Floats) -> tuple[Floats, Floats]:
        """Return the current and the modulated current of each place.

        Single precision is enough for 1e-6 of either: what nearly cancels is subtracted in the kernels, in double precision.

        Parameters
        ----------
        density : ndarray of shape (n, K)
            Density of states at `energy`.
        gap : ndarray of shape (n,)
            Distance between tip and surface, in nm.

        Returns
        -------
        current, modulated : ndarray of shape (n, J)
            In nA. The modulated current is the amplitude (peak) in phase with the bias, ``modulation * dI/dV`` for a small
            modulation.
        """
        weights = (np.exp(-self.barrier.mean_decay * gap)[:, None] * _lagrange(self._nodes, gap)).astype(np.float32)
        states = density.astype(np.float32)
        both = np.empty((len(gap), 2, len(self.bias)))
        for biases, energies, kernel in self._kernels:
            products = (states[:, energies] @ kernel).reshape(len(gap), _NODES, 2, -1)
            both[..., biases] = np.einsum("nr,nrcj->ncj", weights, products)
        return both[:, 0], both[:, 1]

    @cached_property
    def _nodes(self) -> Floats:
        return self.center + _GAP_RANGE * np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)

    @cached_property
    def _kernels(self) -> list[tuple[slice, slice, Floats]]:
        """Blocks of consecutive biases: their slice, that of the energies that can carry their currents, and their kernel."""
        blocks = []
        for first in range(0, len(self.bias), _BIASES):
            biases = slice(first, first + _BIASES)
            window = self._window_bins(self.bias[biases])
            start = int(np.searchsorted(self.energy, window[0] - BIN / 2))
            blocks.append((biases, slice(start, start + len(window)), self._kernel(self.bias[biases], window)))
        return blocks

    def _window_bins(self, bias: Floats) -> Floats:
        # Only exp(-12) = 6e-6 of the electrons are further from a Fermi level than 12 kT.
        margin = 12 * BOLTZMANN * self.barrier.temperature + self.modulation
        return energy_bins(min(bias.min(), 0.0) - margin, max(bias.max(), 0.0) + margin)

    def _kernel(self, bias: Floats, energy: Floats) -> Floats:
        """Return the contribution of energy k to node r, current or modulated current, and bias j; shape (K, R * 2 * J)."""
        still = self._kernel_at(bias, energy)
        # First Fourier coefficient of the current over the modulation (midpoint rule); the other half period adds the same.
        phase = np.pi * (np.arange(16) + 0.5) / 16 - np.pi / 2
        moved = sum(np.sin(p) * self._kernel_at(bias + self.modulation * np.sin(p), energy) for p in phase) / 8
        return np.stack([still, moved], axis=1).transpose(3, 0, 1, 2).reshape(len(energy), -1).astype(np.float32)

    def _kernel_at(self, bias: Floats, energy: Floats) -> Floats:
        window = self.barrier.conductance * self.barrier.window(bias, energy)
        excess = self.barrier.decay(bias, energy) - self.barrier.mean_decay
        return np.stack([window * np.exp(-excess * node) for node in self._nodes])


def _lagrange(nodes: Floats, at: Floats) -> Floats:
    """Return the Lagrange polynomials of ``nodes`` (R,) at the points ``at`` (n,); shape (n, R)."""
    apart = nodes[:, None] - nodes + np.eye(len(nodes))
    factors = (at[:, None, None] - nodes) / apart[None]
    factors[:, np.arange(len(nodes)), np.arange(len(nodes))] = 1.0
    return factors.prod(axis=2)


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
    """

    barrier: Barrier
    bias: float
    current: float

    @cached_property
    def energy(self) -> Floats:
        """Centres of the energy bins that can carry current, in eV; shape (K,). They are twice as wide as those of a sweep."""
        return energy_bins(min(self.bias, 0.0) - _MARGIN, max(self.bias, 0.0) + _MARGIN, 2 * BIN)

    def gap(self, density: Floats) -> Floats:
        """Return the gap at which each place carries the set current.

        The logarithm of the current is interpolated inversely between `_GAPS`. Single precision is enough: 1e-7 nm.

        Parameters
        ----------
        density : ndarray of shape (n, K)
            Density of states at `energy`.

        Returns
        -------
        ndarray of shape (n,)
            In nm; ``-inf`` where there are no states to carry a current.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            missing = np.log(self._kernel @ density.T).astype(float)
            gap = _neville_at_zero(missing, _GAPS)
        return np.where(np.isfinite(missing).all(axis=0), gap, -np.inf)

    @cached_property
    def _kernel(self) -> Floats:
        """Contribution of energy k to the current at each of `_GAPS`, in units of the current that is kept; shape (R, K)."""
        at = np.array([self.bias])
        decay, window = self.barrier.decay(at, self.energy)[0], self.barrier.window(at, self.energy)[0]
        scale = self.barrier.conductance / self.current
        return (scale * np.abs(window) * np.exp(-decay * _GAPS[:, None])).astype(np.float32)


@lru_cache(maxsize=64)
def constant_current(barrier: Barrier, setpoint: Setpoint) -> ConstantCurrent:
    """Return the feedback at a set point. It is cached, as many sets of places share one."""
    return ConstantCurrent(barrier, setpoint.bias, setpoint.current)


def _neville_at_zero(nodes: Floats, values: Floats) -> Floats:
    """Return the value at 0 of the polynomial through ``values`` (R,) at ``nodes`` (R, n), by Neville's scheme; shape (n,)."""
    count = len(nodes)
    rows = list(np.broadcast_to(values[:, None], nodes.shape))
    for order in range(1, count):
        for i in range(count - order):
            near, far = nodes[i], nodes[i + order]
            rows[i] = (near * rows[i + 1] - far * rows[i]) / (near - far)
    return rows[0]
