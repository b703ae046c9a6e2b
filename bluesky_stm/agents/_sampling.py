"""Even sampling without a model."""

from __future__ import annotations

import numpy as np

from bluesky_stm.geometry import Floats

PLASTIC = 1.324717957244746
"""Real root of x**3 = x + 1. Its inverse powers give the two-dimensional sequence of lowest known discrepancy of this kind."""


def quasi_random(seed: int, ordinal: int) -> Floats:
    """Return the point ``ordinal`` of an additive recurrence in the unit square, shifted at random by ``seed``; shape (2,).

    Any number of consecutive points covers the square evenly (M. Roberts, "The unreasonable effectiveness of quasirandom
    sequences", 2018), so that their number need not be known beforehand.
    """
    shift = np.random.default_rng(abs(seed)).random(2)
    return (shift + (ordinal + 1) * np.array([1 / PLASTIC, 1 / PLASTIC**2])) % 1.0
