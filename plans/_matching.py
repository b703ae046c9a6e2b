"""Matching of images: where a place of one image lies in another, and where it has drifted by a given time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Drift, Floats, Point
from bluesky_stm.imaging import Registration, Shift, level, register_features, resample
from bluesky_stm.measurements import Topograph


def locate(
    reference: Topograph, image: Topograph, expected: tuple[float, float] = (0.0, 0.0), within: float = math.inf
) -> Registration:
    """Find the shift of the surface from one image to another.

    Parameters
    ----------
    reference : Topograph
        First image.
    image : Topograph
        Second image, which may have another size and raster.
    expected : (float, float)
        Shift that is expected, along x and y, in nm.
    within : float
        Largest distance of the shift from the one expected, in nm.

    Returns
    -------
    Registration
        Shift in nm, correlation and method. Where the images have too little in common, a shift of zero that is not trusted.
    """
    try:
        return register_features(reference, image, expected, within)
    except SettingsError:
        return Registration(Shift(0.0, 0.0), 0.0, "none")


def follow(drift: Drift | None, point: Point, time: float) -> Point:
    """Move a place with the drift.

    Parameters
    ----------
    drift : Drift or None
        Drift since the first image; None for none.
    point : Point
        Place in the first image, in nm.
    time : float
        Time for which the place is wanted, in s.

    Returns
    -------
    Point
        Place on the sample at that time, in nm.
    """
    if drift is None:
        return Point(*point)
    x, y = drift.at(time)
    return Point(float(point[0] + x), float(point[1] + y))


def contrast(reference: Topograph, image: Topograph) -> float:
    """Return the spread of the heights of an image, relative to that of the reference at the same place."""
    there = level(resample(reference, image.frame))
    return float(np.nanstd(level(image.height)[np.isfinite(there)])) / max(float(np.nanstd(there)), 1e-9)


def zip_xy(prefix: str, pair: Sequence[float] | Floats) -> dict[str, float]:
    """Name both coordinates of a pair ``{prefix}x`` and ``{prefix}y``."""
    return {f"{prefix}x": float(pair[0]), f"{prefix}y": float(pair[1])}
