"""Inputs of the net: rings of the topograph around a place, as harmonics, which no rotation of the image changes.

The rings have set radii in nm, as defects have sizes in nm; each is read from an image smoothed in proportion. The height along
a ring is decomposed over the angle. The mean of a ring (less that of the widest) and the amplitudes of its first harmonics are
kept: a step shows in the first, a ridge in the second, a triangular defect in the third. Far above and below the usual height,
heights count by their logarithm, so that one tall adsorbate does not hide the rest. All numbers are in units of their root mean
square in this topograph, so that neither unit nor offset nor tilt matter. The ratios of these root mean squares, and the side
of the frame in nm, tell the net what kind of scene it is.
"""

from __future__ import annotations

import numpy as np

from bluesky_stm.agents._features import LEARNED_FROM, PLACES_AT_ONCE, standardized
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Topograph
from bluesky_stm.smoothing import Smoothing, interpolated

RADII = (0.3, 0.5, 0.75, 1.1, 1.6, 2.3, 3.3, 4.8, 7.0, 10.0, 16.0, 25.0)
"""Radii of the rings, in nm."""

SHARES = (1 / 180, 0.3)
"""Least and greatest radius, in sides of the frame: the range that the images resolved from which the net has learned."""

ANGLES = 16
HARMONICS = 5
"""Number of harmonics of the height along a ring: 0 (its mean) to 4."""

SMOOTHING = 0.3
"""Standard deviation of the smoothing, in radii."""

INPUTS = 2 * (len(RADII) * HARMONICS + 1) + 1
"""Number of inputs for a place: harmonics of each ring and height, their usual sizes, and the side of the frame."""


class Rings:
    """Inputs of the net at any place of a topograph.

    Parameters
    ----------
    topograph : Topograph
        Image that is read.
    candidates : ndarray of shape (n, 2)
        Places, in nm, that decide what is usual in this image.
    """

    def __init__(self, topograph: Topograph, candidates: Floats) -> None:
        self._frame = topograph.frame
        side, pixel_size = min(topograph.frame.size), np.array(topograph.frame.pixel_size)
        image, least, greatest = _compressed(standardized(topograph.height)), SHARES[0] * side, SHARES[1] * side
        radii, self._which = np.unique(np.clip(RADII, least, greatest), return_inverse=True)
        self._radii, smoothing = radii[:, None] / pixel_size, Smoothing(image)
        self._images = np.stack([smoothing(SMOOTHING * radius) for radius in self._radii])
        raw = self._read(candidates[:: -(-len(candidates) // LEARNED_FROM)])
        self._usual = np.sqrt((raw**2).mean(axis=0))
        total = np.sqrt((self._usual**2).sum()) or 1.0
        self._scene = np.append(np.log10(self._usual / total + 1e-4), np.log10(side))
        self._usual[self._usual < 1e-9] = 1.0

    def __call__(self, points: Floats) -> Floats:
        """Return the inputs (n, `INPUTS`) of the net at places (n, 2), in nm."""
        own = np.arcsinh(self._read(points) / self._usual)
        return np.concatenate([own, np.broadcast_to(self._scene, (len(points), len(self._scene)))], axis=1)

    def _read(self, points: Floats) -> Floats:
        parts = [points[start : start + PLACES_AT_ONCE] for start in range(0, len(points), PLACES_AT_ONCE)]
        return np.concatenate([self._raw(part) for part in parts])

    def _raw(self, points: Floats) -> Floats:
        pixels = self._frame.to_pixel(points)
        rings = self._rings(pixels)[:, self._which]  # radii beyond the least and the greatest of this frame are read once
        widest = rings[:, -1:, 0].copy()
        rings[:, :, 0] -= widest
        rings[:, -1, 0] = interpolated(self._images, 0, *pixels.T) - widest[:, 0]
        return np.concatenate([rings.reshape(len(points), -1), widest], axis=1)

    def _rings(self, pixels: Floats) -> Floats:
        """Return the harmonics of the height along each ring, (n, radii, HARMONICS)."""
        angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
        rows = pixels[:, :1, None] + self._radii[:, :1] * np.sin(angle)
        columns = pixels[:, 1:, None] + self._radii[:, 1:] * np.cos(angle)
        values = interpolated(self._images, np.arange(len(self._images))[:, None], rows, columns)
        waves = np.fft.rfft(values, axis=-1)[..., :HARMONICS] / ANGLES
        return np.concatenate([waves[..., :1].real, np.abs(waves[..., 1:])], axis=-1)


def _compressed(image: Floats) -> Floats:
    """Return heights from the median, by their logarithm beyond the range that holds two thirds of them."""
    heights = image - np.median(image)
    ordinary = float(np.percentile(np.abs(heights), 68))
    return np.arcsinh(heights / ordinary) if ordinary > 1e-9 else heights
