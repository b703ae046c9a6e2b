"""Noise: what differs from one measurement to the next. Each draws from its own generator, whatever was measured beside it."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.base import PIXEL_TIME
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.controllers.simulated._recursion import filtered
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.surface import block_rng

CONVERTER_PERIODS: tuple[float, ...] = tuple(76.9 / 2**n for n in range(7))
"""Distances, in nm, of the lines that the carry bits of the scan converters leave, from the highest bit down."""


INTEGRATED: Final = 0.010
"""Time on a point of a spectrum, in s, for which the noise of a profile is given."""

ELECTRON: Final = units.ELEMENTARY_CHARGE * 1e9
"""Charge of an electron, in nA s (CODATA)."""


_SHORT: Final = 128
"""Length of a line up to which its memory is a product with a matrix, which for one spectrum is far faster than a filter."""


class NoiseSource:
    """Generators of a seed, one for each measurement: the n-th of a kind draws the same numbers whatever else was measured."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts: Counter[str] = Counter()

    def next(self, kind: str) -> np.random.Generator:
        """Generator of the next measurement of that kind."""
        ordinal = self._counts[kind]
        self._counts[kind] += 1
        return self.of(kind, ordinal)

    def of(self, kind: str, ordinal: int) -> np.random.Generator:
        """Return the generator of one measurement.

        Parameters
        ----------
        kind : str
            Kind of the measurement, as in ``"sweep"``.
        ordinal : int
            Its number among those of that kind, from 0.
        """
        return block_rng(self._seed, kind, ordinal)


def remembering(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Floats:
    """Return noise of unit variance, each value correlated with the one before along the last axis.

    Parameters
    ----------
    rng : Generator
        Draws the noise.
    shape : tuple of int
        Shape of the noise.
    memory : float
        Correlation of neighbours, from 0 to below 1.
    """
    drawn = rng.standard_normal(shape)
    # The first number keeps its unit variance: so has every later one, from the beginning.
    drawn[..., 1:] *= np.sqrt(1 - memory**2)
    if shape[-1] <= _SHORT:
        return drawn @ _memories(memory, shape[-1])
    return filtered(np.ones(1), np.array([1.0, -memory]), drawn)


@lru_cache(maxsize=16)
def _memories(memory: float, count: int) -> Floats:
    """Return what is left of each of ``count`` numbers (rows) in each of them (columns)."""
    late = np.arange(count) - np.arange(count)[:, None]
    return np.where(late >= 0, memory ** np.maximum(late, 0.0), 0.0)


def white_current(profile: Profile, current: Floats | float, seconds: float) -> Floats:
    """Return the standard deviation of the white noise of a current, in nA: thermal and shot noise.

    Averaging over a time t leaves the noise of a bandwidth of 1 / 2t, in which shot noise is ``2 e I`` times that (W. Schottky,
    Ann. Phys. 362, 541 (1918)).

    Parameters
    ----------
    profile : Profile
        Thermal noise of 10 ms, and how much of the shot noise there is.
    current : ndarray or float
        In nA.
    seconds : float
        Time over which the current is averaged, in s.
    """
    shot = profile.shot * ELECTRON * np.abs(current) / seconds
    return np.sqrt(profile.current_white**2 * INTEGRATED / seconds + shot)


def current_noise(rng: np.random.Generator, current: Floats, profile: Profile, averaging: float) -> Floats:
    """Return what the preamplifier adds to spectra, in nA.

    Parameters
    ----------
    rng : Generator
        Draws the noise.
    current : ndarray of shape (n, J)
        Tunneling current, in nA, to which the vibration of the junction is proportional.
    profile : Profile
        Sizes of the noise.
    averaging : float
        Time spent on a point, in units of `INTEGRATED`.
    """
    white = white_current(profile, current, averaging * INTEGRATED) * rng.standard_normal(current.shape)
    slow = profile.current_slow * remembering(rng, current.shape, profile.current_memory)
    vibration = profile.junction / np.sqrt(averaging) * rng.standard_normal(current.shape)
    return profile.current_offset + white + slow + vibration * current


def image_noise(rng: np.random.Generator, frame: Frame, profile: Profile, line_time: float, white: float) -> Floats:
    """Return what the instrument adds to an image, in nm; shape (rows, columns).

    Parameters
    ----------
    rng : Generator
        Draws the noise.
    frame : Frame
        Region of the image; its pixels give the shape.
    profile : Profile
        Sizes of the noise, of line offsets, of streaks and of hum.
    line_time : float
        Time for a line, forth, in s. The slow noise is remembered over a time, not over a number of pixels.
    white : float
        Standard deviation of the white noise, in nm.
    """
    shape = frame.pixels
    memory = profile.z_memory ** (line_time / shape[1] / PIXEL_TIME)
    noise = profile.z_noise * remembering(rng, shape, memory) + white * rng.standard_normal(shape)
    offset = profile.line_offset * rng.standard_normal(shape[0])
    far = rng.random(shape[0]) < profile.line_outliers
    offset += far * profile.line_outlier_size * rng.standard_normal(shape[0])
    noise += offset[:, None]
    _add_streaks(rng, noise, profile)
    if profile.mains:  # drawn last: a profile without hum has the noise that it had before there was any
        turn = 2 * np.pi * profile.mains_frequency * line_time
        down = turn * 2 * np.arange(shape[0]) + rng.uniform(0, 2 * np.pi)
        along = turn * np.arange(shape[1]) / shape[1]
        noise += profile.mains * np.outer(np.sin(down), np.cos(along)) + profile.mains * np.outer(np.cos(down), np.sin(along))
    return noise


def _add_streaks(rng: np.random.Generator, image: Floats, profile: Profile) -> None:
    rows, columns = image.shape
    for _ in range(rng.poisson(profile.streaks * rows)):
        row, start = rng.integers(rows), rng.integers(columns)
        length = 1 + int(rng.exponential(profile.streak_length))
        image[row, start : start + length] += profile.streak_height * rng.normal(1.0, profile.streak_spread)


def converter_lines(places: Floats, pixel: float, profile: Profile) -> Floats:
    """Return the lines that the carry bits of the X and Y converters leave in an image, in nm.

    They belong to the scanner and not to the sample, and are equally wide in pixels at every magnification. The lines of each
    lower bit lie twice as close and are weaker. Where several bits change at once the highest counts.

    Parameters
    ----------
    places : ndarray of shape (..., 2)
        Places of the scanner, (x, y) in nm.
    pixel : float
        Size of a pixel, in nm.
    profile : Profile
        Height, width and angle of the lines.
    """
    longest, lines = (
        CONVERTER_PERIODS[0],
        _lines(profile.converter_width / 2 * pixel, profile.converter, profile.converter_fall),
    )
    angles = np.radians([profile.converter_angle, profile.converter_angle + 90])
    axes = (len(lines) / longest) * np.column_stack([np.cos(angles), np.sin(angles)])
    first, second = (lines.take(np.floor(places @ axis).astype(int), mode="wrap") for axis in axes)
    return first + second


@lru_cache(maxsize=8)
def _lines(width: float, highest: float, fall: float) -> Floats:
    """Return the height of the lines of one converter over its longest period, in nm, from that of the highest bit on."""
    longest = CONVERTER_PERIODS[0]
    count = int(8 * longest / width)  # eight samples to half the width of a line
    along = np.arange(count) * (longest / count)
    off = [along - period * np.round(along / period) for period in CONVERTER_PERIODS]
    strengths = highest * fall ** np.arange(len(off))
    return np.max([height * np.exp(-((by / width) ** 2)) for height, by in zip(strengths, off, strict=True)], axis=0)
