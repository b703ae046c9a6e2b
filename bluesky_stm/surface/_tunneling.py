"""The tunneling current and its modulated parts along a bias sweep, for many places at once.

The modulation of the lock-in is averaged over its period: the modulated currents are what an ideal lock-in reads [1]_.

References
----------
.. [1] J. Klein, A. Leger, M. Belin, D. Defourneau and M. J. L. Sangster, Phys. Rev. B 7, 2336 (1973),
   doi:10.1103/PhysRevB.7.2336
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._barrier import Barrier
from bluesky_stm.surface._energies import REACH, bin_edges, bin_width

_GAP_RANGE = 0.25
"""Half the range of gaps, in nm, over which the transmission is interpolated; beyond, the error grows as a power of the gap."""

_BENT_RANGE = 0.1
"""The same where the gap bends the bands."""

FAR = 5.0
"""Distance beyond the middle gap, in nm, from which on nothing flows: less than 1e-40 of the current at the middle gap."""

_TOLERANCE = 1e-4
"""Largest relative error of that interpolation."""

_BIASES = 16
"""Number of biases of a sweep that are computed together, on the energies that the one furthest from the Fermi level needs."""

_PLACES = 128
"""Number of places that are computed together: what they need fits into fast memory."""

_STATE_PARTS = 4
"""Number of parts of an energy bin in which states are counted where they may be narrower than the bin."""

_PHASES = 16
"""Smallest number of phases of half a period over which the modulation is averaged."""


@dataclass(frozen=True, eq=False)
class SweepIntegral:
    """Currents of a bias sweep at one gap for each place: the energy integral as one matrix product.

    The decay constant is nearly linear in energy and bias, ``2 kappa = b + l (V/2 - E) + r(E, V)``, with a small remainder r.
    What is linear is a factor of the states and one of the currents. The remainder is interpolated between a few gaps z_i near
    the middle gap c: ``exp(-2 kappa z) = exp(-2 kappa c) exp(-(b + l (V/2 - E)) (z - c)) sum_i L_i(z) exp(-r (z_i - c))``. So
    all that depends on bias and energy together is computed once for a sweep and used for every place.

    Attributes
    ----------
    barrier : Barrier
    bias : ndarray of shape (J,)
        Sample bias, in V.
    center : float
        Gap around which the interpolation is good, in nm.
    modulation : float
        Amplitude (peak) of a lock-in modulation, in V; 0 for no modulation.
    finest : float
        Width of energy bins that resolve the density of states, in eV; 0 where it is not known.
    harmonics : int
        Number of harmonics of the modulated current that are computed.
    """

    barrier: Barrier
    bias: Floats
    center: float = 0.8
    modulation: float = 0.0
    finest: float = 0.0
    harmonics: int = 1

    @cached_property
    def edges(self) -> Floats:
        """Edges of the energy bins in which states are counted, in eV from the Fermi level, increasing; shape (K + 1,).

        They reach as far as a bias of the sweep, its modulation and the temperature let states carry current.
        """
        count = (len(self._bins) - 1) * self._parts
        return np.linspace(self._bins[0], self._bins[-1], count + 1)

    @cached_property
    def _bins(self) -> Floats:
        """Edges of the bins of the kernels, in eV; shape (B + 1,)."""
        return self._bins_for(self.bias, self._width)

    @cached_property
    def _width(self) -> float:
        step = float(np.abs(np.diff(self.bias)).min()) if len(self.bias) > 1 else 0.0
        return bin_width(self.barrier.sharpness, step, self.modulation, self.barrier.resolving(self.finest))

    @property
    def _parts(self) -> int:
        return 1 if self.finest >= self._width else _STATE_PARTS

    def __call__(self, states: Floats, gap: Floats) -> Floats:
        """Return the current and the modulated currents of each place.

        Single precision is enough for 1e-6 of each: what nearly cancels is subtracted in the kernels, in double precision.

        Parameters
        ----------
        states : ndarray of shape (n, K)
            Mean density of states in each bin between `edges`.
        gap : ndarray of shape (n,)
            Distance between tip and surface, in nm; less than 0, in the surface, counts as contact.

        Returns
        -------
        ndarray of shape (1 + harmonics, n, J)
            In nA: the current, and the amplitude (peak) of each harmonic, for a small modulation A the n-th derivative of the
            current times ``A**n / (2**(n - 1) * n!)``: ``A dI/dV``, ``A**2 / 4 d2I/dV2`` ...
        """
        gathered = self._gathered(states).T
        parts = np.empty((1 + self.harmonics, len(gap), len(self.bias)))
        room = np.empty(max(len(kernel) for *_, kernel in self._kernels) * min(len(gap), _PLACES), np.float32)
        for first in range(0, len(gap), _PLACES):
            some = slice(first, first + _PLACES)
            self._carried(gathered[:, some], gap[some], room, parts[:, some])
        return parts

    def _carried(self, states: Floats, gap: Floats, room: Floats, parts: Floats) -> None:
        """Write the currents of some places into ``parts``, their ``states`` (B, n) given, in a ``room`` that is used again."""
        # Beyond FAR the current is nothing, and the polynomial between the nodes would be anything. In contact no barrier is
        # left, and a tip that is pressed into the surface carries no more.
        away, lean = np.minimum(np.maximum(gap, 0.0) - self.center, FAR), self.barrier.lean
        raised = np.multiply.outer(self._energy, (lean * away).astype(np.float32))
        np.exp(raised, out=raised)
        raised *= states
        level = np.exp(-self.barrier.mean_decay * self.center - self._base * away)
        weights = (level * _lagrange(self._nodes, away).T).astype(np.float32)[:, None]
        left = np.exp(np.multiply.outer(-lean / 2 * away, self.bias))
        for biases, energies, kernel in self._kernels:
            # At every node, energy by energy; each kernel takes a part of the energies, at all nodes at once.
            there = room[: len(kernel) * len(gap)].reshape(len(weights), -1, len(gap))
            np.multiply(weights, raised[energies], out=there)
            carried = (there.reshape(len(kernel), -1).T @ kernel).reshape(len(gap), len(parts), -1).swapaxes(0, 1)
            np.multiply(carried, left[:, biases], out=parts[..., biases])

    @cached_property
    def _energy(self) -> Floats:
        """Centres of the bins of the kernels, in eV."""
        return ((self._bins[1:] + self._bins[:-1]) / 2).astype(np.float32)

    @property
    def _offsets(self) -> Floats:
        """Distance of each part of a bin from the centre of the bin, in widths of the bin."""
        return (np.arange(self._parts) + 0.5) / self._parts - 0.5

    def _gathered(self, states: Floats) -> Floats:
        """Return the states of each bin (n, B): those of its parts and its neighbours', by their distance from its centre."""
        if self._parts == 1:
            return states
        parts, away = states.reshape(len(states), -1, self._parts), self._offsets.astype(np.float32) / self._parts
        gathered = parts @ (1 / self._parts - np.abs(away))
        gathered[:, 1:] += parts[:, :-1] @ np.maximum(away, 0)
        gathered[:, :-1] -= parts[:, 1:] @ np.minimum(away, 0)
        return gathered

    @cached_property
    def _blur(self) -> float:
        """Variance that bins add to the states, in squares of their width: by their parts, and by gathering these."""
        return float(1 / (12 * self._parts**2) + np.mean(np.abs(self._offsets) * (1 - np.abs(self._offsets))))

    @cached_property
    def _remainders(self) -> tuple[float, float]:
        """Least and largest of what is left of the decay constants without their linear part, in 1/nm."""
        margin = self._margin
        bias = np.array([self.bias.min(), 0.0, self.bias.max()])[:, None]
        ends = np.minimum(bias, 0) - margin, np.maximum(bias, 0) + margin
        energy = ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, 33)
        rest = [
            self.barrier.decay(bias + moved, energy) - self.barrier.lean * (bias / 2 - energy)
            for moved in (-self.modulation, self.modulation)
        ]
        return float(np.min(rest)), float(np.max(rest))

    @property
    def _base(self) -> float:
        return sum(self._remainders) / 2

    @cached_property
    def _nodes(self) -> Floats:
        """Chebyshev nodes, as distances from the middle gap in nm: as few as the remainders allow."""
        low, high = self._remainders
        half = (high - low) / 4 * _GAP_RANGE
        # The n-th derivative with bias holds the n-th power of the distance, which fewer nodes cannot: of a smooth density
        # of states the second derivative would be 4 % too large.
        fewest = self.harmonics + 1
        count = next(n for n in range(fewest, 40) if 2 * half**n / math.factorial(n) < _TOLERANCE)
        reach = _GAP_RANGE
        if self.barrier.screening is not None:
            # Onsets move with the gap: the middle gap must be a node, as it is of an odd number, and the others must be near.
            count, reach = count | 1, _BENT_RANGE
        return reach * np.cos(np.pi * (np.arange(count) + 0.5) / count)

    @cached_property
    def _kernels(self) -> list[tuple[slice, slice, Floats]]:
        """Blocks of consecutive biases: their slice, that of the energies that can carry their currents, and their kernel."""
        blocks = []
        for first in range(0, len(self.bias), _BIASES):
            biases = slice(first, first + _BIASES)
            edges = self._bins_for(self.bias[biases], self._width)
            start = int(np.rint((edges[0] - self._bins[0]) / self._width))
            blocks.append((biases, slice(start, start + len(edges) - 1), self._kernel(self.bias[biases], edges)))
        return blocks

    @property
    def _margin(self) -> float:
        lifted = max(float(np.abs(self.barrier.lifted(self.bias, gap)).max()) for gap in (self.center, 0.0))
        return REACH * self.barrier.thermal + self.modulation + lifted

    def _bins_for(self, bias: Floats, width: float) -> Floats:
        # One bin more on either side takes what the kernel's second derivative leaves beyond its end.
        margin = self._margin + width
        return bin_edges(min(bias.min(), 0.0) - margin, max(bias.max(), 0.0) + margin, width)

    def _kernel(self, bias: Floats, edges: Floats) -> Floats:
        """Return what energy k at node r contributes to current or harmonic and bias j; shape (R * K, (1 + harmonics) * J)."""
        still = self._kernel_at(bias, edges, 0.0)
        moved = np.zeros((self.harmonics, *still.shape))
        if self.modulation:
            # Fourier coefficients of the current over the modulation (midpoint rule); the other half period adds the same. In
            # the sine of the phase, the part of the n-th harmonic that a smooth current makes is the Chebyshev polynomial T_n.
            # Neighbouring phases are at most 1.6 kT, or as many bins, apart, so that a narrow level is passed smoothly.
            resolved = max(self.barrier.sharpness, edges[1] - edges[0])
            count = max(_PHASES, math.ceil(2 * self.modulation / resolved))
            for sine in np.sin(np.pi * (np.arange(count) + 0.5) / count - np.pi / 2):
                weight = 2 / count * np.cos(np.arange(1, 1 + self.harmonics) * np.arccos(sine))
                moved += np.multiply.outer(weight, self._kernel_at(bias, edges, self.modulation * sine))
        parts = np.concatenate([still[None], moved])
        # Takes back the blur of the states by bins: half its variance times the second derivative.
        parts[..., 1:-1] -= self._blur / 2 * np.diff(parts, 2)
        return parts.transpose(1, 3, 0, 2).reshape(still.shape[0] * still.shape[2], -1).astype(np.float32)

    def _kernel_at(self, bias: Floats, edges: Floats, moved: float) -> Floats:
        """Return the kernel of the current, at biases shifted by ``moved``, at each node; shape (R, J, K)."""
        column, energy = bias[:, None], (edges[1:] + edges[:-1]) / 2
        kernel: list[Floats] = []
        for away in self._nodes:
            lifted = self.barrier.lifted(bias + moved, self.center + away)
            if not kernel or self.barrier.screening is not None:  # without it all nodes share window and decay
                window = self.barrier.conductance * self.barrier.window(bias + moved, edges + lifted)
                # The window is a mean over the bin, too, the transmission is not: its own blur is taken back before they meet.
                window[:, 1:-1] -= np.diff(window, 2) / 24
                decay = self.barrier.decay(column + moved, energy + lifted)
                rest = decay - self._base - self.barrier.lean * (column / 2 - energy)
                middle = window * np.exp(-(decay - self.barrier.mean_decay) * self.center)
            kernel.append(middle * np.exp(-rest * away))
        return np.array(kernel)


def _lagrange(nodes: Floats, at: Floats) -> Floats:
    """Return the Lagrange polynomials of ``nodes`` (R,) at the points ``at`` (n,); shape (n, R)."""
    apart = nodes[:, None] - nodes + np.eye(len(nodes))
    factors = (at[:, None, None] - nodes) / apart[None]
    factors[:, np.arange(len(nodes)), np.arange(len(nodes))] = 1.0
    return factors.prod(axis=2)
