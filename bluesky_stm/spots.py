"""Conspicuous spots of a topograph, and candidates that sit on them: where a person would put the tip.

A spot is a bump or a pit: the surface curves the same way along every direction. So what counts is the smaller of the two
principal curvatures; it vanishes on step edges and on lines, however high, and on saddles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import KDTree
from skimage.feature import peak_local_max

from bluesky_stm.geometry import Floats, Frame, patch_centers
from bluesky_stm.measurements import Topograph

WIDTHS: Final = (1 / 16, 1 / 8, 1 / 4)
"""Standard deviations of the Gaussians through which the image is seen, as shares of the patch; one pixel at least."""

CONSPICUOUS: Final = 20.0
"""How many times the usual curvature of its image a spot has at least; noise stays below half of it."""

LAYOUT: Final = ("patch", "step", "sites", "candidates", "seeds", "begin")
"""Settings of an agent that say where it may measure; what another agent takes over."""


def curvature(topograph: Topograph, patch: float) -> Floats:
    """The smaller principal curvature of the image, seen through each of the `WIDTHS`.

    Returns
    -------
    ndarray of shape (widths, rows, columns)
        Positive on bumps, negative in pits, 0 on saddles; in units of what is usual at that width in this image.
    """
    height = _flat(_filled(topograph.height))
    pixel = np.array(topograph.frame.pixel_size)
    return np.array([_usual(_least_curvature(height, np.maximum(share * patch / pixel, 1.0), pixel)) for share in WIDTHS])


def threefold(topograph: Topograph, patch: float) -> Floats:
    """How much the image changes like cos 3φ around each pixel: what sets a triangle apart from a dot, however high either is.

    The modulus of ``(d/dx + i d/dy)**3``, which does not depend on how a triangle is turned, seen through the two finer of the
    `WIDTHS`: there is little left of it in a coarser image. Nothing that is round, and no slope, has any at its middle.

    Returns
    -------
    ndarray of shape (2, rows, columns)
        Not negative; in units of what is usual at that width in this image.
    """
    height = _flat(_filled(topograph.height))
    pixel = np.array(topograph.frame.pixel_size)
    return np.array([_usual(_third_harmonic(height, np.maximum(share * patch / pixel, 1.0), pixel)) for share in WIDTHS[:2]])


def on_spots(topograph: Topograph, patch: float, step: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Candidates of the raster, moved onto the conspicuous spots of the image.

    Each spot, the most conspicuous first, takes the nearest place of the raster that no other has, if it is less than a step
    away: two spots side by side, as the two parts of a defect, are both within reach of the tip. All other places stay.

    Parameters
    ----------
    topograph : Topograph
    patch, step : float
        Of the raster, as of `geometry.patch_centers`.

    Returns
    -------
    places : ndarray of shape (n, 2)
        As (x, y), in nm, in the order of the raster.
    spot : ndarray of shape (n,)
        Which of them sit on a spot.
    """
    frame, places = topograph.frame, patch_centers(topograph.frame, patch, step)
    spot = np.zeros(len(places), dtype=bool)
    stride = np.maximum(1, np.round(step / np.array(frame.pixel_size)))
    peaks = _peaks(topograph, patch)
    near = KDTree(frame.to_pixel(places) / stride).query(peaks / stride, [1, 2, 3, 4], p=np.inf, distance_upper_bound=1.0)[1]
    for peak, homes in zip(frame.to_sample(peaks), near, strict=True):
        free = [home for home in homes if home < len(places) and not spot[home]]  # len(places) stands for none
        if free:
            places[free[0]], spot[free[0]] = peak, True
    return places, spot


def described(settings: Mapping[str, Any], frame: Frame | None, topograph: Topograph | None) -> Floats | None:
    """The candidates that an agent with these ``settings`` (as in a start document) laid out; None where that is not known."""
    if settings.get("candidates"):
        return np.asarray(settings["candidates"], dtype=float)
    if frame is None or "patch" not in settings or "step" not in settings:
        return None
    if settings.get("sites", "raster") == "raster":
        return patch_centers(frame, settings["patch"], settings["step"])
    return None if topograph is None else on_spots(topograph, settings["patch"], settings["step"])[0]


def _peaks(topograph: Topograph, patch: float) -> NDArray[np.int_]:
    """Pixels (k, 2) of the conspicuous spots, the strongest first."""
    strength = np.abs(curvature(topograph, patch)).max(axis=0)
    apart = max(1, round(WIDTHS[1] * patch / max(topograph.frame.pixel_size)))
    return peak_local_max(strength, min_distance=apart, threshold_abs=CONSPICUOUS, exclude_border=False)


def _least_curvature(height: Floats, width: Floats, pixel: Floats) -> Floats:
    """Of the image smoothed by ``width`` pixels (rows, columns), its sign that of a bump."""
    along, across, mixed = (gaussian_filter(height, width, order=order, mode="reflect") for order in ((2, 0), (0, 2), (1, 1)))
    along, across, mixed = along / pixel[0] ** 2, across / pixel[1] ** 2, mixed / pixel.prod()
    middle, apart = (along + across) / 2, np.hypot((along - across) / 2, mixed)
    return -np.sign(middle) * np.maximum(np.abs(middle) - apart, 0.0)


def _third_harmonic(height: Floats, width: Floats, pixel: Floats) -> Floats:
    """Modulus of ``(d/dx + i d/dy)**3`` of the image smoothed by ``width`` pixels (rows, columns)."""
    yyy, yyx, yxx, xxx = (
        gaussian_filter(height, width, order=(3 - k, k), mode="reflect") / (pixel[0] ** (3 - k) * pixel[1] ** k)
        for k in range(4)
    )
    return np.hypot(xxx - 3 * yyx, 3 * yxx - yyy)


def _usual(values: Floats) -> Floats:
    curved = np.abs(values[values != 0])
    return values / np.median(curved) if len(curved) else values


def _flat(height: Floats) -> Floats:
    """Without the tilt, which the mirrored edges of the image would turn into ridges."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in height.shape)
    up, along = rows @ height.mean(axis=1) / (rows @ rows), columns @ height.mean(axis=0) / (columns @ columns)
    return height - up * rows[:, None] - along * columns


def _filled(height: Floats) -> Floats:
    """Pixels that were not measured, as the nearest that was."""
    holes = ~np.isfinite(height)
    if not holes.any() or holes.all():
        return np.nan_to_num(height)
    nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
    return height[tuple(nearest)]
