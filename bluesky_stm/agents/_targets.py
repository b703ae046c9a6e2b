"""Values made fit for a Gaussian process, and back.

Values may be in any unit and have heavy tails (the published scalars run from 1e-9 to 3, with a kurtosis up to 33). They are
centred on the median, divided by a robust standard deviation, their far tails compressed by a logarithm, and then made
symmetric by a Yeo-Johnson power that the data have to ask for. The power stays in [0, 2]: outside, the inverse has a pole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from bluesky_stm.geometry import Floats

FAR = 5.0
"""Robust standard deviations beyond which a value counts by its logarithm."""

RELUCTANCE = 0.4
"""Standard deviation of the prior of the Yeo-Johnson power about 1."""

POWERS = np.linspace(0.0, 2.0, 41)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
LARGEST = 30.0
"""Bent values beyond this are not turned back: their exponential means nothing."""


@dataclass(frozen=True)
class Warp:
    """Value -> (value - center) / scale -> compressed -> power -> (. - shift) / spread; all strictly increasing."""

    center: float = 0.0
    scale: float = 1.0
    power: float = 1.0
    shift: float = 0.0
    spread: float = 1.0
    low: float = -math.inf
    high: float = math.inf
    """Ends of what is turned back, in units of ``scale``: a span of the values beyond their smallest and largest."""

    @classmethod
    def fitted(cls, values: Floats, bend: bool = True) -> Self:
        """To these values, shape (n,), all finite; ``bend=False`` keeps the power at 1."""
        center, scale = float(np.median(values)), _robust_std(values)
        z = (values - center) / scale
        y = _compress(z)
        power = _best_power(y) if bend and np.ptp(y) > 0 else 1.0
        bent = _yeo_johnson(y, power)
        ends = float(2 * z.min() - z.max()), float(2 * z.max() - z.min())
        return cls(center, scale, power, float(bent.mean()), float(bent.std()) or 1.0, *ends)

    def __call__(self, values: Floats) -> Floats:
        """Warped values."""
        return (_yeo_johnson(_compress((np.asarray(values) - self.center) / self.scale), self.power) - self.shift) / self.spread

    def back(self, warped: Floats) -> Floats:
        """Inverse, in the units of the values."""
        y = np.clip(np.asarray(warped) * self.spread + self.shift, -LARGEST, LARGEST)
        return self.center + self.scale * np.clip(_expand(_inverse_yeo_johnson(y, self.power)), self.low, self.high)

    def log_slope(self, values: Floats) -> Floats:
        """Logarithm of the derivative, per unit of the values."""
        z = (np.asarray(values) - self.center) / self.scale
        y = _compress(z)
        bend = np.sign(y) * (self.power - 1) * np.log1p(np.abs(y))
        return bend - np.log1p(np.maximum(np.abs(z) - FAR, 0)) - np.log(self.scale * self.spread)

    def moments(self, mean: Floats, std: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, in the units of the values, of what is normal in the warped scale (Gauss-Hermite)."""
        values = (self.back(mean[..., None] + std[..., None] * NODES) - self.center) / self.scale
        weights = WEIGHTS / WEIGHTS.sum()
        first = values @ weights
        second = ((values - first[..., None]) ** 2) @ weights
        return self.center + self.scale * first, self.scale * np.sqrt(second)


def _robust_std(values: Floats) -> float:
    """From the quartiles; from all values where half of them are equal; 1 where all are."""
    size = float(np.abs(values).max())
    if size == 0:
        return 1.0
    shares = values / size  # squares of very large or very small values are not numbers
    low, high = np.percentile(shares, [25, 75])
    scales = (float(high - low) / 1.349, float(shares.std()), 1.0)
    return size * next(scale for scale in scales if scale > 1e-9)


def _compress(y: Floats) -> Floats:
    excess = np.maximum(np.abs(y) - FAR, 0)
    return np.sign(y) * (np.minimum(np.abs(y), FAR) + np.log1p(excess))


def _expand(y: Floats) -> Floats:
    excess = np.maximum(np.abs(y) - FAR, 0)
    return np.sign(y) * (np.minimum(np.abs(y), FAR) + np.expm1(np.minimum(excess, LARGEST)))


def _yeo_johnson(y: Floats, power: float) -> Floats:
    return np.where(y >= 0, _box_cox(np.maximum(y, 0), power), -_box_cox(np.maximum(-y, 0), 2 - power))


def _inverse_yeo_johnson(y: Floats, power: float) -> Floats:
    return np.where(y >= 0, _inverse_box_cox(np.maximum(y, 0), power), -_inverse_box_cox(np.maximum(-y, 0), 2 - power))


def _box_cox(y: Floats, power: float) -> Floats:
    return np.log1p(y) if abs(power) < 1e-12 else np.expm1(power * np.log1p(y)) / power


def _inverse_box_cox(y: Floats, power: float) -> Floats:
    return np.expm1(y) if abs(power) < 1e-12 else np.expm1(np.log1p(power * y) / power)


def _best_power(y: Floats) -> float:
    """Maximum a posteriori on a grid: normal likelihood of the bent values, normal prior about 1."""
    jacobian = np.sum(np.sign(y) * np.log1p(np.abs(y)))
    scores = [
        -0.5 * len(y) * np.log(_yeo_johnson(y, p).var()) + (p - 1) * jacobian - 0.5 * ((p - 1) / RELUCTANCE) ** 2
        for p in POWERS
    ]
    return float(POWERS[int(np.argmax(scores))])
