"""Places on the sample: points, frames, drift, and the windows of an image around a point.

Places are ``(x, y)`` in nm in the sample's frame, x to the right and y up. Arrays are ``(row, column)`` = ``(y, x)`` and
row 0 is the lowest y. A pixel coordinate is fractional: whole numbers are pixel *centres*, so that a frame of ``n`` columns
reaches from column ``-0.5`` to ``n - 0.5``, and the centre of an even window lies between two pixels.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.data import Data
from bluesky_stm.errors import SettingsError

Floats = NDArray[np.floating[Any]]


class Point(NamedTuple):
    """A place on the sample, in nm."""

    x: float
    y: float


@dataclass(frozen=True)
class Frame:
    """The rectangle of a topograph or of a grid on the sample.

    Parameters
    ----------
    center : Point
        Centre of the rectangle, in nm.
    size : (float, float)
        Width and height, in nm: along the fast (column) and the slow (row) direction.
    pixels : (int, int)
        Rows and columns.
    angle : float
        Rotation about the centre, in degrees, counter-clockwise.

    Raises
    ------
    SettingsError
        When a size or a number of pixels is not positive, or a number is not finite.
    """

    center: Point
    size: tuple[float, float]
    pixels: tuple[int, int]
    angle: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", Point(float(self.center[0]), float(self.center[1])))
        object.__setattr__(self, "size", (float(self.size[0]), float(self.size[1])))
        object.__setattr__(self, "pixels", (int(self.pixels[0]), int(self.pixels[1])))
        object.__setattr__(self, "angle", float(self.angle))
        if not (min(self.size) > 0 and min(self.pixels) > 0):
            raise SettingsError(f"A frame needs a positive size and at least one pixel, not {self.size} nm in {self.pixels}.")
        if not np.isfinite([*self.center, *self.size, self.angle]).all():
            raise SettingsError(
                f"A frame needs finite numbers, not center {self.center}, size {self.size}, angle {self.angle}."
            )

    @classmethod
    def square(cls, center: tuple[float, float], side: float, pixels: int, angle: float = 0.0) -> Self:
        """Return a square frame.

        Parameters
        ----------
        center : (float, float)
            Centre, as (x, y) in nm.
        side : float
            Width and height, in nm.
        pixels : int
            Number of rows, and of columns.
        angle : float
            Rotation about the centre, in degrees, counter-clockwise.
        """
        return cls(Point(*center), (side, side), (pixels, pixels), angle)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Height and width of one pixel, in nm, in the order of the array axes."""
        return self.size[1] / self.pixels[0], self.size[0] / self.pixels[1]

    @property
    def corners(self) -> Floats:
        """The four corners, counter-clockwise from the one at row 0 and column 0; shape (4, 2), nm."""
        rows, columns = self.pixels
        low = -0.5
        return self.to_sample([(low, low), (low, columns + low), (rows + low, columns + low), (rows + low, low)])

    def to_sample(self, pixel: ArrayLike) -> Floats:
        """Convert pixel coordinates to places on the sample.

        Parameters
        ----------
        pixel : array_like of shape (..., 2)
            Fractional (row, column).

        Returns
        -------
        ndarray of shape (..., 2)
            Places as (x, y), in nm.
        """
        row, column = np.moveaxis(np.asarray(pixel, dtype=float), -1, 0)
        height, width = self.pixel_size
        along = (column + 0.5) * width - self.size[0] / 2
        up = (row + 0.5) * height - self.size[1] / 2
        cos, sin = self._rotation
        return np.stack([self.center.x + cos * along - sin * up, self.center.y + sin * along + cos * up], axis=-1)

    def to_pixel(self, points: ArrayLike) -> Floats:
        """Convert places on the sample to pixel coordinates.

        Parameters
        ----------
        points : array_like of shape (..., 2)
            Places as (x, y), in nm.

        Returns
        -------
        ndarray of shape (..., 2)
            Fractional (row, column).
        """
        x, y = np.moveaxis(np.asarray(points, dtype=float) - np.asarray(self.center), -1, 0)
        height, width = self.pixel_size
        cos, sin = self._rotation
        along = cos * x + sin * y
        up = -sin * x + cos * y
        return np.stack([(up + self.size[1] / 2) / height - 0.5, (along + self.size[0] / 2) / width - 0.5], axis=-1)

    def points(self, rows: slice = slice(None)) -> Floats:
        """Return the place of every pixel centre, or of those of some ``rows``; shape (rows, columns, 2), nm."""
        height, width = self.pixel_size
        along = (np.arange(self.pixels[1]) + 0.5) * width - self.size[0] / 2
        up = ((np.arange(self.pixels[0])[rows] + 0.5) * height - self.size[1] / 2)[:, None]
        cos, sin = self._rotation
        points = np.empty((len(up), len(along), 2))
        np.subtract(self.center.x + cos * along, sin * up, out=points[..., 0])
        np.add(self.center.y + sin * along, cos * up, out=points[..., 1])
        return points

    def part(self, rows: slice = slice(None), columns: slice = slice(None)) -> Frame:
        """Return the frame of some of the pixels, which lie where they did.

        Parameters
        ----------
        rows, columns : slice
            Of the pixels, one after the other; all if not given.
        """
        spans = [range(count)[chosen] for count, chosen in zip(self.pixels, (rows, columns), strict=True)]
        middle = self.to_sample([(span[0] + span[-1]) / 2 for span in spans])
        (width, height), (up, along) = self.pixel_size, map(len, spans)
        return Frame(Point(*middle.tolist()), (width * along, height * up), (up, along), self.angle)

    def contains(self, points: ArrayLike, margin: float = 0.0) -> NDArray[np.bool_]:
        """Return which places lie inside of the frame.

        Parameters
        ----------
        points : array_like of shape (..., 2)
            Places as (x, y), in nm.
        margin : float
            Least distance from the edge, in nm; 1e-9 nm less is accepted.

        Returns
        -------
        ndarray of bool of shape (...)
        """
        x, y = np.moveaxis(np.asarray(points, dtype=float) - np.asarray(self.center), -1, 0)
        cos, sin = self._rotation
        reach = np.asarray(self.size) / 2 - margin + 1e-9
        return (np.abs(cos * x + sin * y) <= reach[0]) & (np.abs(-sin * x + cos * y) <= reach[1])

    def overlaps(self, other: Frame) -> bool:
        """Return True when both frames have an area in common.

        Frames that only touch do not overlap; an overlap of up to 1e-9 nm counts as touching. The test is that of the
        separating axis.
        """
        for angle in {self.angle, other.angle}:  # two rectangles are apart if they are along a side of one of them
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            turned = [frame.corners @ np.array([[cos, -sin], [sin, cos]]) for frame in (self, other)]
            low, high = (np.array([getattr(corners, end)(axis=0) for corners in turned]) for end in ("min", "max"))
            if (high.min(axis=0) - low.max(axis=0) <= 1e-9).any():
                return False
        return True

    def as_dict(self) -> dict[str, list[float] | list[int] | float]:
        """Return the frame as JSON-able values, as it stands in a start document."""
        return {**asdict(self), "center": list(self.center), "size": list(self.size), "pixels": list(self.pixels)}

    @classmethod
    def from_dict(cls, document: Data) -> Self:
        """Return the frame that `as_dict` described."""
        return cls(Point(*document["center"]), tuple(document["size"]), tuple(document["pixels"]), document.get("angle", 0.0))

    @property
    def _rotation(self) -> tuple[float, float]:
        return math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))


