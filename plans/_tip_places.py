"""Places for checks of the tip: a smooth one for the spectra of reference, clean ones outside the frame for pulses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.imaging import level
from bluesky_stm.measurements import Topograph

_RINGS = 5
"""Number of distances from the frame, multiples of the one asked for, at which there is a place for a pulse on each side."""


def smoothest(image: Topograph, margin: float = 0.1) -> Point:
    """Return the place with the least relief around it, at least ``margin`` (share of the frame) away from its edges."""
    height = level(np.where(np.isfinite(image.height), image.height, np.nanmean(image.height)))
    size = max(3, round(0.04 * min(height.shape)))
    rows, columns = (_inner(n, size, margin) for n in height.shape)
    first = [np.floor(at - (size - 1) / 2 + 0.5).astype(int) for at in (rows, columns)]  # pixels of the windows around them
    relief = (_extreme(np.max, height, size) - _extreme(np.min, height, size))[np.ix_(*first)]
    row, column = np.unravel_index(np.argmin(relief), relief.shape)
    x, y = image.frame.to_sample((rows[row], columns[column]))
    return Point(float(x), float(y))


def places_around(frame: Frame, aside: float, kept: Point) -> list[Point]:
    """Return the places at which pulses do no harm, the nearest first.

    Parameters
    ----------
    frame : Frame
        Region to keep clean.
    aside : float
        Distance from the sides of the frame, and from ``kept``, in nm; further places follow at its multiples.
    kept : Point
        Place of reference, which is to stay clean as well.

    Returns
    -------
    list of Point
        Places on the sample, in nm.
    """
    sides = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)]) / 2
    away = [sides * (1 + 2 * ring * aside / np.array(frame.size)) for ring in range(1, _RINGS + 1)]
    shares = np.concatenate(away)[:, ::-1]  # (up, along) of the frame from its centre
    places = frame.to_sample((shares + 0.5) * frame.pixels - 0.5)
    return [Point(float(x), float(y)) for x, y in places if np.hypot(x - kept.x, y - kept.y) >= aside - 1e-9]


def _inner(pixels: int, size: int, margin: float) -> Floats:
    away = max(margin * pixels, size / 2)
    return np.arange(away, pixels - away)


def _extreme(extreme: Callable[..., Floats], height: Floats, size: int) -> Floats:
    """Largest or smallest height in each square window of so many pixels, by the indices of its first pixel."""
    for axis in (0, 1):
        height = extreme(sliding_window_view(height, size, axis=axis), axis=-1)
    return height
