"""The apparent height of the tunneling barrier, from how the current falls as the tip is drawn back.

Over a barrier of height phi the current falls as exp(-2 kappa z), with kappa = sqrt(2 m phi) / hbar, so that

    phi = hbar**2 / 8 m  (d ln I / d z)**2,

0.952 eV for one unit of the slope per angstrom [Chen2008]_; a decade for each angstrom is 5.05 eV. It is apparent: the image
potential, the bias (half of it lies on either side) and a tip that bends towards the surface lower it, and it belongs to its
set point.

References
----------
.. [Chen2008] C. J. Chen, Introduction to Scanning Tunneling Microscopy, 2nd ed., Oxford University Press (2008), chapter 1
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bluesky_stm.barrier._fall import Fall, fitted
from bluesky_stm.geometry import Floats
from bluesky_stm.robust import median, normal_deviation
from bluesky_stm.units import ELECTRON_KINETIC

FEWEST_SAMPLES: Final = 8
"""Samples above the noise below which nothing is said."""

ABOVE: Final = 20.0
"""Current, in standard deviations of its noise, that says whether it falls as an exponential: its logarithm is then wrong by
0.1 % at most."""

LEAST_FALL: Final = 1.0
"""Fall of the natural logarithm of the current that a sweep has to show."""

STRAIGHT: Final = 0.9
"""Share of the variance of the logarithm that a straight line has to explain."""

CERTAIN: Final = 0.5
"""Largest standard deviation of a height that is one, as a share of it."""

FULL: Final = 1e-3
"""Relative distance from the largest current within which several samples say that the preamplifier was at its end."""

UNSTEADY: Final = 0.01
"""Share of the current by which it scatters beside the noise, for the weights of the search for its offset: vibration."""

STEEPEST: Final = 60.0
"""Steepest slope of the logarithm of a current, in 1/nm, with which its offset is looked for: twice that of any barrier."""

SLOPES: Final = 60
"""Number of slopes among which it is looked for."""


@dataclass(frozen=True)
class BarrierHeight:
    """Apparent height of the barrier.

    Attributes
    ----------
    value, std : float
        Height and its standard deviation, in eV, by the noise, what lasts of it from sample to sample and the offset of the
        preamplifier included (`_fall`); NaN where there is none. Of the true heights 95 % lie within two deviations.
    samples : int
        Number of samples that stand far out of the noise.
    reason : str
        Why there is no height; empty where there is one.
    distance, current : ndarray of shape (samples,)
        Distances, in nm, and the exponential that was fitted there, in nA, with sign and offset of what was measured.
    """

    value: float = np.nan
    std: float = np.nan
    samples: int = 0
    reason: str = ""
    distance: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    current: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)


def barrier_height(distance: Floats, current: Floats) -> BarrierHeight:
    """Return the apparent height of the barrier at one place.

    Parameters
    ----------
    distance : ndarray of shape (n,)
        How far the tip was drawn back, in nm, larger away from the surface; from where does not matter.
    current : ndarray of shape (n,)
        Tunneling current, in nA, of either sign. The offset of the preamplifier is fitted; a sweep over which the current falls
        little leaves it uncertain, and with it the height. Samples at its end of range are left out.
    """
    known = np.isfinite(distance) & np.isfinite(current)
    order = np.argsort(distance[known])
    z, i = distance[known][order], current[known][order]
    if len(z) < FEWEST_SAMPLES:
        return BarrierHeight(reason=f"{len(z)} samples are too few")
    sign = np.sign(i[np.argmax(np.abs(i))])
    i = i * sign
    quarter = max(FEWEST_SAMPLES, len(i) // 4)
    if np.median(i[-quarter:]) > np.median(i[:quarter]):
        return BarrierHeight(reason="the current grows as the tip is drawn back")
    noise = _noise(i[-quarter:])
    full = i >= (1 - FULL) * i.max()
    usable = ~full if full.sum() > 2 else np.ones(len(i), dtype=bool)
    z, i = z[usable], i[usable]
    begin = _begin(z, i, noise)
    found = fitted(z, i, begin, noise) if _clear(i, begin, noise) else begin
    clear = _clear(i, found, noise)
    if clear < FEWEST_SAMPLES:
        return BarrierHeight(samples=clear, reason=f"only {clear} samples stand out of the noise")
    logarithm = np.log(i[:clear] - found.offset)
    if np.ptp(logarithm) < LEAST_FALL:
        return BarrierHeight(samples=clear, reason=f"the current falls by a factor of {np.exp(np.ptp(logarithm)):.2g} only")
    left = np.var(logarithm - np.polyval(np.polyfit(z[:clear], logarithm, 1), z[:clear])) / np.var(logarithm)
    if left > 1 - STRAIGHT:
        return BarrierHeight(samples=clear, reason=f"the current is no exponential: {left:.0%} of its logarithm is left")
    value, certain = ELECTRON_KINETIC / 4 * found.slope**2, 2 * found.certain
    if not certain < CERTAIN:
        return BarrierHeight(
            samples=clear, reason=f"the height is not determined: {value:.2g} eV, give or take {min(certain, 9.99):.0%}"
        )
    curve = sign * (found.flowing(z[:clear]) + found.offset)
    return BarrierHeight(value, value * certain, clear, distance=z[:clear], current=curve)


def _clear(current: Floats, fall: Fall, noise: float) -> int:
    """Return how many samples, from the nearest on, stand far out of the noise; what rises out of it again is noise."""
    lost = np.flatnonzero(current - fall.offset <= ABOVE * noise)
    return int(lost[0]) if len(lost) else len(current)


def _begin(z: Floats, current: Floats, noise: float) -> Fall:
    """Return the exponential and the constant that fit best, which follow at once for each of many slopes.

    An offset far above the noise would otherwise be taken for current that still flows.
    """
    apart = z - z[0]
    weight = 1 / (max(noise, 1e-9 * current.max()) + UNSTEADY * np.abs(current)) ** 2
    slopes, found = np.geomspace(LEAST_FALL / apart[-1], STEEPEST, SLOPES), Fall(0.0, noise, STEEPEST)
    for _ in range(2):  # once over all slopes, and once between the neighbours of the best one
        falls = np.exp(-slopes[:, None] * apart)
        one, e, ee = weight.sum(), falls @ weight, falls**2 @ weight
        y, ey = weight @ current, falls @ (weight * current)
        height = (one * ey - e * y) / (one * ee - e**2)
        constant = (y - height * e) / one
        left = (weight * (current - height[:, None] * falls - constant[:, None]) ** 2).sum(axis=1)
        best = int(np.argmin(left))
        found = Fall(float(constant[best]), max(float(height[best]), noise), float(slopes[best]))
        slopes = np.geomspace(slopes[max(best - 1, 0)], slopes[min(best + 1, len(slopes) - 1)], SLOPES)
    return found


def _noise(far: Floats) -> float:
    """Return the standard deviation of the noise where the tip is furthest away, (n,) in nA.

    Where all samples are positive it is that of the logarithm: in wide steps the second difference of an exponential is none.
    """
    if (far > 0).all():
        return normal_deviation(np.diff(np.log(far), 2)) / np.sqrt(6) * median(far)
    return normal_deviation(np.diff(far, 2)) / np.sqrt(6)
