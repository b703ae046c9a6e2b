"""Colours, contrast and maps from values at candidates: the part that all pictures share."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.geometry import Floats, Frame

if TYPE_CHECKING:
    from scipy.spatial import KDTree

COLORS = {"height": "gray", "value": "viridis", "small": "viridis_r", "std": "cividis", "gain": "magma"}
"""Perceptually uniform colour maps: of a topograph, of values (large or small ones sought: bright), of the uncertainty, and of
the acquisition function."""


def color_table(name: str) -> NDArray[np.uint8]:
    """Return one of the colour maps as a table.

    Parameters
    ----------
    name : str
        A key of `COLORS`.

    Returns
    -------
    ndarray of shape (256, 3)
        Red, green and blue from 0 to 255.
    """
    known = COLORS[name].removesuffix("_r")
    # matplotlib's own, written down: to load it takes longer than to make most reports.
    tables = json.loads(files("bluesky_stm.views").joinpath("page", "colors.json").read_text(encoding="utf-8"))
    table = np.frombuffer(bytes.fromhex(tables[known]), np.uint8).reshape(256, 3)
    return table if known == COLORS[name] else table[::-1]


def shrunk(image: Floats, most: int) -> Floats:
    """Return an image, averaged over square blocks.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        It has NaN wherever one pixel of a block has it.
    most : int
        Largest number of pixels of the result.

    Returns
    -------
    ndarray of shape (rows // b, columns // b)
        The side b of the blocks is as small as ``most`` allows; what is left over beside the last whole block is dropped.
    """
    block = math.ceil(math.sqrt(image.size / most))
    rows, columns = (n // block for n in image.shape)
    blocks = image[: rows * block, : columns * block].reshape(rows, block, columns, block)
    return blocks.mean(axis=(1, 3))


def within(frame: Frame, points: ArrayLike) -> Floats:
    """Return places in the coordinates of a frame.

    Parameters
    ----------
    frame : Frame
        Frame of any angle.
    points : array_like of shape (..., 2)
        Places as (x, y), in nm.

    Returns
    -------
    ndarray of shape (..., 2)
        Distance from its lower left corner along it and up, in nm.
    """
    pixel = frame.to_pixel(points) + 0.5
    return (pixel * frame.pixel_size)[..., ::-1]


def round_length(most: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 ... that is not above a length: for a scale bar.

    Parameters
    ----------
    most : float
        The length, positive, in any unit.
    """
    power = 10.0 ** math.floor(math.log10(most))
    return max(figure * power for figure in (1, 2, 5) if figure * power <= most * (1 + 1e-9))


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
        from scipy.spatial import KDTree

        width, height = frame.size
        raster = Frame(frame.center, frame.size, (max(1, round(pixels * height / width)), pixels), frame.angle)
        self._raster, self._tree = raster, (tree := KDTree(raster.to_pixel(candidates)))
        everywhere = np.moveaxis(np.indices(raster.pixels), 0, -1)
        distance, index = tree.query(everywhere, p=np.inf)
        pitch = _pitch(tree, pixels)
        self.index = np.where(_closed(distance < 0.51 * pitch, math.ceil(pitch)), index, -1)

    def image(self, values: Floats) -> Floats:
        """Return values at the candidates as an image.

        Parameters
        ----------
        values : ndarray of shape (n,)
            One for each candidate.

        Returns
        -------
        ndarray of shape (rows, columns)
            Row 0 is the lowest y of the frame; NaN where there is no candidate.
        """
        return np.where(self.index < 0, np.nan, np.asarray(values)[self.index])

    def nearest(self, places: Floats) -> NDArray[np.int_]:
        """Return the index of the candidate nearest to each place.

        Parameters
        ----------
        places : ndarray of shape (k, 2)
            Places as (x, y), in nm.

        Returns
        -------
        ndarray of int of shape (k,)
        """
        return self._tree.query(self._raster.to_pixel(places))[1] if len(places) else np.empty(0, dtype=int)


def _closed(known: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """``known`` without gaps that are at most ``pixels`` wide; what borders on the outside is none."""
    from scipy.ndimage import grey_closing

    padded = np.pad(known, pixels).astype(np.uint8)
    return grey_closing(padded, size=pixels + 1, mode="constant")[pixels:-pixels, pixels:-pixels].astype(bool)


def _pitch(tree: KDTree, otherwise: float) -> float:
    """Usual distance between nearest neighbours along an axis."""
    if tree.n < 2:
        return otherwise
    return float(np.median(tree.query(tree.data, k=2, p=np.inf)[0][:, 1]))
