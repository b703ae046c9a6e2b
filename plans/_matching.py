"""Where a place of one image lies in another, and where it is by now."""

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
    """Where the surface of ``reference`` lies in ``image``; where they have too little in common, what is not trusted."""
    try:
        return register_features(reference, image, expected, within)
    except SettingsError:
        return Registration(Shift(0.0, 0.0), 0.0, "none")


def follow(drift: Drift | None, point: Point, time: float) -> Point:
    """Where ``point`` of the first image is at ``time``."""
    if drift is None:
        return Point(*point)
    x, y = drift.at(time)
    return Point(float(point[0] + x), float(point[1] + y))


def contrast(reference: Topograph, image: Topograph) -> float:
    """Spread of the heights of an image, relative to that of the reference at the same place."""
    there = level(resample(reference, image.frame))
    return float(np.nanstd(level(image.height)[np.isfinite(there)])) / max(float(np.nanstd(there)), 1e-9)


def zip_xy(prefix: str, pair: Sequence[float] | Floats) -> dict[str, float]:
    """Both coordinates of a pair, by name."""
    return {f"{prefix}x": float(pair[0]), f"{prefix}y": float(pair[1])}
