"""An exponential fall under the noise of a tunneling current: its slope, and how certain that is.

The current is taken for ``c + A exp(-s z)`` with the offset c of the preamplifier, and its noise for what the noise of a
junction is: partly drawn anew at each sample and partly lasting from sample to sample, each of them partly of one size (the
preamplifier) and partly proportional to the current I that flows (vibration of the gap). Samples j and k have the covariance

    (w**2 + (v I_j)**2) [j = k]  +  m_j m_k r**|j - k|,    m_j = sqrt(t**2 + (u I_j)**2).

The five numbers w, v, t, u and r of a sweep are those of its largest restricted likelihood [1]_, together with how such noise
usually is; slope and offset follow by generalised least squares, in turn. Fitted as if nothing lasted and the offset were
known, a slope is up to 2.3 times less certain than it says. Where the current is no exponential of the distance, what is left
of it lasts from sample to sample, and makes the slope as uncertain as it is.

The inverse of each of the two parts of the covariance has three diagonals, so that a likelihood costs a few passes over the
samples.

References
----------
.. [1] H. D. Patterson, R. Thompson, Biometrika 58, 545 (1971), doi:10.1093/biomet/58.3.545
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bluesky_stm.geometry import Floats

USUAL: Final = np.array([0.0, 0.0, np.log(0.01), np.log(0.002), 1.0])
"""Noise as it usually is: logarithms of w and t, in units of the noise that was seen, of v and u; and the logit of r."""

SPREAD: Final = np.array([1.5, 1.5, 1.5, 1.5, 1.2])
"""Standard deviations of these over instruments: a factor of 4.5 to either side."""

STARTS: Final = np.array([[0.0] * 5, [0, 0, 1.5, 0, 0], [0, 0, 0, 1.5, 0], [0, 0, 0, 3, 1], [0, 0, 2, 3, 1]])
"""Where the search begins, in units of `SPREAD` from `USUAL`: at the likeliest of these."""

LONGEST: Final = 1.0
"""Distance from `USUAL` beyond which r is not looked for: 0.9. What lasts longer cannot be told from a slope."""

FURTHEST: Final = 3.5
"""Distance from `USUAL`, in units of `SPREAD`, at which the search ends."""

NOISE_ROUNDS: Final = 3
"""How often the noise is looked for; the slope no longer changes what it is then."""

ROUNDS: Final = 12
"""How often a straight line in offset, log size and log slope is fitted, at most."""

LEAP: Final = 0.3
"""Largest change of the logarithm of size or slope in a round."""

STILL: Final = 1e-8
"""Change of the logarithm of the slope at which it has been found."""

FINEST: Final = 1e-6
"""Noise below which none is looked for, in units of the largest current."""

TOGETHER: Final = 5
"""Samples whose mean says how much current flows, for the noise that is proportional to it."""

OFFSET: Final = 0.005
"""Standard deviation of the offset of a preamplifier, in nA, and `OFFSET_SHARE` of the largest current if that is more."""

OFFSET_SHARE: Final = 0.01


@dataclass(frozen=True)
class Fall:
    """A current that falls to an offset.

    Attributes
    ----------
    offset, size : float
        Offset c, and current A at the first sample above it, in nA.
    slope : float
        Slope s, in 1/nm.
    certain : float
        Standard deviation of the slope, relative to it.
    """

    offset: float
    size: float
    slope: float
    certain: float = np.nan

    def flowing(self, z: Floats) -> Floats:
        """Return the current without its offset, in nA, at distances (n,), in nm."""
        return np.asarray(self.size * np.exp(-self.slope * (z - z[0])))


def fitted(z: Floats, current: Floats, begin: Fall, noise: float) -> Fall:
    """Return the fall that fits a current, with its uncertainty.

    Parameters
    ----------
    z : ndarray of shape (n,)
        Distances, in nm, increasing.
    current : ndarray of shape (n,)
        In nA, positive where it flows.
    begin : Fall
        Where the search begins.
    noise : float
        Noise where the least current flows, in nA, as far as it can be seen.
    """
    from scipy.optimize import minimize

    usual = USUAL + np.log([max(noise, FINEST * float(current.max()))] * 2 + [1.0] * 3)
    found, apart = begin, np.zeros(len(USUAL))
    lines = _Lines.at(found, z, current)

    def noise_at(apart: Floats) -> Floats:
        return usual + SPREAD * np.clip(apart, -FURTHEST, [FURTHEST] * 4 + [LONGEST])

    def cost(apart: Floats) -> float:
        return lines.cost(noise_at(apart)) + 0.5 * float(apart @ apart)

    for number in range(ROUNDS):
        if number < NOISE_ROUNDS:
            first = min(STARTS, key=cost) if number == 0 else apart
            apart = minimize(cost, first, method="BFGS", options={"maxiter": 30, "gtol": 0.02, "eps": 1e-4}).x
        (offset, larger, steeper), covariance, _ = lines.solved(noise_at(apart))
        found = replace(
            found,
            offset=found.offset + offset,
            size=found.size * float(np.exp(np.clip(larger, -LEAP, LEAP))),
            slope=found.slope * float(np.exp(np.clip(steeper, -LEAP, LEAP))),
            certain=float(np.sqrt(covariance[2, 2])),
        )
        if number >= NOISE_ROUNDS and abs(steeper) < STILL:
            break
        lines = _Lines.at(found, z, current)
    return found


@dataclass(frozen=True, eq=False)
class _Lines:
    """The fall as a straight line in offset, log size and log slope around one of them.

    Attributes
    ----------
    columns : ndarray of shape (n, 4)
        What each of the three changes in the current, in nA, and what is left of the current.
    there : ndarray of shape (n,)
        Current that flows, in nA. It is that which was measured: of a curve that is no exponential the samples far above the
        fit would otherwise count most.
    offset, known : float
        Offset now, and how far from 0 one is expected, in nA.
    """

    columns: Floats
    there: Floats
    offset: float
    known: float

    @classmethod
    def at(cls, fall: Fall, z: Floats, current: Floats) -> _Lines:
        """Return the lines around a fall."""
        flowing = fall.flowing(z)
        above = np.pad(current - fall.offset, TOGETHER // 2, "edge")
        return cls(
            np.column_stack([np.ones_like(z), flowing, -fall.slope * (z - z[0]) * flowing, current - fall.offset - flowing]),
            np.maximum(np.convolve(above, np.full(TOGETHER, 1 / TOGETHER), "valid"), 0.0),
            fall.offset,
            max(OFFSET, OFFSET_SHARE * float(current.max())),
        )

    def cost(self, guess: Floats) -> float:
        """Return minus the logarithm of the restricted likelihood of a guess of the noise, (5,)."""
        return self.solved(guess)[2]

    def solved(self, guess: Floats) -> tuple[Floats, Floats, float]:
        """Return the changes by least squares (3,), their covariance (3, 3), and the cost, for a guess of the noise, (5,)."""
        from scipy.linalg.lapack import dpttrf, dpttrs

        white, lasting, vibration, swaying = np.exp(guess[:4])
        memory, squared, columns = 1 / (1 + np.exp(-guess[4])), self.there**2, self.columns
        anew, lasts = white**2 + vibration**2 * squared, lasting**2 + swaying**2 * squared
        # With a dash for an inverse, (D + S)' is D' - D' (D' + S')' D': D is one diagonal, and S' are three.
        lost = 1 - memory**2
        diagonal = (1 + memory**2) / lost / lasts
        diagonal[[0, -1]] /= 1 + memory**2
        factored, below, fault = dpttrf(diagonal + 1 / anew, -memory / lost / np.sqrt(lasts[1:] * lasts[:-1]))
        weighed = columns / anew[:, None]
        inner, _ = dpttrs(factored, below, weighed)
        products = columns.T @ weighed - weighed.T @ inner
        normal, right, rest = products[:3, :3], products[:3, 3], float(products[3, 3])
        normal[0, 0] += 1 / self.known**2
        right[0] -= self.offset / self.known**2
        rest += (self.offset / self.known) ** 2
        scale = 1 / np.sqrt(np.maximum(np.diagonal(normal), np.finfo(float).tiny))
        sign, logarithm = np.linalg.slogdet(normal * scale * scale[:, None])
        if fault or not sign > 0:
            return np.zeros(3), np.full((3, 3), np.nan), 1e10
        covariance = np.linalg.inv(normal * scale * scale[:, None]) * scale * scale[:, None]
        change = covariance @ right
        determinants = np.log(anew).sum() + np.log(lasts).sum() + (len(anew) - 1) * np.log(lost) + np.log(factored).sum()
        left = rest - float(right @ change)
        return change, covariance, float(0.5 * (determinants + logarithm - 2 * np.log(scale).sum() + left))
