"""What the net reads of a place: rings of the topograph around it, by harmonics, blind to any turn of the image.

On rings whose radii grow from a few pixels to the patch, each on an image smoothed in proportion, the height is decomposed
over the angle; kept is the mean of a ring (against the widest) and the size of its first harmonics: a step shows in the
first, a ridge in the second, a triangular defect in the third. Heights come in units of what is usual in this topograph on
that ring, so that neither unit nor offset nor tilt matter; how usual sizes compare, and the patch in nm, say what kind of
scene it is.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bluesky_stm.agents._features import CHUNK, LEARNED_FROM, leveled
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Topograph

RADII = (0.05, 0.09, 0.15, 0.24, 0.36, 0.52, 0.75, 1.1)
"""Radii of the rings, in patches."""

ANGLES = 16
HARMONICS = 5
"""Of the height along a ring: 0 (its mean) to 4."""

SMOOTHING = 0.3
"""Standard deviation of the smoothing, in radii."""

INPUTS = 2 * (len(RADII) * HARMONICS + 1) + 1
"""Numbers a place: harmonics of each ring and height, their usual sizes, and the patch."""


class Rings:
    """Inputs of the net at any place of a topograph; learned from its ``candidates`` (n, 2), nm, is only what is usual."""

    def __init__(self, topograph: Topograph, candidates: Floats, patch: float) -> None:
        self._frame = topograph.frame
        image, pixel_size = leveled(topograph.height), np.array(topograph.frame.pixel_size)
        self._radii = [radius * patch / pixel_size for radius in RADII]
        self._images = [ndimage.gaussian_filter(image, SMOOTHING * radius, mode="reflect") for radius in self._radii]
        raw = self._raw(candidates[:: -(-len(candidates) // LEARNED_FROM)])
        self._usual = np.sqrt((raw**2).mean(axis=0))
        total = np.sqrt((self._usual**2).sum()) or 1.0
        self._scene = np.append(np.log10(self._usual / total + 1e-4), np.log10(patch))
        self._usual[self._usual < 1e-9] = 1.0

    def __call__(self, points: Floats) -> Floats:
        """Inputs (n, `INPUTS`) of the net at places (n, 2), in nm."""
        parts = [points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
        own = np.concatenate([np.arcsinh(self._raw(part) / self._usual) for part in parts])
        return np.concatenate([own, np.broadcast_to(self._scene, (len(points), len(self._scene)))], axis=1)

    def _raw(self, points: Floats) -> Floats:
        pixels = self._frame.to_pixel(points)
        rings = np.stack([self._ring(i, pixels) for i in range(len(RADII))], axis=1)  # (n, radii, harmonics)
        widest = rings[:, -1:, 0].copy()
        rings[:, :, 0] -= widest
        rings[:, -1, 0] = ndimage.map_coordinates(self._images[0], pixels.T, order=1, mode="reflect") - widest[:, 0]
        return np.concatenate([rings.reshape(len(points), -1), widest], axis=1)

    def _ring(self, i: int, pixels: Floats) -> Floats:
        angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
        offsets = self._radii[i] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        places = np.moveaxis(pixels[:, None, :] + offsets, -1, 0)
        values = ndimage.map_coordinates(self._images[i], places, order=1, mode="reflect")
        waves = np.fft.rfft(values, axis=1)[:, :HARMONICS] / ANGLES
        return np.concatenate([waves[:, :1].real, np.abs(waves[:, 1:])], axis=1)
