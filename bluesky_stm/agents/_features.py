"""Features of a place in the topograph, before any spectrum: windows around the tip, reduced to a few numbers each.

Three Gaussian windows, from the immediate neighbourhood to the whole patch, are sampled in physical units on the same small
raster. Their own mean is subtracted, and they are reduced to principal components of all candidates; the local height is one
more number. Nothing depends on the unit, the offset or the tilt of the height, and a rotation of the image changes nothing but
signs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.imaging import fill_holes
from bluesky_stm.measurements import Topograph
from bluesky_stm.smoothing import Smoothing, interpolated

WINDOWS = {"near": 4 / 30, "middle": 8 / 30, "wide": 1.0}
"""Full width at half maximum of the windows, as shares of the patch."""

IMAGE_COMPONENTS = 8
"""Largest number of principal components of a window."""
RASTER = 13
"""Number of rows and columns of samples in a window."""

WINDOW_REACH = 1.0
"""Half side of the sampled square, in full widths at half maximum of the window."""

LEARNED_FROM = 4096
"""Number of candidates, evenly chosen, from which the principal components are computed."""

PLACES_AT_ONCE = 256
"""Number of places whose windows are sampled together: what is read for them stays in the cache of the processor."""


@dataclass(frozen=True, eq=False)
class ImageWindow:
    """One window and its principal components.

    Attributes
    ----------
    image : ndarray of shape (rows, columns)
        The smoothed image that it samples.
    steps : ndarray of shape (2, RASTER)
        Lines of the raster relative to the place: rows, and columns, in pixels.
    weights : ndarray of shape (RASTER**2,)
        Weight of each sample, 1 at the centre.
    center : ndarray of shape (RASTER**2,)
        Mean of the samples over the candidates.
    axes : ndarray of shape (RASTER**2, components)
        Principal axes, scaled by the fourth root of their inverse variance.
    """

    image: Floats
    steps: Floats
    weights: Floats
    center: Floats
    axes: Floats

    def __call__(self, pixels: Floats) -> Floats:
        """Return the features (n, components) of places given as fractional (row, column)."""
        return np.concatenate([self.reduced(self.samples(part)) for part in _chunks(pixels)])

    def reduced(self, samples: Floats) -> Floats:
        """Return the features (n, components) of places whose `samples` (n, RASTER**2) are known."""
        return (samples - self.center) @ self.axes

    def samples(self, pixels: Floats) -> Floats:
        """Return the weighted windows around some places, their weighted means subtracted.

        Parameters
        ----------
        pixels : ndarray of shape (n, 2)
            Places as fractional (row, column).

        Returns
        -------
        ndarray of shape (n, RASTER**2)
            Multiplied by the square root of the weights, so that the distance of two rows is the weighted one.
        """
        rows, columns = pixels[:, :1] + self.steps[0], pixels[:, 1:] + self.steps[1]
        raw = interpolated(self.image[None], 0, rows[:, :, None], columns[:, None]).reshape(len(pixels), -1)
        mean = raw @ self.weights / self.weights.sum()
        return (raw - mean[:, None]) * np.sqrt(self.weights)


class ImageFeatures:
    """Features of any place in a topograph.

    Parameters
    ----------
    topograph : Topograph
        Image from which the features are taken.
    candidates : ndarray of shape (n, 2)
        Places, in nm, from which the components are learned.
    patch : float
        Side of the widest window, in nm.

    Attributes
    ----------
    groups : tuple of str
        Names of the groups of features that vary at all; a constant image has none.
    """

    def __init__(self, topograph: Topograph, candidates: Floats, patch: float) -> None:
        self._frame, self._candidates = topograph.frame, candidates
        smoothing, pixel_size = Smoothing(standardized(topograph.height)), np.array(topograph.frame.pixel_size)
        pixels = self._frame.to_pixel(candidates[:: -(-len(candidates) // LEARNED_FROM)])
        self._heights = smoothing(_sigma(WINDOWS["near"] * patch / pixel_size))
        self._windows, self._learned = dict[str, ImageWindow](), {"height": self._height(pixels)}
        for name, share in WINDOWS.items():
            self._windows[name], self._learned[name] = _window(smoothing, pixels, share * patch / pixel_size)
        self._scale = {name: np.sqrt(2 * part.var(axis=0).sum()) for name, part in self._learned.items()}
        self.groups = tuple(name for name in (*WINDOWS, "height") if self._scale[name] > 1e-9)

    def __call__(self, points: Floats) -> list[Floats]:
        """Return the features of places (n, 2) in nm: an array (n, d) for each group.

        They are scaled such that two random places are at a root mean square distance of 1.
        """
        every = points is self._candidates and len(points) <= LEARNED_FROM
        raw = self._learned if every else self._raw(self._frame.to_pixel(points))
        return [raw[name] / self._scale[name] for name in self.groups]

    def _raw(self, pixels: Floats) -> dict[str, Floats]:
        return {name: window(pixels) for name, window in self._windows.items()} | {"height": self._height(pixels)}

    def _height(self, pixels: Floats) -> Floats:
        return interpolated(self._heights[None], 0, pixels[:, :1], pixels[:, 1:])


def standardized(height: Floats) -> Floats:
    """Return an image without holes, offset and tilt, in units of its standard deviation; zeros where nothing varies.

    The arithmetic is not that of `imaging.remove_tilt`: it stays exact for heights of any unit, and stored decisions of agents
    depend on its last bits.
    """
    image = fill_holes(np.asarray(height, dtype=float))
    image = image - image.mean()  # before anything else: an offset of metres must not cost the picometres
    size = np.abs(image).max()
    if size == 0:
        return image
    rows, columns = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in image.shape)
    image = image / size
    tilt = (image.mean(axis=1) @ rows / max(rows @ rows, 1), image.mean(axis=0) @ columns / max(columns @ columns, 1))
    flat = image - tilt[0] * rows[:, None] - tilt[1] * columns
    spread = flat.std()
    return flat / spread if spread > 1e-9 else np.zeros_like(flat)


def _window(smoothing: Smoothing, pixels: Floats, width: Floats) -> tuple[ImageWindow, Floats]:
    """Return a window of ``width`` pixels (rows, columns) at half maximum, and the features of the places it is learned from.

    The axes are scaled such that no component drowns the others.
    """
    relative = np.linspace(-WINDOW_REACH, WINDOW_REACH, RASTER)
    weights = np.exp(-4 * np.log(2) * (relative[:, None] ** 2 + relative**2)).ravel()
    smooth = smoothing(0.5 * (relative[1] - relative[0]) * width)
    bare = ImageWindow(smooth, relative * width[:, None], weights, np.zeros(RASTER**2), np.eye(RASTER**2))
    samples = np.concatenate([bare.samples(part) for part in _chunks(pixels)])
    variance, axes = np.linalg.eigh(np.cov(samples.T, bias=True) if len(samples) > 1 else np.zeros((RASTER**2,) * 2))
    kept = np.argsort(variance)[::-1][:IMAGE_COMPONENTS]
    kept = kept[variance[kept] > 1e-10 * max(variance.max(), 1e-300)]
    window = replace(bare, center=samples.mean(axis=0), axes=axes[:, kept] * variance[kept] ** -0.25)
    return window, window.reduced(samples)


def _sigma(width: Floats) -> Floats:
    return width / np.sqrt(8 * np.log(2))


def _chunks(pixels: Floats) -> Iterator[Floats]:
    for start in range(0, max(len(pixels), 1), PLACES_AT_ONCE):
        yield pixels[start : start + PLACES_AT_ONCE]
