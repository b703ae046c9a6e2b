"""Values that are exchanged with a microscope: settings, states and capabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` from the thread that measures, with lines of a scan or points of a sweep."""

IMAGES = ("height", "height_backward", "current", "current_backward")
"""Channels of a scan: tip height, in nm, and current, in nA, forward and backward."""

PACKET = 16
"""Scan controllers take the pixels of a line in packets of so many: frames whose columns are a multiple of it fit them all."""


STEEPEST_SLOPE = 1.0
"""Slope of the surface, in nm/nm, that a moving tip has to follow: facets and step edges, seen by a blunt tip."""


SCANNED_SLOPE = 0.1
"""Slope, in nm/nm, that the lines of an image have to follow where nobody gives their time: terraces with steps of a unit cell,
over the width of a tip. A line that takes a moving tip's care for each facet would make every image ten times as long."""


STEEPEST_DECAY = 25.0
"""How steeply the logarithm of a tunneling current grows at most towards the surface, in 1/nm: a barrier of 6 eV, which is more
than the work function of any metal (platinum 5.9 eV)."""


ROUNDING = 1e-5
"""Part of a number by which it may have been rounded on its way to an instrument and back, in single precision."""


class Capability(StrEnum):
    """An ability that a controller has or does not have.

    Each stands for what changes or measures something: the ``set_``, ``move_`` and ``ramp_`` methods, the acts of the tip, scan
    and sweep. What a controller lacks it refuses with `NotCapableError`.
    """

    BIAS = "bias"
    CURRENT = "current"
    TIP = "tip"
    FEEDBACK = "feedback"
    WITHDRAW = "withdraw"
    APPROACH = "approach"
    HOME = "home"
    PULSE = "pulse"
    SHAPE = "shape"
    SCAN = "scan"
    SWEEP = "sweep"
    Z_SWEEP = "z-sweep"
    GRID = "grid"
    TRACK = "track"
    LOCKIN = "lockin"
    DRIFT = "drift"


@dataclass(frozen=True)
class TipState:
    """The position of the tip.

    Attributes
    ----------
    x, y : float
        Place on the sample, in nm.
    z : float
        Height of the tip, in nm.
    """

    x: float
    y: float
    z: float

    @property
    def point(self) -> Point:
        """The place on the sample."""
        return Point(self.x, self.y)


@dataclass(frozen=True)
class FeedbackGains:
    """Gains of the logarithmic z feedback, whose error is the natural logarithm of the current over its set point.

    Attributes
    ----------
    proportional : float
        In nm.
    integral : float
        In nm/s.
    """

    proportional: float
    integral: float

    @property
    def follows(self) -> float:
        """Return the lateral speed, in nm/s, up to which the closed feedback follows a slope of `STEEPEST_SLOPE`."""
        return self.integral / STEEPEST_SLOPE

    @property
    def scans(self) -> float:
        """Return the speed of a line, in nm/s, up to which the closed feedback follows a slope of `SCANNED_SLOPE`."""
        return self.integral / SCANNED_SLOPE

    def line_time(self, width: float) -> float:
        """Return the time for a line of ``width`` nm, in s, at the speed of `scans`.

        It is in whole 1024ths of a second, which single precision holds exactly: every instrument scans at the same pace.
        """
        return math.ceil(1024 * width / self.scans) / 1024


@dataclass(frozen=True)
class SweepSettings:
    """A bias sweep at one place.

    Attributes
    ----------
    start, stop : float
        First and last bias, in V.
    points : int
        Number of bias values, at least two.
    settle, integrate : float
        Waiting and averaging at each value, in s.
    averages : int
        Sweeps that are averaged.
    backward : bool
        Sweep back as well and average both directions.
    setpoint : Setpoint or None
        Where the feedback is held before it is opened; None for where it stands. What stood before comes back afterwards.
    z_offset : float
        Moved by this much, in nm (negative: closer), once the feedback is open.
    """

    start: float = -1.5
    stop: float = 1.5
    points: int = 121
    settle: float = 0.004
    integrate: float = 0.010
    averages: int = 1
    backward: bool = False
    setpoint: Setpoint | None = None
    z_offset: float = 0.0

    def __post_init__(self) -> None:
        timed = self.settle >= 0 and self.integrate >= 0
        if self.points < 2 or self.averages < 1 or self.start == self.stop or not timed:
            raise SettingsError(
                f"A sweep needs two different biases, at least 2 points, 1 average and no negative time, not {self}. "
                "Nothing has been swept."
            )

    @property
    def dwell(self) -> float:
        """Time at each bias, in s, for settling and averaging.

        One average and one direction are counted.
        """
        return self.settle + self.integrate

    @property
    def point_time(self) -> float:
        """Time at each bias, in s, with all averages and the way back."""
        return self.dwell * self.averages * (1 + self.backward)

    @property
    def seconds(self) -> float:
        """Time of the whole sweep, in s; what a controller adds between the points is not in it."""
        return self.points * self.point_time

    @property
    def bias(self) -> Floats:
        """The bias values of the sweep, in V, from ``start`` to ``stop``; shape (points,).

        They are the same where it is swept back as well: the way back is stored in the order of the way forth.
        """
        return _biases(self.start, self.stop, self.points).copy()


