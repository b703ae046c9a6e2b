"""Standing waves of a two-dimensional band at step edges: an envelope of the states that is another one at each energy.

An edge reflects the electrons of the band, and the wave that comes back interferes with the one that goes there. At the
distance d from a straight edge the density of states is that far away times ``1 - R J0(2 k d)``, with the wave number k that
the dispersion of the band gives to the energy [1]_, [2]_: maxima are ``pi / k`` apart, and closer the higher the energy. The
edge nearest to a place is taken, so that the waves of the two edges of a narrow terrace do not add up. Scattering between
edge and place damps them.

References
----------
.. [1] M. F. Crommie, C. P. Lutz, D. M. Eigler, Nature 363, 524 (1993), doi:10.1038/363524a0
.. [2] Y. Hasegawa, Ph. Avouris, Phys. Rev. Lett. 71, 1071 (1993), doi:10.1103/PhysRevLett.71.1071. Of both only the abstracts
   were read; the factor follows from the waves of a hard wall, summed over all directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.units import ELECTRON_KINETIC

_FARTHEST = 4.0
"""Distance from an edge, in damping lengths, beyond which there are no waves: exp(-4) is 2 % of them."""

_NEAREST = 1e-3
"""Least distance from an edge, in nm, for which the wave is computed: nearer it is what it is at the edge."""


@dataclass(frozen=True)
class StandingWaves:
    """Waves of a band at step edges.

    Attributes
    ----------
    mass : float
        Effective mass of the band, in masses of the electron.
    reflection : float
        Amplitude of the wave that an edge sends back, from 0 to 1.
    damping : float
        Distance from the edge over which it falls by a factor of e, in nm.
    band, bottom : str
        Parameters of the sample's states that hold the density of the band and the energy of its bottom (eV).
    """

    mass: float
    reflection: float
    damping: float
    band: str = "state"
    bottom: str = "onset"

    @property
    def reach(self) -> float:
        """Distance from an edge beyond which there are no waves, in nm."""
        return _FARTHEST * self.damping

    def density(self, distance: Floats, band: Floats, above: Floats) -> Floats:
        """Return what the waves add to the density of states.

        Parameters
        ----------
        distance : ndarray of shape (n, 1)
            Distance of each place from the nearest edge, in nm.
        band : ndarray of shape (n, 1)
            Density of states of the band far away from it.
        above : ndarray of shape (n, K)
            Energies above the bottom of the band, in eV.

        Returns
        -------
        ndarray of shape (n, K)
            Negative where the waves take states away; 0 below the bottom of the band.
        """
        from scipy.special import j0

        wave = j0(2 * self._wave_number(above) * np.maximum(distance, _NEAREST))
        return np.where(above > 0, self._strength(distance, band) * wave, 0.0)

    def count(self, distance: Floats, band: Floats, above: Floats) -> Floats:
        """Return the integral of `density` over the energy, from the bottom of the band; see there for the parameters."""
        from scipy.special import j1

        count = np.zeros(above.shape)
        some = slice(int(np.argmax((above > 0).any(axis=0))), None)  # Bessel functions cost more than all else here
        away, k = np.maximum(distance, _NEAREST), self._wave_number(above[:, some])
        count[:, some] = self._strength(distance, band) * (self._kinetic / away * k * j1(2 * k * away))
        return count

    def _strength(self, distance: Floats, band: Floats) -> Floats:
        return -self.reflection * np.exp(-distance / self.damping) * np.maximum(band, 0.0)

    @property
    def _kinetic(self) -> float:
        """Kinetic energy of a wave number of 1/nm, in eV."""
        return ELECTRON_KINETIC / self.mass

    def _wave_number(self, above: Floats) -> Floats:
        return np.sqrt(np.maximum(above, 0.0) / self._kinetic)