class Drift:
    """Displacement of the surface under the tip since the first image, as a function of time.

    The feature at ``p`` in the first image is at ``p + drift.at(t)`` at time ``t``. Between two measurements the shift is
    interpolated; after the last one it grows with the velocity that was left uncompensated.

    Parameters
    ----------
    time : float
        Time of the first image (the middle of its scan), in s.
    """

    def __init__(self, time: float) -> None:
        self._times, self._shifts, self._velocity = [float(time)], [(0.0, 0.0)], (0.0, 0.0)

    def measured(self, time: float, shift: tuple[float, float], velocity: tuple[float, float] = (0.0, 0.0)) -> None:
        """Enter a measured shift.

        Parameters
        ----------
        time : float
            Time of the measurement, in s.
        shift : (float, float)
            Total shift since the first image, along x and y, in nm.
        velocity : (float, float)
            Drift velocity that is expected from then on, in nm/s.

        Raises
        ------
        SettingsError
            When ``time`` does not lie after the measurements before.
        """
        if not time > self._times[-1]:
            raise SettingsError(
                f"Drift at {time:g} s cannot be entered after that at {self._times[-1]:g} s. Nothing was changed."
            )
        self._times.append(float(time))
        self._shifts.append((float(shift[0]), float(shift[1])))
        self._velocity = float(velocity[0]), float(velocity[1])

    @property
    def first(self) -> float:
        """Time of the first image, in s."""
        return self._times[0]

    @property
    def last(self) -> tuple[float, Point]:
        """Time, in s, and shift, in nm, of the last measurement."""
        return self._times[-1], Point(*self._shifts[-1])

    def at(self, time: ArrayLike) -> Floats:
        """Return the shift at the given times.

        Parameters
        ----------
        time : array_like of shape (...)
            In s.

        Returns
        -------
        ndarray of shape (..., 2)
            Along x and y, in nm; 0 before the first image.
        """
        time = np.asarray(time, dtype=float)
        known = np.stack([np.interp(time, self._times, axis) for axis in zip(*self._shifts, strict=True)], axis=-1)
        return known + np.maximum(time - self._times[-1], 0.0)[..., None] * np.asarray(self._velocity)


