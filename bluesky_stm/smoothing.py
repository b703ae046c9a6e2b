"""Gaussian filters of an image by its cosine transform, and values between its pixels.

A cosine transform sees an image as mirrored at its edges. A filter is a product there, however wide it is, and the image is
transformed once for any number of filters, while a sum over the pixels around each pixel takes as many steps as they are wide.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.geometry import Floats

TRUNCATED: Final = 4.0
"""Distance, in standard deviations, beyond which a Gaussian counts as nothing."""


class Smoothing:
    """The Gaussian filters of one image, which is mirrored at its edges, and their derivatives.

    They are those of ``scipy.ndimage.gaussian_filter(image, width, order, mode="reflect")``, to rounding.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        Without holes.
    """

    def __init__(self, image: Floats) -> None:
        from scipy.fft import dctn

        self._waves = dctn(image)

    def __call__(self, width: ArrayLike, order: tuple[int, int] = (0, 0)) -> Floats:
        """Return the filtered image.

        Parameters
        ----------
        width : float or (float, float)
            Standard deviation of the Gaussian along rows and columns, in pixels.
        order : (int, int)
            Order of the derivative along each, in 1/pixel for each order.

        Returns
        -------
        ndarray of shape (rows, columns)
        """
        from scipy.fft import idct, idst

        image = self._waves
        for axis, (sigma, derivative) in enumerate(zip(np.broadcast_to(width, 2).tolist(), order, strict=True)):
            factors = _factors(sigma, derivative, image.shape[axis])
            image = image * (factors[:, None] if axis == 0 else factors)
            if derivative % 2:  # the derivative of a cosine is a sine, and there is none of no wave
                image = idst(np.roll(image, -1, axis), axis=axis, overwrite_x=True)
            else:
                image = idct(image, axis=axis, overwrite_x=True)
        return image


def _factors(sigma: float, order: int, count: int) -> Floats:
    """Return by how much a filter along a line of ``count`` pixels changes each wave of it, (count,)."""
    reach = int(TRUNCATED * sigma + 0.5)
    if not reach and not order:
        return np.ones(count)
    apart = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (apart / sigma) ** 2)
    weights /= weights.sum()
    if order:
        # The derivatives of a Gaussian are Hermite polynomials times it.
        hermite = np.polynomial.hermite_e.hermeval(apart / sigma, np.eye(order + 1)[order])
        weights *= (-1 / sigma) ** order * hermite
    period = np.bincount(apart % (2 * count), weights, 2 * count)
    waves = np.fft.rfft(period)[:count]
    # An odd filter turns cosines into sines: its transform is imaginary.
    return -waves.imag if order % 2 else waves.real


def interpolated(images: Floats, which: ArrayLike, rows: Floats, columns: Floats) -> Floats:
    """Return values between the pixels of images that are mirrored at their edges, by linear interpolation.

    Parameters
    ----------
    images : ndarray of shape (k, rows, columns)
        A stack of images.
    which : int or ndarray of int
        Image that each place lies in; it is broadcast with ``rows`` and ``columns``.
    rows, columns : ndarray
        Places, as fractions of pixels; they are broadcast, so that a raster is given by its lines.

    Returns
    -------
    ndarray
        Of the shape to which ``which``, ``rows`` and ``columns`` are broadcast.
    """
    _, height, width = images.shape
    (above, below, down), (left, right, along) = _between(rows, height), _between(columns, width)
    first, flat = np.asarray(which) * (height * width), images.reshape(-1)
    above, below = first + above * width, first + below * width
    upper, lower = flat.take(above + left), flat.take(below + left)
    upper += (flat.take(above + right) - upper) * along
    lower += (flat.take(below + right) - lower) * along
    lower -= upper
    lower *= down
    upper += lower
    return upper


def _between(places: Floats, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return the pixels before and after each place along a mirrored line, and how far between them it lies."""
    before = np.floor(places)
    share, index = places - before, before.astype(np.intp)
    if index.size and 0 <= index.min() and index.max() < count - 1:
        return index, index + 1, share
    return _mirrored(index, count), _mirrored(index + 1, count), share


def _mirrored(index: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    turned = index % (2 * count)
    return np.minimum(turned, 2 * count - 1 - turned)
