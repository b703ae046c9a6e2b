"""What a microscope brings home: a topograph, a spectrum, a CITS grid, each with its place, units and quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import Self

import numpy as np

from bluesky_stm.geometry import Floats, Frame, Point


class Quality(IntFlag):
    """What is wrong with a measurement; stored as one whole number in its Event."""

    GOOD = 0
    CLIPPED = 1
    """The preamplifier reached the end of its range: current and lock-in are not to be trusted there."""
    INCOMPLETE = 2
    """Ended early; what was not measured is NaN."""
    LOST_CONTACT = 4
    """The current vanished at the set point: the tip hung in the air."""
    TIP_CHANGED = 8
    """The current jumped within the measurement: before and after are two tips."""

    @property
    def words(self) -> str:
        """For people: ``"clipped, incomplete"``, or ``"good"``."""
        return ", ".join(flag.name.lower().replace("_", " ") for flag in self if flag.name) or "good"


CHANNELS = ("bias", "current", "lockin_x", "lockin_y", "didv")
"""The arrays of a spectrum, in the order of its fields."""


@dataclass(frozen=True)
class Setpoint:
    """Where the feedback holds the tip: bias in V, current in nA (its magnitude; the sign is that of the bias)."""

    bias: float
    current: float


@dataclass(frozen=True, eq=False)
class Topograph:
    """A constant-current image.

    Attributes
    ----------
    frame : Frame
        Where it was taken.
    height : ndarray of shape (rows, columns)
        Tip height, in nm, larger away from the surface; row 0 is the lowest y; NaN where not measured.
    setpoint : Setpoint
    time : float
        Start of the scan on the controller's clock, in s.
    quality : Quality
    """

    frame: Frame
    height: Floats
    setpoint: Setpoint
    time: float = 0.0
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A bias sweep at one place with the feedback held.

    Attributes
    ----------
    position : Point
        Where the tip stood, in nm.
    bias : ndarray of shape (n,)
        Sample bias, in V, in the order measured.
    current : ndarray of shape (n,)
        Tunneling current, in nA; NaN where the sweep ended early.
    lockin_x, lockin_y : ndarray of shape (n,)
        Raw lock-in channels, in nA.
    didv : ndarray of shape (n,)
        Differential conductance, in nS, from ``lockin_x`` by the gain and offset of the lock-in.
    setpoint : Setpoint
        Where the feedback was held before it was opened.
    time : float
        Start of the sweep on the controller's clock, in s.
    z : float
        Tip height during the sweep, in nm.
    quality : Quality
    backward : mapping of str to ndarray of shape (n,)
        ``current``, ``lockin_x``, ``lockin_y`` and ``didv`` on the way back by themselves, at the biases above; empty where the
        sweep went one way only, or the controller keeps but the average of both.
    """

    position: Point
    bias: Floats
    current: Floats
    lockin_x: Floats
    lockin_y: Floats
    didv: Floats
    setpoint: Setpoint
    time: float = 0.0
    z: float = float("nan")
    quality: Quality = Quality.GOOD
    backward: Mapping[str, Floats] = field(default_factory=dict)

    def at(self, position: Point) -> Self:
        """The same spectrum at a corrected place."""
        return replace(self, position=position)


@dataclass(frozen=True, eq=False)
class Grid:
    """A CITS grid: one spectrum for each pixel of a frame.

    Attributes
    ----------
    frame : Frame
        Its pixels are the places of the spectra.
    bias : ndarray of shape (n,)
        Sample bias, in V.
    current, lockin_x, lockin_y, didv : ndarray of shape (rows, columns, n)
        As in `Spectrum`; NaN where not measured.
    height : ndarray of shape (rows, columns)
        Tip height when the feedback was opened, in nm.
    """

    frame: Frame
    bias: Floats
    current: Floats
    lockin_x: Floats
    lockin_y: Floats
    didv: Floats
    height: Floats
    setpoint: Setpoint
    time: float = 0.0
    quality: Quality = Quality.GOOD

    def spectrum(self, row: int, column: int) -> Spectrum:
        """The spectrum of one pixel."""
        x, y = self.frame.to_sample((row, column))
        pixel = (row, column)
        missing = Quality.INCOMPLETE if np.isnan(self.current[pixel]).any() else Quality.GOOD
        return Spectrum(
            Point(float(x), float(y)),
            self.bias,
            self.current[pixel],
            self.lockin_x[pixel],
            self.lockin_y[pixel],
            self.didv[pixel],
            self.setpoint,
            self.time,
            float(self.height[pixel]),
            missing,
        )
