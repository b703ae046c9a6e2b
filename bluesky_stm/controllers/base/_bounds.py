"""Bounds of what is asked of a microscope beside the ranges of its hardware: the same for every wing, and all in one place."""

from __future__ import annotations

from typing import Final, NamedTuple

from bluesky_stm import units
from bluesky_stm.errors import LimitError


class Bound(NamedTuple):
    """A quantity, as a person calls it, and between which values it makes sense.

    Attributes
    ----------
    what : str
        Name of the quantity, the beginning of a sentence.
    unit : str
    high, low : float
        Both are allowed, unless ``above`` is True: then the low one is not.
    above : bool
    """

    what: str
    unit: str
    high: float
    low: float = 0.0
    above: bool = False

    def check(self, value: float) -> None:
        """Refuse a value outside, or one that is no number.

        Raises
        ------
        LimitError
            Before anything has moved.
        """
        if not self.low <= value <= self.high or (self.above and value == self.low):
            high, asked = (f"{number:g} {self.unit}".rstrip() for number in (self.high, value))
            between = f"be above {self.low:g} and at most {high}" if self.above else f"lie between {self.low:g} and {high}"
            raise LimitError(f"{self.what} has to {between}, not {asked}. Nothing has moved. Ask for another one.")


BOUNDS: Final = {
    # Zero lies inside the range of speeds, and would be taken for "none is asked for"; the ranges know the highest speed.
    "speed": Bound("The speed of a move", units.SPEED, 1e9, above=True),
    "pixels": Bound("The number of pixels along a side of an image", "", 8192, low=1),
    "line_time": Bound("The time for a line", units.TIME, 3600.0, above=True),
    "points": Bound("The number of points of a sweep", "", 100_000, low=2),
    "averages": Bound("The number of sweeps that are averaged", "", 100_000, low=1),
    "settle": Bound("The waiting time at each point of a sweep", units.TIME, 3600.0),
    "integrate": Bound("The averaging time at each point of a sweep", units.TIME, 3600.0),
    "sweep_time": Bound("The time of a sweep with all its averages", units.TIME, 86_400.0),
    "z_offset": Bound("The z offset of a sweep", units.LENGTH, 100.0, low=-100.0),
    "width": Bound("The width of a pulse", units.TIME, 60.0, above=True),
    "depth": Bound("The depth of a dip", units.LENGTH, 100.0, above=True),
    "hold": Bound("The time at the bottom of a dip", units.TIME, 60.0),
    "lift": Bound("The lift after a dip", units.LENGTH, 1000.0),
    # Without an integral gain a feedback never finds its height.
    "integral": Bound("The integral gain of the feedback", units.SPEED, 1e6, above=True),
    "proportional": Bound("The proportional gain of the feedback", units.LENGTH, 1000.0),
    "amplitude": Bound("The amplitude of the lock-in", units.BIAS, 10.0),
    "frequency": Bound("The frequency of the lock-in", units.FREQUENCY, 1e7),
    "drift": Bound("The drift that is compensated", units.SPEED, 1000.0, low=-1000.0),
    # A simulated microscope in real time: faster, a night of drift and of tip changes would pass between two requests.
    "clock": Bound("The number of times by which a clock is faster", "", 10_000.0, low=0.01),
}
"""By the name of the setting. The times are far beyond what an experiment takes, and short of what never ends."""


def check_bounds(**values: float) -> None:
    """Refuse values, by their names in `BOUNDS`, that make no sense at any microscope.

    Raises
    ------
    LimitError
        Before anything has moved.
    """
    for name, value in values.items():
        BOUNDS[name].check(value)
