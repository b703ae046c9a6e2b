"""Robust statistics, which outliers do not decide."""

from __future__ import annotations

from typing import Final

import numpy as np

from bluesky_stm.geometry import Floats

NORMAL_MEDIAN_DEVIATIONS: Final = 1.4826
"""Standard deviation of a normal distribution, in units of its median absolute deviation."""


def normal_deviation(values: Floats) -> float:
    """Return the standard deviation of the normal distribution that has the median absolute deviation of ``values``.

    NaN are left out. The result is 0 where more than half of the values are equal.
    """
    return float(np.nanmedian(np.abs(values - np.nanmedian(values)))) * NORMAL_MEDIAN_DEVIATIONS
