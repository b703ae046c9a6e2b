"""Topographs made fit to be looked at, and small pictures and tables as HTML for notebooks.

All of it needs numpy alone, because a look at an object should load nothing.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.geometry import Floats

SIDE = 200
"""Largest width and height of a small picture, in pixels of the screen."""


def flattened(height: Floats) -> Floats:
    """Return heights turned until most of the surface lies level, lowest at zero: terraces become flat, steps stay steps.

    The slopes taken out are the medians of the slopes between neighbours, so that steps and defects don't count.
    """
    rows, columns = (axis - axis.mean() for axis in np.indices(height.shape, dtype=float))
    level = height - rows * _median(np.diff(height, axis=0)) - columns * _median(np.diff(height, axis=1))
    return level - np.nanmin(level) if np.isfinite(level).any() else level


def tones(image: Floats) -> Floats:
    """Return the heights at which a topograph grows a tone brighter, (256,): terraces beside tall steps keep their contrast.

    A tone is half the height, half the share of pixels that are lower (as in an equalised histogram).
    """
    low, high = contrast(image)
    heights = np.sort(np.clip(image[np.isfinite(image)], low, high)) if np.isfinite(image).any() else np.array([low, high])
    tone = (heights - low) / (high - low) + np.linspace(0, 1, heights.size)
    return np.interp(np.linspace(0, 2, 256), tone, heights)


def toned(image: Floats) -> Floats:
    """Return a topograph as brightness from 0 to 1, by its `tones`; NaN where not measured."""
    return np.where(np.isfinite(image), np.searchsorted(tones(image), image) / 256, np.nan)


def contrast(image: Floats, tails: float = 0.5) -> tuple[float, float]:
    """Return the range of an image without ``tails`` percent at either end; never empty."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, [tails, 100 - tails]) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1e-12)


def table(title: str, rows: Mapping[str, object]) -> str:
    """Return a table of names and values under a title, as HTML; what is None or empty is left out."""
    shown = [(name, value) for name, value in rows.items() if value not in (None, "")]
    lines = [f"<tr><th style='text-align:left'>{escape(n)}</th><td>{escape(str(v))}</td></tr>" for n, v in shown]
    return f"<table><caption style='text-align:left'>{escape(title)}</caption>{''.join(lines)}</table>"


def beside(*parts: str) -> str:
    """Return parts of HTML side by side."""
    cells = "".join(f"<div style='margin-right:1em'>{part}</div>" for part in parts)
    return f"<div style='display:flex;align-items:flex-start'>{cells}</div>"


def topograph_picture(height: Floats, size: tuple[float, float]) -> str:
    """Return the picture of a topograph, levelled, in shades of grey; what was not measured is transparent.

    Parameters
    ----------
    height : ndarray of shape (rows, columns)
        Heights, in nm; row 0 is the lowest y and lies at the bottom of the picture.
    size : tuple of float
        Width and height of the frame, in nm.

    Returns
    -------
    str
        An HTML element with the picture inside.
    """
    stride = max(1, -(-max(height.shape) // (2 * SIDE)))
    shade = toned(flattened(height[::stride, ::stride].astype(float)))
    seen = np.isfinite(shade)
    pixels = np.stack([np.rint(255 * np.nan_to_num(shade)), np.where(seen, 255, 0)], axis=-1).astype(np.uint8)[::-1]
    scale = SIDE / max(size)
    encoded = base64.b64encode(_png(pixels)).decode()
    style = "image-rendering:auto;border:1px solid #888"
    return (
        f"<img src='data:image/png;base64,{encoded}' width='{size[0] * scale:.0f}' height='{size[1] * scale:.0f}' "
        f"style='{style}' alt='topograph'>"
    )


def curve_picture(x: ArrayLike, y: ArrayLike, label: str) -> str:
    """Return the picture of a curve with its axes through zero, where zero is inside.

    Parameters
    ----------
    x, y : array_like of shape (n,)
        Points of the curve; what is not finite is left out.
    label : str
        What the curve shows, with its units.

    Returns
    -------
    str
        An HTML element with the picture inside.
    """
    points = np.array([x, y], dtype=float)
    points = points[:, np.isfinite(points).all(axis=0)]
    width, height = SIDE * 3 // 2, SIDE * 3 // 4
    if points.size == 0:
        return f"<div>{escape(label)}: nothing was measured</div>"
    low, high = points.min(axis=1), points.max(axis=1)
    extent = np.where(high > low, high - low, 1.0)
    corners = (points - low[:, None]) / extent[:, None] * [[width - 8], [height - 8]] + 4
    corners[1] = height - corners[1]
    zero = (-low) / extent * [width - 8, height - 8] + 4
    lines = []
    if low[0] < 0 < high[0]:
        lines.append(f"<line x1='{zero[0]:.1f}' x2='{zero[0]:.1f}' y1='0' y2='{height}' stroke='#bbb'/>")
    if low[1] < 0 < high[1]:
        lines.append(f"<line y1='{height - zero[1]:.1f}' y2='{height - zero[1]:.1f}' x1='0' x2='{width}' stroke='#bbb'/>")
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners.T)
    return (
        f"<figure style='margin:0'><svg width='{width}' height='{height}' style='border:1px solid #888;background:#fff'>"
        f"{''.join(lines)}<polyline points='{path}' fill='none' stroke='#1f5fa8' stroke-width='1.5'/></svg>"
        f"<figcaption>{escape(label)}: {low[1]:.3g} to {high[1]:.3g}</figcaption></figure>"
    )


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Return grey levels and opacities, of shape (rows, columns, 2), as a PNG file."""
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)  # each line begins with the number of its filter: none

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 4, 0, 0, 0)  # 8 bits, grey with alpha
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def _median(slopes: Floats) -> float:
    known = slopes[np.isfinite(slopes)]
    return float(np.median(known)) if len(known) else 0.0
