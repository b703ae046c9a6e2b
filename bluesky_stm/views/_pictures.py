"""What all pictures share: colours, contrast, how an image is made fit to be looked at, and maps from values at candidates."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import grey_closing
from scipy.spatial import KDTree

from bluesky_stm.geometry import Floats, Frame

COLORS = {"height": "gray", "value": "viridis", "small": "viridis_r", "std": "cividis", "gain": "magma"}
"""Perceptually uniform colour maps: of a topograph, of values (large or small ones sought: bright), of the uncertainty, and of
the acquisition function."""


def flattened(height: Floats) -> Floats:
    """Heights turned until most of the surface lies level, lowest at zero: terraces become flat and steps stay steps.

    The slopes taken out are the medians of the slopes between neighbours, so that steps and defects don't count.
    """
    rows, columns = (axis - axis.mean() for axis in np.indices(height.shape, dtype=float))
    level = height - rows * _median(np.diff(height, axis=0)) - columns * _median(np.diff(height, axis=1))
    return level - np.nanmin(level) if np.isfinite(level).any() else level


def tones(image: Floats) -> Floats:
    """The heights at which a topograph grows a tone brighter, (256,): terraces beside tall steps keep their contrast.

    A tone is half the height, half the share of pixels that are lower (as in an equalised histogram).
    """
    low, high = contrast(image)
    heights = np.sort(np.clip(image[np.isfinite(image)], low, high)) if np.isfinite(image).any() else np.array([low, high])
    tone = (heights - low) / (high - low) + np.linspace(0, 1, heights.size)
    return np.interp(np.linspace(0, 2, 256), tone, heights)


def toned(image: Floats) -> Floats:
    """A topograph as brightness from 0 to 1, by its `tones`; NaN where not measured."""
    return np.where(np.isfinite(image), np.searchsorted(tones(image), image) / 256, np.nan)


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


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else 0.0


class Mosaic:
    """Turns values at candidates into an image of the frame: around each candidate a square, as wide as they lie apart.

    Serves a full grid of candidates, one whose candidates sit on spots beside their place (the gaps that they leave show the
    nearest one) and the scattered places of a recorded run alike, in frames of any angle.

    Attributes
    ----------
    index : ndarray of shape (rows, columns)
        Which candidate; -1 for none.
    """

    def __init__(self, frame: Frame, candidates: Floats, pixels: int = 128) -> None:
        width, height = frame.size
        raster = Frame(frame.center, frame.size, (max(1, round(pixels * height / width)), pixels), frame.angle)
        self._raster, self._tree = raster, (tree := KDTree(raster.to_pixel(candidates)))
        everywhere = np.moveaxis(np.indices(raster.pixels), 0, -1)
        distance, index = tree.query(everywhere, p=np.inf)
        pitch = _pitch(tree, pixels)
        self.index = np.where(_closed(distance < 0.51 * pitch, math.ceil(pitch)), index, -1)

    def image(self, values: Floats) -> Floats:
        """Values (n,) at the candidates as an image; NaN where there is no candidate."""
        return np.where(self.index < 0, np.nan, np.asarray(values)[self.index])

    def nearest(self, places: Floats) -> NDArray[np.int_]:
        """The candidate nearest to each place (k, 2), in nm; shape (k,)."""
        return self._tree.query(self._raster.to_pixel(places))[1] if len(places) else np.empty(0, dtype=int)


def _closed(known: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """``known`` without gaps that are at most ``pixels`` wide; what borders on the outside is none."""
    padded = np.pad(known, pixels).astype(np.uint8)
    return grey_closing(padded, size=pixels + 1, mode="constant")[pixels:-pixels, pixels:-pixels].astype(bool)


def _pitch(tree: KDTree, otherwise: float) -> float:
    """Usual distance between nearest neighbours along an axis."""
    if tree.n < 2:
        return otherwise
    return float(np.median(tree.query(tree.data, k=2, p=np.inf)[0][:, 1]))
