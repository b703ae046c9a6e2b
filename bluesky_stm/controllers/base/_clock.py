"""Time is a clock that is given: a night of measuring passes in seconds, or as it really does."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from bluesky_stm.controllers.base._bounds import check_bounds


class Clock(Protocol):
    """Tells the time of a controller, in s, and lets it pass."""

    def now(self) -> float:
        """Time now, in s."""

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Let ``seconds`` pass; a clock that really waits ends early when ``wake`` is set."""


class InstantClock:
    """Simulated time: it passes only when somebody sleeps, and then at once."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Time slept so far, in s, after ``start``."""
        return self._now

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Move the hands."""
        self._now += seconds


class RealClock:
    """Wall time, counted from when the clock was made, or ``factor`` times as fast."""

    def __init__(self, factor: float = 1.0) -> None:
        check_bounds(clock=factor)
        self._factor = factor
        self._start = time.monotonic()

    def now(self) -> float:
        """Time since the start, in s."""
        return (time.monotonic() - self._start) * self._factor

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Wait, but not beyond ``wake``."""
        (wake or threading.Event()).wait(seconds / self._factor)
