"""What all pictures share: colours, contrast, how an image is made fit to be looked at, and maps from values at candidates."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.views._record import RunRecord

COLORS = {"height": "gray", "value": "viridis", "std": "cividis"}
"""Perceptually uniform colour maps: of a topograph, of values and their prediction, of the uncertainty."""


def label(record: RunRecord) -> str:
    """What the values are, for an axis: ``"gap"``, with a minus sign before it where the run looks for the smallest."""
    sign = "\N{MINUS SIGN}" if record.start_document["scalarizer"].get("prefer") == "small" else ""
    return sign + record.quantity.replace("_", " ")


def flattened(height: Floats) -> Floats:
    """Heights without the mean plane of what was measured, lowest at zero."""
    rows, columns = (axis - axis.mean() for axis in np.indices(height.shape, dtype=float))
    measured = np.isfinite(height)
    basis = np.stack([rows, columns, np.ones_like(rows)], axis=-1)
    plane = np.linalg.lstsq(basis[measured], height[measured], rcond=None)[0]
    level = height - basis @ plane
    return level - np.nanmin(level)


def contrast(image: Floats, tails: float = 0.5) -> tuple[float, float]:
    """Range of an image without ``tails`` percent at either end; never empty."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, [tails, 100 - tails]) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1e-12)


def shrunk(image: Floats, most: int) -> Floats:
    """The image, averaged over square blocks until it has at most ``most`` pixels; what is left over at the end is dropped."""
    block = math.ceil(math.sqrt(image.size / most))
    rows, columns = (n // block for n in image.shape)
    blocks = image[: rows * block, : columns * block].reshape(rows, block, columns, block)
    return blocks.mean(axis=(1, 3))


def within(frame: Frame, points: ArrayLike) -> Floats:
    """Places (n, 2) in nm from the lower left corner of ``frame``: along it and up."""
    pixel = frame.to_pixel(points) + 0.5
    return (pixel * frame.pixel_size)[..., ::-1]


def round_length(most: float) -> float:
    """The largest of 1, 2, 5, 10, 20 ... that is not above ``most``: for a scale bar."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(figure * power for figure in (1, 2, 5) if figure * power <= most * (1 + 1e-9))


class Mosaic:
    """Turns values at candidates into an image of the frame: around each candidate a square, as wide as they lie apart.

    Serves a full grid of candidates and the scattered places of a recorded run alike, in frames of any angle.

    Attributes
    ----------
    index : ndarray of shape (rows, columns)
        Which candidate; -1 for none.
    """

    def __init__(self, frame: Frame, candidates: Floats, pixels: int = 128) -> None:
        width, height = frame.size
        raster = Frame(frame.center, frame.size, (max(1, round(pixels * height / width)), pixels), frame.angle)
        tree = KDTree(raster.to_pixel(candidates))
        everywhere = np.moveaxis(np.indices(raster.pixels), 0, -1)
        distance, index = tree.query(everywhere, p=np.inf, distance_upper_bound=0.51 * _pitch(tree, pixels))
        self.index = np.where(np.isfinite(distance), index, -1)

    def image(self, values: Floats) -> Floats:
        """Values (n,) at the candidates as an image; NaN where there is no candidate."""
        return np.where(self.index < 0, np.nan, np.asarray(values)[self.index])


def _pitch(tree: KDTree, otherwise: float) -> float:
    """Usual distance between nearest neighbours along an axis."""
    if tree.n < 2:
        return otherwise
    return float(np.median(tree.query(tree.data, k=2, p=np.inf)[0][:, 1]))
