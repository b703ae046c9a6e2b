"""A monotonic transformation that makes values fit for a Gaussian process, and its inverse.

Values may be in any unit and have heavy tails (the published scalars run from 1e-9 to 3, with a kurtosis up to 33). They are
centred on the median and divided by a robust standard deviation, both of the surface (`_shares`); beyond ``far`` of these
they count by their logarithm. The ``far`` that a set of values needs is decided by leaving one out (`TAILS`). A Yeo-Johnson
power was tried instead and cost more than it gained: with two kinds of terrace the values have two peaks, and bending these
towards one bell spreads what is flat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.geometry import Floats

TAILS = (5.0, 1.5)
"""Choices of ``far``, in robust standard deviations: for ordinary values, and for heavy tails."""

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
"""Nodes and weights of a Gauss-Hermite quadrature for expectations over a normal distribution."""
LARGEST_EXPONENT = 30.0
"""Excess over ``far`` beyond which the inverse saturates, as its exponential means nothing."""

BEYOND = 1e300
"""Robust standard deviations beyond which values count as no farther, as ratios would overflow."""

SMALLEST = 1e-290
"""Magnitude below which values count as all the same, as shares of one would underflow."""


@dataclass(frozen=True)
class Warp:
    """The strictly increasing map from values to warped values.

    It is ``z = (value - center) / scale``, then ``sign(z) (far + log(1 + |z| - far))`` where ``|z|`` exceeds ``far``, then
    ``(. - shift) / spread``, so that the warped values have zero mean and unit variance where each
    counts for its share of the surface.

    Attributes
    ----------
    center, scale : float
        Median and robust standard deviation of the values, in their unit.
    far : float
        Robust standard deviations beyond which the logarithm counts.
    shift, spread : float
        Mean and standard deviation of the surface before the last step.
    low, high : float
        Ends of the inverse, in units of ``scale``: they lie one range of the values below the smallest and above the largest.
    """

    center: float = 0.0
    scale: float = 1.0
    far: float = math.inf
    shift: float = 0.0
    spread: float = 1.0
    low: float = -math.inf
    high: float = math.inf
    """Ends of what is turned back, in units of ``scale``: a span of the values beyond their smallest and largest."""

    @classmethod
    def fitted(cls, values: Floats, far: float = TAILS[0], shares: Floats | None = None) -> Self:
        """Return the map that fits a set of values.

        Parameters
        ----------
        values : ndarray of shape (n,)
            All of them finite.
        far : float
            Robust standard deviations beyond which the logarithm counts; one of `TAILS`.
        shares : ndarray of shape (n,), optional
            For how much of the surface each value stands; they sum to 1. By default all count the same.
        """
        center, scale = float(_quantiles(values, shares, [0.5])[0]), _robust_std(values, shares)
        z = (values - center) / scale
        warped = _compressed(z, far)
        shift, spread = _moments(warped, shares)
        ends = float(2 * z.min() - z.max()), float(2 * z.max() - z.min())
        return cls(center, scale, far, shift, spread or 1.0, *ends)

    def __call__(self, values: Floats) -> Floats:
        """Return the warped values."""
        return (_compressed(self._scaled(values), self.far) - self.shift) / self.spread

    def back(self, warped: Floats) -> Floats:
        """Return the values that belong to warped values.

        Parameters
        ----------
        warped : ndarray of shape (...)
            Warped values; what would lie beyond `low` or `high` gives that end.

        Returns
        -------
        ndarray of shape (...)
            In the unit of the values.
        """
        return self.center + self.scale * self._back(warped)

    def log_slope(self, values: Floats) -> Floats:
        """Return the logarithm of the derivative of the map.

        It turns a density of warped values into a density of values, so that warps can be compared.

        Parameters
        ----------
        values : ndarray of shape (...)
            Where the derivative is taken, in the unit of the values.
        """
        z = self._scaled(values)
        return -np.log1p(np.maximum(np.abs(z) - self.far, 0)) - np.log(self.scale * self.spread)

    def moments(self, mean: Floats, std: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation, in the unit of the values, of a normal distribution of warped values.

        Parameters
        ----------
        mean, std : ndarray of shape (...)
            Moments of the warped values.

        Returns
        -------
        mean, std : ndarray of shape (...)
            By Gauss-Hermite quadrature over `NODES`.
        """
        values, weights = self._back(mean[..., None] + std[..., None] * NODES), WEIGHTS / WEIGHTS.sum()
        first = values @ weights
        second = ((values - first[..., None]) ** 2) @ weights
        return self.center + self.scale * first, self.scale * np.sqrt(second)

    def _scaled(self, values: ArrayLike) -> Floats:
        with np.errstate(over="ignore"):
            return np.clip((np.asarray(values, dtype=float) - self.center) / self.scale, -BEYOND, BEYOND)

    def _back(self, warped: Floats) -> Floats:
        return np.clip(_expanded(np.asarray(warped) * self.spread + self.shift, self.far), self.low, self.high)


def weighted_quantiles(values: Floats, weights: Floats, levels: Sequence[float]) -> Floats:
    """Return quantiles of weighted values, with linear interpolation between the middles of their weights.

    Parameters
    ----------
    values : ndarray of shape (n,)
        In any order.
    weights : ndarray of shape (n,)
        Positive; they sum to 1.
    levels : sequence of float
        Probabilities, from 0 to 1.

    Returns
    -------
    ndarray
        One for each level.
    """
    order = np.argsort(values, kind="stable")
    middles = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(levels, middles, values[order])


def _quantiles(values: Floats, weights: Floats | None, levels: Sequence[float]) -> Floats:
    return np.quantile(values, levels) if weights is None else weighted_quantiles(values, weights, levels)


def _moments(values: Floats, weights: Floats | None) -> tuple[float, float]:
    """Return mean and standard deviation of values, weighted where there are weights."""
    if weights is None:
        return float(values.mean()), float(values.std())
    mean = float(weights @ values)
    return mean, float(np.sqrt(weights @ (values - mean) ** 2))


def _robust_std(values: Floats, weights: Floats | None) -> float:
    """Return a robust standard deviation.

    It follows from the quartiles, or from all values where half of them are equal; it is 1 where all of them are.
    """
    size = float(np.abs(values).max())
    if size < SMALLEST:
        return 1.0
    shares = values / size  # squares of very large or very small values are not numbers
    low, high = _quantiles(shares, weights, [0.25, 0.75])
    # The quartiles of a normal distribution are 1.349 standard deviations apart.
    scales = (float(high - low) / 1.349, _moments(shares, weights)[1], float(shares.std()), 1.0)
    return size * next(scale for scale in scales if scale > 1e-9)


def _compressed(z: Floats, far: float) -> Floats:
    size = np.abs(z)
    return np.sign(z) * (np.minimum(size, far) + np.log1p(np.maximum(size - far, 0)))


def _expanded(z: Floats, far: float) -> Floats:
    size = np.abs(z)
    return np.sign(z) * (np.minimum(size, far) + np.expm1(np.clip(size - far, 0, LARGEST_EXPONENT)))
