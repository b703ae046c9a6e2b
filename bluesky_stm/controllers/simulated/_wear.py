"""Wear: a sweep changes the tip, and what lies under it, the more the higher field and current and the rougher the place.

What was measured, on the published spectra: at positive bias the current jumps at 14 of 1000 points of 14 ms on one day (250 nm
frame) and at 5 on another (200 nm frame), about as often at 0.1 nA as at 7 nA; at negative bias at not one of 1000. So the rate
follows the field and knows its direction, as that of adsorbates does which a field pushes by their dipole moment and moves more
easily by the dipole that it induces, with its square [1]_. What was not measured and is added because a tip would otherwise
stand anything: a rate that grows with the square of the current, as where two electrons at once bring the energy that one does
not have (a power law as in [2]_, where it was steeper), and a field at which atoms go over from tip to sample, estimated as
some times that of pulses which write with the tip [3]_.

References
----------
.. [1] L. J. Whitman, J. A. Stroscio, R. A. Dragoset, R. J. Celotta, Science 251, 1206 (1991), doi:10.1126/science.251.4998.1206
.. [2] D. M. Eigler, C. P. Lutz, W. E. Rudge, Nature 352, 600 (1991), doi:10.1038/352600a0
.. [3] H. J. Mamin, P. H. Guethner, D. Rugar, Phys. Rev. Lett. 65, 2418 (1990), doi:10.1103/PhysRevLett.65.2418
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.geometry import Floats

AROUND = 0.7 * np.array([[0.0, 0.0], *([np.cos(angle), np.sin(angle)] for angle in np.arange(8) * np.pi / 4)])
"""Place of the tip and places around it, in nm, where the relief that it stands over is looked at."""


@dataclass(frozen=True)
class Wear:
    """The wear of a tip by sweeps, by the settings of a profile."""

    profile: Profile

    @property
    def any(self) -> bool:
        """True when sweeps change the tip at all."""
        return bool(self.profile.wear_field or self.profile.wear_current)

    def rate(self, bias: Floats, gap: Floats, current: Floats, roughness: Floats) -> Floats:
        """Return the rate of changes at each point of sweeps, in 1/s; shape (n, J).

        Parameters
        ----------
        bias : ndarray of shape (J,)
            Bias of the sample, in V.
        gap : ndarray of shape (n,)
            Distance between tip and surface, in nm.
        current : ndarray of shape (n, J)
            In nA; more than the preamplifier delivers does not flow.
        roughness : ndarray of shape (n,)
            Highest less lowest relief around the tip, in nm.
        """
        profile = self.profile
        field = np.abs(bias) / gap[:, None]
        flowing = np.minimum(np.abs(current), profile.preamp_range)
        rate = (
            profile.wear_field * np.where(bias > 0, 1.0, profile.wear_negative) * field**2 + profile.wear_current * flowing**2
        )
        return rate * (1 + profile.wear_roughness * roughness[:, None])

    def changes(self, rng: np.random.Generator, rate: Floats, dwell: float) -> Floats:
        """Draw changes: the factor by which they have changed the current so far, point after point; shape (n, J).

        Parameters
        ----------
        rng : Generator
            Draws them.
        rate : ndarray of shape (n, J)
            In 1/s, point after point in time.
        dwell : float
            Time spent on a point, in s.
        """
        drawn, expected = rng.random(rate.shape), rate * dwell
        # A change is never more probable than it is expected often: few points are left for which the probability is computed.
        changed = np.nonzero(drawn < expected)
        sure = drawn[changed] < -np.expm1(-expected[changed])
        changed = changed[0][sure], changed[1][sure]
        factors = np.ones(rate.shape)
        if len(changed[0]):
            direction, size = rng.random((2, *rate.shape))
            low, high = self.profile.jump
            steps = np.zeros(rate.shape)
            steps[changed] = np.where(direction[changed] < 0.5, -1.0, 1.0) * (low + (high - low) * size[changed])
            rows = np.unique(changed[0])
            factors[rows] = np.exp(np.cumsum(steps[rows], axis=1))
        return factors
