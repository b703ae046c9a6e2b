"""Conspicuous spots of a topograph, and candidates that sit on them: the places where a person would put the tip.

A spot is a bump or a pit: the surface curves the same way along every direction. The smaller of the two principal curvatures
measures that; it vanishes on step edges and on lines, however high, and on saddles.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats, Frame, patch_centers
from bluesky_stm.imaging import fill_holes, remove_tilt
from bluesky_stm.measurements import Topograph
from bluesky_stm.smoothing import Smoothing
from bluesky_stm.validated import Data

WIDTHS: Final = (1 / 16, 1 / 8, 1 / 4)
"""Standard deviations of the Gaussians that smooth the image, as shares of the patch; each is at least one pixel."""

CONSPICUOUS: Final = 20.0
"""Least curvature of a spot, in units of the median curvature of its image. Noise stays below half of it."""


def curvature(topograph: Topograph, patch: float) -> Floats:
    """Return the smaller principal curvature of the image, smoothed by each of the `WIDTHS`.

    Parameters
    ----------
    topograph : Topograph
        Heights; holes are filled with the nearest pixel.
    patch : float
        Side of the window around a candidate, in nm.

    Returns
    -------
    ndarray of shape (widths, rows, columns)
        Positive on bumps, negative in pits, 0 on saddles; in units of the median curvature at that width in this image.
    """
    height, pixel = _smoothing(topograph), np.array(topograph.frame.pixel_size)
    return np.array([_usual(_least_curvature(height, np.maximum(share * patch / pixel, 1.0), pixel)) for share in WIDTHS])


def threefold(topograph: Topograph, patch: float) -> Floats:
    """Return the strength of the threefold component around each pixel: what distinguishes a triangle from a dot.

    It is the modulus of ``(d/dx + i d/dy)**3`` of the height, which does not depend on the orientation of a triangle. Only the
    two finer of the `WIDTHS` are used, as little of it is left in a coarser image. It vanishes at the centre of anything round
    and on a slope.

    Parameters
    ----------
    topograph : Topograph
        Heights; holes are filled with the nearest pixel.
    patch : float
        Side of the window around a candidate, in nm.

    Returns
    -------
    ndarray of shape (2, rows, columns)
        Not negative; in units of the median at that width in this image.
    """
    height, pixel = _smoothing(topograph), np.array(topograph.frame.pixel_size)
    return np.array([_usual(_third_harmonic(height, np.maximum(share * patch / pixel, 1.0), pixel)) for share in WIDTHS[:2]])


def on_spots(topograph: Topograph, patch: float, step: float, bent: Floats | None = None) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the candidates of the raster, moved onto the conspicuous spots of the image.

    Each spot, the most conspicuous first, takes the nearest place of the raster that no other spot has taken, if it is less
    than a step away. Two spots side by side, such as the two parts of a defect, are then both within reach of the tip. All
    other places stay where they are.

    Parameters
    ----------
    topograph : Topograph
        Heights; holes are filled with the nearest pixel.
    patch : float
        Side of the window around a candidate, in nm, as in `geometry.patch_centers`.
    step : float
        Distance between candidates of the raster, in nm.
    bent : ndarray of shape (widths, rows, columns), optional
        The `curvature` of the image, where it is known.

    Returns
    -------
    places : ndarray of shape (n, 2)
        Candidates as (x, y), in nm, in the order of the raster.
    spot : ndarray of bool of shape (n,)
        True for the candidates that sit on a spot.
    """
    from scipy.spatial import KDTree

    frame, places = topograph.frame, patch_centers(topograph.frame, patch, step)
    spot = np.zeros(len(places), dtype=bool)
    stride = np.maximum(1, np.round(step / np.array(frame.pixel_size)))
    peaks = _peaks(topograph, patch, curvature(topograph, patch) if bent is None else bent)
    near = KDTree(frame.to_pixel(places) / stride).query(peaks / stride, [1, 2, 3, 4], p=np.inf, distance_upper_bound=1.0)[1]
    for peak, homes in zip(frame.to_sample(peaks), near, strict=True):
        free = [home for home in homes if home < len(places) and not spot[home]]  # len(places) stands for none
        if free:
            places[free[0]], spot[free[0]] = peak, True
    return places, spot


def described(settings: Data, frame: Frame | None, topograph: Topograph | None) -> Floats | None:
    """Return the candidates that an agent with the given settings laid out.

    Parameters
    ----------
    settings : mapping
        Settings of the agent, as in a start document.
    frame : Frame or None
        Frame of its topograph.
    topograph : Topograph or None
        Only candidates on spots need it.

    Returns
    -------
    ndarray of shape (n, 2) or None
        Places as (x, y), in nm; None where the arguments do not determine them.
    """
    if settings.get("candidates"):
        return np.asarray(settings["candidates"], dtype=float)
    if frame is None or "patch" not in settings or "step" not in settings:
        return None
    if settings.get("sites", "raster") == "raster":
        return patch_centers(frame, settings["patch"], settings["step"])
    return None if topograph is None else on_spots(topograph, settings["patch"], settings["step"])[0]


def _peaks(topograph: Topograph, patch: float, bent: Floats) -> NDArray[np.int_]:
    """Return the pixels (k, 2) of the conspicuous spots, the strongest first."""
    from skimage.feature import peak_local_max

    strength = np.abs(bent).max(axis=0)
    apart = max(1, round(WIDTHS[1] * patch / max(topograph.frame.pixel_size)))
    return peak_local_max(strength, min_distance=apart, threshold_abs=CONSPICUOUS, exclude_border=False)


def _smoothing(topograph: Topograph) -> Smoothing:
    return Smoothing(remove_tilt(fill_holes(topograph.height)))


def _least_curvature(height: Smoothing, width: Floats, pixel: Floats) -> Floats:
    """Return the smaller principal curvature of the image smoothed by ``width`` pixels (rows, columns), positive on a bump."""
    along, across, mixed = (height(width, order) for order in ((2, 0), (0, 2), (1, 1)))
    along, across, mixed = along / pixel[0] ** 2, across / pixel[1] ** 2, mixed / pixel.prod()
    middle, apart = (along + across) / 2, np.hypot((along - across) / 2, mixed)
    return -np.sign(middle) * np.maximum(np.abs(middle) - apart, 0.0)


def _third_harmonic(height: Smoothing, width: Floats, pixel: Floats) -> Floats:
    """Return the modulus of ``(d/dx + i d/dy)**3`` of the image smoothed by ``width`` pixels (rows, columns)."""
    orders = [(3 - k, k) for k in range(4)]
    yyy, yyx, yxx, xxx = (height(width, order) / (pixel[0] ** order[0] * pixel[1] ** order[1]) for order in orders)
    return np.hypot(xxx - 3 * yyx, 3 * yxx - yyy)


def _usual(values: Floats) -> Floats:
    curved = np.abs(values[values != 0])
    return values / np.median(curved) if len(curved) else values
