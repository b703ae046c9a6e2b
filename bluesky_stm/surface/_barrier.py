"""The tunnel barrier: how much a density of states carries through it, by Bardeen's integral.

Choices that were made here:

- The tip is s-wave [1]_. Its density of states is flat unless it is said to rise or fall, so the current is the integral of the
  sample's states between the two Fermi levels, each weighted with its transmission.
- The transmission is that of the WKB approximation with the average of the trapezoidal barrier, ``exp(-2 kappa z)`` with
  ``kappa = sqrt((phi + V/2 - E) / (hbar^2 / 2 m))`` [2]_. The image charge is left out. The measured edges contain the band
  bending under the tip; another tip shifts them all by the same energy.
- Thermal broadening enters through the difference of the two Fermi functions, integrated exactly over each energy bin.

References
----------
.. [1] J. Tersoff and D. R. Hamann, Phys. Rev. B 31, 805 (1985), doi:10.1103/PhysRevB.31.805
.. [2] R. J. Hamers, Annu. Rev. Phys. Chem. 40, 531 (1989), doi:10.1146/annurev.pc.40.100189.002531
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bluesky_stm.geometry import Floats
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
    """

    work_function: float
    temperature: float
    conductance: float
    tip_slope: float = 0.0
    bending: float = 0.0

    @property
    def thermal(self) -> float:
        """Thermal energy of the electrons, in eV."""
        return BOLTZMANN * self.temperature

    @property
    def mean_decay(self) -> float:
        """Decay constant ``2 kappa`` of electrons at the Fermi level without bias, in 1/nm."""
        return 2 * float(np.sqrt(self.work_function / ELECTRON_KINETIC))

    @property
    def lean(self) -> float:
        """Decrease of the decay constant for each eV of energy, in 1/(nm eV), to first order; half of it for each V of bias."""
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
            In 1/nm; 0 above the barrier.
        """
        height = self.work_function + bias / 2 - energy
        return 2 * np.sqrt(np.maximum(height, 0.0) / ELECTRON_KINETIC)

    def window(self, bias: Floats, edges: Floats) -> Floats:
        """Return ``f(E - V) - f(E)`` integrated over each energy bin, times the density of states of the tip.

        Parameters
        ----------
        bias : ndarray of shape (J,)
            Sample bias, in V.
        edges : ndarray of shape (K + 1,)
            Edges of the bins, in eV from the Fermi level of the sample, increasing.

        Returns
        -------
        ndarray of shape (J, K)
            In eV, with the sign of the bias.
        """
        at_tip = edges - np.asarray(bias)[:, None]
        filled = self._filled(at_tip) - self._filled(edges)
        return filled * np.exp(self.tip_slope * (at_tip[:, 1:] + at_tip[:, :-1]) / 2) if self.tip_slope else filled

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
        energy = (edges[1:] + edges[:-1]) / 2
        decay, window = self.decay(np.asarray(bias)[:, None], energy), self.window(bias, edges)
        rows = [(window * np.exp(-decay * z)) @ each for each, z in zip(states, gap, strict=True)]
        return self.conductance * np.array(rows)
