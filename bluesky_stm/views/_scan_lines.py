"""Jumps between the lines of a topograph: where the tip changed, or a step of the surface lies along the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.robust import normal_deviation

SIGNIFICANCE: Final = 6.0
"""How many standard deviations of the usual differences between lines a jump has to stand out."""

LEAST: Final = 0.002
"""Smallest jump that is told, in nm."""

SHARE: Final = 0.75
"""Share of a line that has to jump alike: what does so in a part of it is a feature of the surface."""


@dataclass(frozen=True)
class LineJump:
    """A jump of the height from one line to the next.

    Attributes
    ----------
    line : int
        Number of the line before it, from 0, row 0 of the image.
    height : float
        How much higher the next line lies than the slope of the surface says, in nm.
    """

    line: int
    height: float


def line_jumps(height: Floats) -> list[LineJump]:
    """Return the jumps between the lines of an image, in their order.

    Parameters
    ----------
    height : ndarray of shape (m, n)
        Heights in nm, a row for each line; NaN where not measured.
    """
    steps = np.diff(height, axis=0)
    known = np.isfinite(steps).any(axis=1)
    each = np.full(len(steps), np.nan)
    each[known] = np.nanmedian(steps[known], axis=1)
    if known.sum() < 3:
        return []
    level = float(np.nanmedian(each))
    least = max(LEAST, SIGNIFICANCE * normal_deviation(each))
    return [
        LineJump(int(line), float(each[line] - level))
        for line in np.flatnonzero(np.abs(each - level) > least)
        if _whole(steps[line], each[line], abs(each[line] - level))
    ]


def _whole(steps: Floats, jump: float, size: float) -> bool:
    """Return True where most of a line has jumped alike."""
    known = steps[np.isfinite(steps)]
    return float(np.mean(np.abs(known - jump) < size / 2)) >= SHARE
