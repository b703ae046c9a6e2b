"""Arrays to texts of a report page: as few bytes as a picture and a reading of four figures need."""

from __future__ import annotations

import base64
import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.geometry import Floats
from bluesky_stm.validated import JSON

DECADES: Final = math.asinh(1e6)
"""Range of a compressed number, as a hyperbolic sine: from the largest of a row down to a millionth of it, and on to zero."""

LEVELS: Final = 32767
"""Levels of a compressed number on either side of zero: it is right within 0.03 %, or 5e-10 of the largest of its row."""

MISSING: Final = -32768
"""Level of a compressed number that is none."""


def pack(values: ArrayLike, kind: str = "f4") -> JSON:
    """Return an array for the page's own ``unpack``.

    Parameters
    ----------
    values : array_like
        Numbers of any shape.
    kind : str
        Type of numpy in which they are sent, little-endian: ``"f4"`` keeps seven digits, ``"u1"`` whole numbers to 255.
    """
    array = np.ascontiguousarray(values, dtype=f"<{kind}")
    return {"kind": kind, "shape": array.shape, "data": _text(array)}


def compressed(rows: ArrayLike) -> JSON:
    """Return rows of numbers in two bytes each, on a scale that is logarithmic but near zero: noise in a gap keeps its figures.

    Parameters
    ----------
    rows : array_like of shape (m, n)
        Numbers; what is not finite comes back as NaN. Each row has its own largest number.
    """
    array = np.atleast_2d(np.asarray(rows, dtype=float))
    finite = np.isfinite(array)
    largest = np.max(np.abs(np.where(finite, array, 0.0)), axis=1, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)[:, None]
    level = LEVELS * np.arcsinh(np.where(finite, array, 0.0) / scale * 1e6) / DECADES
    levels = np.where(finite, np.rint(level), MISSING).astype("<i2")
    return {"kind": "compressed", "shape": array.shape, "data": _text(levels), "scale": _text(scale.astype("<f4"))}


def levelled(values: Floats) -> JSON:
    """Return numbers in two bytes each, on a scale that is linear between the least and the largest of all.

    Parameters
    ----------
    values : ndarray of any shape
        What is not finite comes back as NaN.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    high = high if high > low else low + 1e-12
    level = 1 + 65534 * (values - low) / (high - low)
    levels = np.where(np.isfinite(level), level, 0).round().astype("<u2")
    return {"kind": "levelled", "shape": values.shape, "data": _text(levels), "range": [low, high]}


def numbers(values: ArrayLike) -> list[float | None]:
    """Return numbers for JSON, with seven significant figures: the page writes four, and five rounded twice are not the number.

    Parameters
    ----------
    values : array_like
        Numbers of any shape.

    Returns
    -------
    list of float or None
        Flat; None, which is null in JSON, for what is not finite.
    """
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in np.asarray(values, dtype=float).ravel()]


def _text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