def patch_centers(frame: Frame, patch: float, step: float) -> Floats:
    """Return the candidates for a spectrum: centres of the windows that fit into the frame, row by row from the lowest y.

    Parameters
    ----------
    frame : Frame
        Frame of the topograph.
    patch : float
        Side of the square window, in nm; taken as the nearest whole number of pixels.
    step : float
        Distance between neighbouring windows, in nm; the nearest whole number of pixels, at least one.

    Returns
    -------
    ndarray of shape (n, 2)
        Places as (x, y), in nm.

    Raises
    ------
    SettingsError
        When no window fits into the frame.
    """
    rows, columns = (
        _window_starts(n, patch / size, step / size) for n, size in zip(frame.pixels, frame.pixel_size, strict=True)
    )
    if not len(rows) or not len(columns):
        raise SettingsError(f"A patch of {patch:g} nm does not fit into a frame of {frame.size[0]:g} x {frame.size[1]:g} nm.")
    return frame.to_sample(np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)).reshape(-1, 2)


def extract_patches(image: ArrayLike, pixels: ArrayLike, size: int) -> Floats:
    """Cut square windows around pixel coordinates out of an image, which is mirrored at its edges.

    Parameters
    ----------
    image : array_like of shape (rows, columns)
        Values of the pixels.
    pixels : array_like of shape (n, 2)
        Fractional (row, column) of the window centres; the window of whole pixels nearest to it is taken.
    size : int
        Side of the window, in pixels.

    Returns
    -------
    ndarray of shape (n, size, size)
    """
    image = np.asarray(image)
    start = np.floor(np.asarray(pixels, dtype=float) - (size - 1) / 2 + 0.5).astype(int)
    offsets = np.arange(size)
    rows = _mirrored(start[:, 0, None] + offsets, image.shape[0])
    columns = _mirrored(start[:, 1, None] + offsets, image.shape[1])
    return image[rows[:, :, None], columns[:, None, :]]


def _window_starts(pixels: int, patch: float, step: float) -> Floats:
    size, stride = max(1, round(patch)), max(1, round(step))
    return np.arange(0, pixels - size + 1, stride) + (size - 1) / 2


def _mirrored(index: NDArray[np.int_], length: int) -> NDArray[np.int_]:
    folded = np.mod(index, 2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
