"""The z feedback: how a tip of finite speed follows what it should.

The current falls exponentially with the gap, so the error of a logarithmic feedback is proportional to the error of the
height, and a PI controller behind a preamplifier of one time constant is a linear filter of second order:

    z / z_s = 2 kappa (P s + I) / (tau s^2 + (1 + 2 kappa P) s + 2 kappa I)

with gains for the natural logarithm [1]_. It is discretised exactly for heights that change linearly from pixel to pixel, so
that a loop much faster than a pixel is not mistaken for one that rings. What the preamplifier cuts off is left out: the loop
stays linear.

A z piezo has a mechanical resonance, which turns the phase: with too much gain the loop oscillates. Its poles say so [2]_. The
oscillation then grows until the current swings up to the end of the preamplifier's range.

References
----------
.. [1] J. Stirling, Beilstein J. Nanotechnol. 5, 337 (2014), doi:10.3762/bjnano.5.38
.. [2] G. F. Franklin, J. D. Powell, A. Emami-Naeini, Feedback Control of Dynamic Systems, chapter 3 (Routh's criterion)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import cont2discrete, lfilter, lfilter_zi

from bluesky_stm.geometry import Floats
from bluesky_stm.protocols import FeedbackGains


@dataclass(frozen=True)
class FeedbackLoop:
    """A closed loop.

    Attributes
    ----------
    gains : FeedbackGains
    decay : float
        ``2 kappa``, in 1/nm: how steeply the logarithm of the current falls with the gap.
    response : float
        Time constant of the preamplifier, in s; 0 for a feedback that follows at once, whatever its gains.
    resonance : float
        Frequency of the resonance of the z piezo, in Hz; 0 for none.
    quality : float
        Quality factor of that resonance.
    """

    gains: FeedbackGains
    decay: float
    response: float
    resonance: float = 0.0
    quality: float = 1.0

    @property
    def stable(self) -> bool:
        """True when an error dies away; otherwise the loop oscillates."""
        return not self.response or bool((np.roots(self._polynomials()[1]).real < 0).all())

    @property
    def bandwidth(self) -> float:
        """Frequency, in Hz, up to which the tip follows; infinite for a feedback that follows at once."""
        return self.decay * self.gains.integral / (2 * np.pi) if self.response else np.inf

    def follow(self, height: Floats, interval: float) -> Floats:
        """Heights of the tip where it should be at ``height`` (..., n), in nm, ``interval`` s apart; settled at the first.

        Of a loop that oscillates this is the middle of its swing.
        """
        if not self.response or not self.stable:
            return height
        forward, back = self._filter(interval)
        begin = lfilter_zi(forward, back) * height[..., :1]
        return lfilter(forward, back, height, axis=-1, zi=begin)[0]

    def _filter(self, interval: float) -> tuple[Floats, Floats]:
        forward, back, _ = cont2discrete(self._polynomials(), interval, method="foh")
        return np.ravel(forward), np.ravel(back)

    def _polynomials(self) -> tuple[Floats, Floats]:
        """Numerator and denominator of the closed loop in the Laplace variable, the highest power first."""
        driven = np.trim_zeros(self.decay * np.array([self.gains.proportional, self.gains.integral]), "f")
        loop = np.array([self.response, 1.0, 0.0])
        if self.resonance:
            turning = 2 * np.pi * self.resonance
            loop = np.polymul(loop, [1 / turning**2, 1 / (turning * self.quality), 1.0])
        return driven, np.polyadd(loop, driven)
