"""The z feedback: how a tip of finite speed follows what it should.

The current falls exponentially with the gap, so the error of a logarithmic feedback is proportional to the error of the
height, and a PI controller behind a preamplifier of one time constant is a linear filter of second order:

    z / z_s = 2 kappa (P s + I) / (tau s^2 + (1 + 2 kappa P) s + 2 kappa I)

with gains for the natural logarithm [1]_. It is discretised exactly for heights that change linearly from pixel to pixel, so
that a loop much faster than a pixel is not mistaken for one that rings. What the preamplifier cuts off is left out: the loop
stays linear.

References
----------
.. [1] J. Stirling, Beilstein J. Nanotechnol. 5, 337 (2014), doi:10.3762/bjnano.5.38
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
    """

    gains: FeedbackGains
    decay: float
    response: float

    def follow(self, height: Floats, interval: float) -> Floats:
        """Heights of the tip where it should be at ``height`` (..., n), in nm, ``interval`` s apart; settled at the first."""
        if not self.response:
            return height
        forward, back = self._filter(interval)
        begin = lfilter_zi(forward, back) * height[..., :1]
        return lfilter(forward, back, height, axis=-1, zi=begin)[0]

    def _filter(self, interval: float) -> tuple[Floats, Floats]:
        rate, part = self.decay * self.gains.integral, self.decay * self.gains.proportional
        loop = np.trim_zeros([part, rate]), [self.response, 1 + part, rate]
        forward, back, _ = cont2discrete(loop, interval, method="foh")
        return np.ravel(forward), np.ravel(back)
