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
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.controllers.simulated._recursion import filtered
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
        return not self.response or bool((_modes(self)[0].real < 0).all())

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
        first = height[..., :1]
        return filtered(*self._filter(interval), height - first) + first

    def _filter(self, interval: float) -> tuple[Floats, Floats]:
        """Numerator and denominator of the same loop in steps of ``interval``.

        Each mode answers heights that change linearly within a step exactly. All modes together answer a single height with
        what the numerator has to make of the denominator.
        """
        poles, residues = _modes(self)
        kept, step = np.exp(poles * interval), poles * interval
        held = np.expm1(step) / step
        risen = (held - 1) / step
        late = np.arange(len(poles))[:, None]
        answer = residues * interval * (held - risen + kept * risen) * kept**late
        pulse = np.append((residues * interval * risen).sum().real, answer.sum(axis=1).real)
        back = np.array([1.0])
        for pole in kept.tolist():
            back = np.convolve(back, [1.0, -pole])
        return np.convolve(back.real, pulse)[: len(back)], back.real

    def polynomials(self) -> tuple[Floats, Floats]:
        """Numerator and denominator of the closed loop in the Laplace variable, the highest power first."""
        driven = np.trim_zeros(self.decay * np.array([self.gains.proportional, self.gains.integral]), "f")
        loop = np.array([self.response, 1.0, 0.0])
        if self.resonance:
            turning = 2 * np.pi * self.resonance
            loop = np.polymul(loop, [1 / turning**2, 1 / (turning * self.quality), 1.0])
        return driven, np.polyadd(loop, driven)


@lru_cache(maxsize=64)
def _modes(loop: FeedbackLoop) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Poles of a loop, in 1/s, and their residues; equal poles are moved apart a little."""
    driven, closed = loop.polynomials()
    poles = np.roots(closed).astype(complex)
    near = np.abs(poles[:, None] - poles) < 1e-6 * np.abs(poles)
    poles = poles * (1 + 1e-6 * np.tril(near, -1).sum(axis=1))
    residues = np.polyval(driven, poles) / np.polyval(np.polyder(closed), poles)
    return poles, residues.astype(complex)
