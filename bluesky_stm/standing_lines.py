"""Straight lines across an image that stand still while the surface drifts below: the scan converters leave them.

Where many bits of a digital-to-analogue converter change at once the tip stumbles, always at the same voltage of the piezo: a
line at one x or one y of the scanner, whatever lies there. An image in which they are as high as the features is registered on
them, at no shift.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Topograph
from bluesky_stm.robust import normal_deviation

MOST: Final = 24
"""Lines of one image that are taken away, the strongest first; what is left of more is weaker than its features."""

STANDS_OUT: Final = 6.5
"""Sum of the heights along a line, in standard deviations of such a sum, from which on it is no chance. Noise along the scan,
which is not white, reaches 6."""

SHORTEST: Final = 0.6
"""Least length of a line, as a share of the shorter side."""

LEAST_NOISE: Final = 0.05
"""Least noise that is assumed, as a share of the spread of the heights: in an image without any, everything stands out."""

HALF_WIDTH: Final = 2
"""Half the width of what is subtracted along a line, in pixels of the search."""

_FINEST, _BACKGROUND = 64, 3.0
"""Pixels, along the longer side, in which lines are sought; width of what counts as background there, in these pixels."""


def without_standing_lines(image: Topograph) -> Topograph:
    """Return the image without straight lines that cross it.

    The strongest line is sought among all directions and distances, and its median profile is subtracted; then the next one.
    A ridge of the surface that crosses the whole image loses its height, too. A step does not, since its sides differ; nor do
    rows of atoms that lie in three directions, as none of them stands out along its whole length.

    Parameters
    ----------
    image : Topograph
        Heights, in nm.

    Returns
    -------
    Topograph
        The same image where nothing was found.
    """
    height = np.array(image.height, dtype=float)
    factor = math.ceil(max(height.shape) / _FINEST)
    if min(height.shape) < 8 * factor:
        return image
    coarse = np.array([side // factor for side in height.shape])
    first = (np.array(height.shape) - coarse * factor) // 2  # the block that is sought through lies in the middle
    rows, columns = np.indices(height.shape)
    y, x = (((at - start + 0.5) / factor - side / 2) for at, start, side in zip((rows, columns), first, coarse, strict=True))
    found = False
    for angle, distance in islice(_lines(height, factor, first, coarse), MOST):
        found = True
        _flatten(height, x * math.cos(angle) + y * math.sin(angle) - distance)
    return replace(image, height=height) if found else image


def _lines(height: Floats, factor: int, first: NDArray[np.intp], coarse: NDArray[np.intp]) -> Iterator[tuple[float, float]]:
    """Yield direction and distance from the middle of the strongest line, in coarse pixels; ``height`` loses it meanwhile."""
    angles, cells, offset = _cells(*(int(side) for side in coarse))
    allowed = np.ones((len(angles), 2 * offset + 1), dtype=bool)
    part = tuple(slice(start, start + side * factor) for start, side in zip(first, coarse, strict=True))
    seen = np.isfinite(_blocks(height[part], factor))
    if not seen.any():
        return
    count = _along(cells, seen, allowed)
    allowed &= count >= SHORTEST * coarse.min()
    while True:
        local = _standing_out(_blocks(height[part], factor), seen)
        strength = np.where(allowed, np.abs(_along(cells, local, allowed)) / np.sqrt(np.maximum(count, 1)), 0.0)
        at, beside = np.unravel_index(int(np.argmax(strength)), strength.shape)
        if strength[at, beside] < STANDS_OUT:
            return
        near = np.abs((angles - angles[at] + math.pi / 2) % math.pi - math.pi / 2) < math.radians(2.5)
        allowed[near, max(0, beside - HALF_WIDTH - 1) : beside + HALF_WIDTH + 2] = False  # each line once
        yield float(angles[at]), float(beside - offset)


def _blocks(height: Floats, factor: int) -> Floats:
    """Return the means of blocks of ``factor`` by ``factor`` pixels; NaN where one of them was not measured."""
    rows, columns = height.shape
    return height.reshape(rows // factor, factor, columns // factor, factor).mean(axis=(1, 3))


def _standing_out(height: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Return how far each pixel stands out from what is around it, in standard deviations as long as it is little; 0 in holes.

    Beyond that it grows by the logarithm: a few high features on a way make no line, and a line is sharp.
    """
    from scipy.ndimage import gaussian_filter

    filled = np.where(seen, height, height[seen].mean())
    local = filled - gaussian_filter(filled, _BACKGROUND)
    usual = max(normal_deviation(local[seen]), LEAST_NOISE * float(np.std(local[seen])))
    return np.where(seen, np.arcsinh(local / usual), 0.0) if usual else np.zeros(height.shape)


def _along(cells: NDArray[np.intp], values: NDArray[Any], like: NDArray[Any]) -> Floats:
    """Return the sums of values of pixels along each line, (directions, distances)."""
    sums: Floats = np.bincount(cells, np.tile(values.ravel(), len(like)), like.size).astype(float)
    return sums.reshape(like.shape)


@lru_cache(maxsize=8)
def _cells(rows: int, columns: int) -> tuple[Floats, NDArray[np.intp], int]:
    """Return directions across lines, the cell (direction, distance) of each pixel for each of them, and the cell of 0."""
    angles = np.radians(np.arange(180.0))
    y, x = np.indices((rows, columns)).reshape(2, -1) + 0.5 - np.array([[rows], [columns]]) / 2
    away = np.floor(np.cos(angles)[:, None] * x + np.sin(angles)[:, None] * y + 0.5).astype(int)  # as wide each, on halves, too
    offset = math.ceil(math.hypot(rows, columns) / 2)
    return angles, ((away + offset) + (2 * offset + 1) * np.arange(len(angles))[:, None]).ravel(), offset


def _flatten(height: Floats, away: Floats) -> None:
    """Subtract the median profile across a line from which pixels are ``away``, against what lies on either side of it."""
    bins = np.rint(2 * away).astype(int)  # half a pixel, as a line is hardly wider than one
    inside, outside = 2 * HALF_WIDTH, 2 * HALF_WIDTH + 4
    near = np.abs(bins) <= outside
    there, heights = bins[near], height[near]
    found = [heights[(there == place) & np.isfinite(heights)] for place in range(-outside, outside + 1)]
    profile = np.array([np.median(one) if len(one) else np.nan for one in found])
    places = np.arange(-outside, outside + 1)
    beside = (np.abs(places) > inside) & np.isfinite(profile)
    if not (beside[:outside].any() and beside[outside:].any()):
        return
    left, right = (float(profile[half][beside[half]].mean()) for half in (slice(outside), slice(outside, None)))
    profile -= np.interp(places, [-(inside + outside + 1) / 2, (inside + outside + 1) / 2], [left, right])
    if np.nanmax(np.abs(profile[~beside]), initial=0.0) < abs(right - left):
        return  # a step of the surface: it is no higher above the one side than the other lies below it
    profile = np.where((np.abs(places) <= inside) & np.isfinite(profile), profile, 0.0)
    height[near] -= profile[there + outside]
