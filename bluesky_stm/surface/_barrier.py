"""The tunnel barrier: how much a density of states carries through it, by Bardeen's integral.

Choices that were made here:

- The tip is s-wave [1]_. Its density of states is flat unless it is given, so the current is the integral of the sample's
  states between the two Fermi levels, each weighted with its transmission.
- The transmission is that of the WKB approximation through a barrier that falls linearly from tip to sample:
  ``exp(-2 kappa z)`` with ``kappa`` the mean of ``sqrt(phi(x) - E)`` over the gap. For small bias it is that of the average
  barrier [2]_. Where an electron leaves the barrier before it reaches the other side, the mean ends at the turning point: field
  emission [3]_. The image charge and the waves between turning point and surface (Gundlach's oscillations) are left out.
- The measured edges contain the band bending under the tip; another tip shifts them all by the same energy.
- Thermal broadening enters through the difference of the two Fermi functions, integrated exactly over each energy bin.

References
----------
.. [1] J. Tersoff and D. R. Hamann, Phys. Rev. B 31, 805 (1985), doi:10.1103/PhysRevB.31.805
.. [2] R. J. Hamers, Annu. Rev. Phys. Chem. 40, 531 (1989), doi:10.1146/annurev.pc.40.100189.002531
.. [3] J. G. Simmons, J. Appl. Phys. 34, 1793 (1963), doi:10.1063/1.1702682
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._bending import Screening
from bluesky_stm.surface._tip_states import TipStates
from bluesky_stm.units import BOLTZMANN, ELECTRON_KINETIC


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
    screening : Screening or None
        How the sample screens the bias, for bands that bend with it and with the gap; None where they do not.
    tip : TipStates or None
        Density of states of the tip, times which the exponential of ``tip_slope`` counts; None for a flat one.
    apex : float
        Radius of curvature of the end of the tip, in nm: how far to its side it bends the bands.
    """

    work_function: float
    temperature: float
    conductance: float
    tip_slope: float = 0.0
    bending: float = 0.0
    screening: Screening | None = None
    tip: TipStates | None = None
    apex: float = 10.0

    @property
    def thermal(self) -> float:
        """Thermal energy of the electrons, in eV."""
        return BOLTZMANN * self.temperature

    @property
    def sharpness(self) -> float:
        """Energy over which the tip tells states apart, in eV: kT, or less for a tip whose own states are sharper than that."""
        return self.thermal if self.tip is None else min(self.thermal, max(2 * self.tip.finest, self.thermal / 8))

    def resolving(self, finest: float) -> float:
        """Return the width of energy bins, in eV, that resolve tip and sample, ``finest`` being that for the sample alone."""
        return finest if self.tip is None else min(finest, self.tip.finest)

    @property
    def mean_decay(self) -> float:
        """Decay constant ``2 kappa`` of electrons at the Fermi level without bias, in 1/nm.

        It follows from the free mass of the electron and from the work function: 21.7/nm for 4.5 eV.
        """
        return 2 * float(np.sqrt(self.work_function / ELECTRON_KINETIC))

    @property
    def lean(self) -> float:
        """Decrease of the decay constant for each eV of energy, in 1/(nm eV); half of it for each V of bias.

        It is the first order of `decay` around the Fermi level without bias, and is positive.
        """
        return self.mean_decay / (2 * self.work_function)

    def decay(self, bias: Floats, energy: Floats) -> Floats:
        """Return the decay constant ``2 kappa``; ``bias`` and ``energy`` are broadcast.

        Parameters
        ----------
        bias : ndarray of shape (...)
            Sample bias, in V.
        energy : ndarray of shape (...)
            In eV from the Fermi level of the sample.

        Returns
        -------
        ndarray of shape (...)
            In 1/nm, over the whole gap; 0 where the energy is above the barrier everywhere.
        """
        at_sample = self.work_function - energy
        at_tip = at_sample + bias
        # (2/3) (t^3 - s^3) / (t^2 - s^2) for the roots t, s of the heights, written such that equal heights do not matter.
        # A side that is below the energy counts as 0 in the roots, yet with its true height in the slope of the barrier.
        tip, sample = np.sqrt(np.maximum(at_tip, 0.0)), np.sqrt(np.maximum(at_sample, 0.0))
        mean = 2 / 3 * (tip**2 + tip * sample + sample**2) / np.maximum(tip + sample, 1e-12)
        highest, lowest = np.maximum(at_tip, at_sample), np.minimum(at_tip, at_sample)
        inside = np.where(lowest < 0, highest / np.maximum(highest - lowest, 1e-12), 1.0)
        return 2 * mean * np.maximum(inside, 0.0) / np.sqrt(ELECTRON_KINETIC)

    def window(self, bias: Floats, edges: Floats) -> Floats:
        """Return ``f(E - V) - f(E)`` integrated over each energy bin, times the density of states of the tip.

        Parameters
        ----------
        bias : ndarray of shape (J,)
            Sample bias, in V.
        edges : ndarray of shape (K + 1,) or (J, K + 1)
            Edges of the bins, in eV from the Fermi level of the sample, increasing.

        Returns
        -------
        ndarray of shape (J, K)
            In eV, with the sign of the bias.
        """
        at_tip = edges - np.asarray(bias)[:, None]
        filled = self._filled(at_tip) - self._filled(edges)
        if self.tip is not None:
            filled = filled * self.tip.mean(at_tip)
        return filled * np.exp(self.tip_slope * (at_tip[:, 1:] + at_tip[:, :-1]) / 2) if self.tip_slope else filled

    def lifted(self, bias: Floats, gap: float) -> Floats:
        """Return by how much bias and gap lift the states of the sample.

        Parameters
        ----------
        bias : ndarray of shape (J,)
            Sample bias, in V.
        gap : float
            Distance between tip and surface, in nm.

        Returns
        -------
        ndarray of shape (J, 1), or (1, 1) where no `screening` is given
            In eV; 0 without `screening`.
        """
        return np.zeros((1, 1)) if self.screening is None else self.screening.bending(bias, gap)[:, None]

    def _filled(self, edges: Floats) -> Floats:
        """Return the Fermi function integrated from each edge to the next, in eV."""
        far = edges / self.thermal
        # log(1 + exp(-far)), written such that nothing overflows; several times faster than logaddexp.
        above = np.log1p(np.exp(-np.abs(far))) - np.minimum(far, 0)
        return self.thermal * (above[..., :-1] - above[..., 1:])

    def current(self, states: Floats, edges: Floats, bias: Floats, gap: Floats) -> Floats:
        """Return the tunneling current by direct summation: the reference for `SweepIntegral`, which is faster.

        Parameters
        ----------
        states : ndarray of shape (n, K)
            Mean density of states in each energy bin.
        edges : ndarray of shape (K + 1,)
            Edges of the bins, in eV from the Fermi level of the sample.
        bias : ndarray of shape (J,)
            Sample bias, in V.
        gap : ndarray of shape (n,)
            Distance between tip and surface, in nm.

        Returns
        -------
        ndarray of shape (n, J)
            Current, in nA, with the sign of the bias.
        """
        energy, rows = (edges[1:] + edges[:-1]) / 2, []
        for each, z in zip(states, gap, strict=True):
            lifted = self.lifted(bias, float(z))
            decay = self.decay(np.asarray(bias)[:, None], energy + lifted)
            rows.append((self.window(bias, edges + lifted) * np.exp(-decay * z)) @ each)
        return self.conductance * np.array(rows)
