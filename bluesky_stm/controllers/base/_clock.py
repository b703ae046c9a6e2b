"""Time is a clock that is given: a night of measuring passes in seconds, or as it really does."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from typing_extensions import override

from bluesky_stm.controllers.base._bounds import check_bounds


class Clock(Protocol):
    """Tells the time of a controller, in s, and lets it pass.

    A controller that is given a clock never asks the wall for the time: tests and simulations run as fast as they can.
    """

    def now(self) -> float:
        """Return the time now, in s; it never goes back."""

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Let time pass.

        Parameters
        ----------
        seconds : float
            How long, in s of this clock.
        wake : threading.Event, optional
            When it is set, a clock that really waits ends early.
        """


class InstantClock(Clock):
    """Simulated time: it passes only when somebody sleeps, and then at once.

    Parameters
    ----------
    start : float
        Time at the beginning, in s.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    @override
    def now(self) -> float:
        return self._now

    @override
    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        self._now += seconds


class RealClock(Clock):
    """Wall time, counted from when the clock was made.

    Parameters
    ----------
    factor : float
        Number of times by which this clock is faster than wall time.

    Raises
    ------
    LimitError
        When the factor is no number, or lies outside of `BOUNDS`.
    """

    def __init__(self, factor: float = 1.0) -> None:
        check_bounds(clock=factor)
        self._factor = factor
        self._start = time.monotonic()

    @override
    def now(self) -> float:
        return (time.monotonic() - self._start) * self._factor

    @override
    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        (wake or threading.Event()).wait(seconds / self._factor)