@dataclass(frozen=True)
class ZSweepSettings:
    """A sweep of the tip's height at one place, the feedback open: I(z).

    Attributes
    ----------
    start, stop : float
        First and last distance from where the feedback held the tip, in nm; positive is away from the surface.
    points : int
        Number of distances, at least two.
    settle, integrate : float
        Waiting and averaging at each distance, in s.
    averages : int
        Sweeps that are averaged.
    setpoint : Setpoint or None
        Bias (V) at which it is swept, and current (nA) at which the feedback is opened; None for those that stand. What stood
        before comes back afterwards.
    most : float or None
        Magnitude of the current, in nA, that must not be exceeded at the nearest point; None for the end of the range.
    """

    start: float = 0.0
    stop: float = 0.5
    points: int = 101
    settle: float = 0.002
    integrate: float = 0.010
    averages: int = 1
    setpoint: Setpoint | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        timed = self.settle >= 0 and self.integrate >= 0
        limited = self.most is None or self.most > 0
        if self.points < 2 or self.averages < 1 or self.start == self.stop or not (timed and limited):
            raise SettingsError(
                f"A z sweep needs two different distances, at least 2 points, 1 average, no negative time, and a largest "
                f"current above 0, not {self}. Nothing has been swept."
            )

    @property
    def dwell(self) -> float:
        """Time at each distance, in s, for settling and averaging, of one sweep."""
        return self.settle + self.integrate

    @property
    def seconds(self) -> float:
        """Time of the whole sweep with its averages, in s."""
        return self.points * self.dwell * self.averages

    @property
    def distance(self) -> Floats:
        """The distances of the sweep, in nm, from ``start`` to ``stop``; shape (points,)."""
        return np.linspace(self.start, self.stop, self.points)

    @property
    def nearest(self) -> float:
        """The least distance, in nm; negative is closer than the feedback held the tip."""
        return min(self.start, self.stop)

    def largest_current(self, setpoint: Setpoint) -> float:
        """Return the current, in nA, that flows at the nearest point at most, from a set point (V, nA), by `STEEPEST_DECAY`."""
        return setpoint.current * math.exp(min(-STEEPEST_DECAY * self.nearest, 700.0))

    def check_nearest(self, setpoint: Setpoint, highest: float, what: str = "A z sweep") -> None:
        """Refuse a sweep at whose nearest point more current may flow than is allowed.

        Parameters
        ----------
        setpoint : Setpoint
            Where the feedback is opened, V and nA, unless the settings say another one.
        highest : float
            Current, in nA, that is allowed in any case; ``most`` may allow less.
        what : str
            Beginning of the message.

        Raises
        ------
        LimitError
            Before anything has moved.
        """
        begin, most = self.setpoint or setpoint, highest if self.most is None else min(self.most, highest)
        if not (largest := self.largest_current(begin)) <= most * (1 + ROUNDING):
            raise LimitError(
                f"{what} down to {self.nearest:g} nm from {begin.current:g} nA may carry {largest:.3g} nA at its nearest "
                f"point, {largest / most:.3g} times the {most:g} nA allowed. Nothing has moved. Stay farther away, or "
                "begin at a smaller set point."
            )


@lru_cache(maxsize=16)
def _biases(start: float, stop: float, points: int) -> Floats:
    return np.linspace(start, stop, points)


@dataclass(frozen=True, eq=False)
class TipShape:
    """A controlled dip of the tip into the surface, which changes its end.

    Attributes
    ----------
    depth : float
        Distance below the height at which the feedback held the tip, in nm; positive, towards the sample.
    bias : float
        Bias during the dip, in V.
    hold : float
        Time at the bottom, in s.
    lift : float
        Distance above that height to which the tip is pulled before the feedback takes it again, in nm.
    """

    depth: float
    bias: float = 0.1
    hold: float = 0.1
    lift: float = 5.0

    def __post_init__(self) -> None:
        if not (self.depth > 0 and self.hold >= 0 and self.lift >= 0):
            raise SettingsError(f"A dip needs a positive depth, and no negative time or lift, not {self}. Nothing was done.")
