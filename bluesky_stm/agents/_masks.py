"""Candidates that are left out: dirt on the surface, and holes in the image.

The rim of the frame is left out by the layout of the candidates, whose windows fit into it. Regions that a person excludes come
as a mask with each question.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats, extract_patches
from bluesky_stm.measurements import Topograph

WINDOWS_AT_ONCE = 4096
"""Number of windows that are cut out together, which bounds the memory."""


def clean(topograph: Topograph, points: Floats, patch: float, tallest: float | None) -> NDArray[np.bool_]:
    """Return which places have a clean window around them.

    Parameters
    ----------
    topograph : Topograph
        Heights, in nm.
    points : ndarray of shape (n, 2)
        Places as (x, y), in nm.
    patch : float
        Side of the window, in nm.
    tallest : float or None
        Height above the median of the window, in nm, beyond which something counts as dirt. None accepts every place.

    Returns
    -------
    ndarray of bool of shape (n,)
        False also where most of the window was not measured.
    """
    if tallest is None:
        return np.ones(len(points), dtype=bool)
    size = max(1, round(patch / topograph.frame.pixel_size[1]))
    pixels = topograph.frame.to_pixel(points)
    parts = [pixels[start : start + WINDOWS_AT_ONCE] for start in range(0, len(pixels), WINDOWS_AT_ONCE)]
    return np.concatenate([_low(extract_patches(topograph.height, part, size), tallest) for part in parts])


def _low(windows: Floats, tallest: float) -> NDArray[np.bool_]:
    heights = windows.reshape(len(windows), -1)
    seen = np.isfinite(heights)
    enough = seen.mean(axis=1) > 0.5
    highest = np.where(seen, heights, -np.inf).max(axis=1)
    middle = np.nanmedian(np.where(enough[:, None], heights, 0.0), axis=1)
    return enough & (highest - middle <= tallest)
