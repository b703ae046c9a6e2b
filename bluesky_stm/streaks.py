"""Streaks of a scan: stretches of one or two lines that stand above or below the lines beside them, and lines that jumped.

For some pixels something sits at the tip, or the tip is a little longer; then all is as before. No feature of a surface looks
like that: it would be many pixels long and a line or two high, with abrupt ends. Streaks of a bad day outnumber the defects of
a frame, and are as high. What is done about them is what Gwyddion calls *Remove Scars* and *Align Rows* (D. Nečas and
P. Klapetek, Cent. Eur. J. Phys. 10, 181 (2012), doi:10.2478/s11534-011-0096-2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Topograph
from bluesky_stm.robust import normal_deviation

SHORTEST: Final = 5
"""Least length of a streak, in pixels. A round bump that wide at half its height loses a tenth of it at most, a narrower one
nothing."""

STANDS_OUT: Final = 3.0
"""Height that a streak reaches above both lines beside it, in standard deviations of a line from the mean of these two; half of
that is its least height everywhere."""

MOST_LINES: Final = 2
"""Lines that a streak is high at most: two that come one after the other may overlap."""


def without_streaks(image: Topograph) -> Topograph:
    """Return the image with what lies above and below each streak in its place.

    Parameters
    ----------
    image : Topograph
        Heights, in nm. Lines with a hole are left as they are.

    Returns
    -------
    Topograph
        The pixels of streaks are interpolated along y between the lines beside them; all others are as before.
    """
    height = np.array(image.height, dtype=float)
    known = np.isfinite(height).all(axis=1)
    lines = height[known]
    if len(lines) < MOST_LINES + 2:
        return image
    height[known] = _interpolated(lines, streaks(lines))
    return replace(image, height=height)


def with_lines_aligned(image: Topograph) -> Topograph:
    """Return the image with each line as high as the one before it, by the median of their differences.

    The z piezo creeps after an approach, and the tip changes: both move all lines that follow. What is lost is the mean slope
    along y, and a step that runs along the lines.

    Parameters
    ----------
    image : Topograph
        Heights, in nm. Lines with a hole are left as they are.
    """
    height = np.array(image.height, dtype=float)
    known = np.isfinite(height).all(axis=1)
    lines = height[known]
    if len(lines) < 2:
        return image
    height[known] = _aligned(lines)
    return replace(image, height=height)


def streaks(lines: Floats) -> NDArray[np.bool_]:
    """Return which pixels belong to a streak.

    Parameters
    ----------
    lines : ndarray of shape (rows, columns)
        Heights, all of them finite, at least four rows.

    Returns
    -------
    ndarray of bool of shape (rows, columns)
        Never in the first and the last line, beside which there is only one other.
    """
    lines = _aligned(lines)  # on a slope, two lines beside a streak would lie below what is on either side of them
    noise = normal_deviation(lines[1:-1] - (lines[:-2] + lines[2:]) / 2)
    found = np.zeros(lines.shape, dtype=bool)
    for heights in (lines, -lines):
        for count in range(1, MOST_LINES + 1):
            places = len(lines) - count - 1
            inside = np.min([heights[1 + k : 1 + k + places] for k in range(count)], axis=0)
            above = inside - np.maximum(heights[:places], heights[count + 1 :])
            marked = _long(above, STANDS_OUT * noise)
            for k in range(count):
                found[1 + k : 1 + k + places] |= marked
    return found


def _aligned(lines: Floats) -> Floats:
    return lines - np.append(0.0, np.cumsum(np.median(np.diff(lines, axis=0), axis=1)))[:, None]


def _long(above: Floats, high: float) -> NDArray[np.bool_]:
    """Return the pixels of stretches along a line whose peak is ``high``, and which are half as high for `SHORTEST` pixels.

    The flanks of a bump are long, too, where there is no noise to hide them: what counts is half of its own peak.
    """
    from scipy.ndimage import label, maximum, sum_labels

    stretches, count = label(above > high / 2, structure=[[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    if not count:
        return np.zeros(above.shape, dtype=bool)
    every = np.arange(1, count + 1)
    peaks = np.append(np.inf, maximum(above, stretches, every))
    half = sum_labels(above > peaks[stretches] / 2, stretches, every)
    return np.append(False, (half >= SHORTEST) & (peaks[1:] > high))[stretches]


def _interpolated(lines: Floats, gaps: NDArray[np.bool_]) -> Floats:
    filled, rows = lines.copy(), np.arange(len(lines))
    for column in np.flatnonzero(gaps.any(axis=0)):
        gap = gaps[:, column]
        filled[gap, column] = np.interp(rows[gap], rows[~gap], lines[~gap, column])
    return filled
