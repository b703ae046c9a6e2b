"""Acts of a microscope that is not there: one at a time, each takes its time, and a stop ends the one under way."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bluesky_stm.controllers.base._clock import Clock, InstantClock
from bluesky_stm.errors import MotionStoppedError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Progress

SPEED: Final = 62.6
"""Speed of the tip, in nm/s, where none is asked for: that of the published 250 nm images."""

PIXEL_TIME: Final = 7.8e-3
"""Time for one pixel, in s, where no line time is asked for: that of the published images, 3.994 s a line of 512."""

SLEW: Final = 10.0
"""Rate of a bias ramp, in V/s."""

HOME: Final = 50.0
"""Home height of the tip above the surface, in nm."""


class Acts:
    """The acts of a microscope, done one after the other.

    Parameters
    ----------
    clock : Clock, optional
        Lets the time pass that each act takes; simulated time if not given.
    rest : callable, optional
        Called after a stop, when nothing is under way any more.
    """

    def __init__(self, clock: Clock | None = None, rest: Callable[[], object] | None = None) -> None:
        self.clock = clock or InstantClock()
        self._rest = rest or bool
        self._one, self._stopped = threading.RLock(), threading.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Do one act at a time; a `stop` ends this one and not the next.

        After a stop the microscope rests when the act has ended.
        """
        with self._one:
            # A stop that came before this act was meant for another one.
            self._stopped.clear()
            yield
            if self._stopped.is_set():
                self._rest()

    def stop(self, *, rest: bool = True) -> None:
        """End the act under way; rest when it has ended, at once where there is none.

        Parameters
        ----------
        rest : bool
            Whether to rest at once where no act is under way; there is no need to where the microscope rests already.
        """
        self._stopped.set()
        if rest and self._one.acquire(blocking=False):
            try:
                self._rest()
            finally:
                self._one.release()

    def take(self, seconds: float, steps: int = 1, progress: Progress | None = None) -> int:
        """Let the time of an act pass step by step, until it is over or stopped.

        Parameters
        ----------
        seconds : float
            Time that the whole act takes, in s of the clock.
        steps : int
            Number of steps, of equal length.
        progress : callable, optional
            Called after each step with the number of steps done and of all steps.

        Returns
        -------
        int
            Steps that were done.
        """
        if progress is None and type(self.clock) is InstantClock:  # nobody can stop it in between
            self.clock.sleep(seconds)
            return steps
        for done in range(steps):
            self.clock.sleep(seconds / steps, self._stopped)
            if self._stopped.is_set():
                return done
            if progress:
                progress(done + 1, steps)
        return steps


def travel(acts: Acts, start: Point, end: Point, speed: float, arrive: Callable[[Point], None]) -> Point:
    """Move from ``start`` to ``end`` as one act.

    Parameters
    ----------
    acts : Acts
        Lets the time of the move pass, in steps of about 1 nm, between which a stop ends it.
    start, end : Point
        Both ends of the straight line, in nm.
    speed : float
        Speed, in nm/s.
    arrive : callable
        Called with the place, in nm, that was reached; it is ``end`` unless the move was stopped.

    Returns
    -------
    Point
        The place that was reached, ``end``.

    Raises
    ------
    MotionStoppedError
        When a stop ended the move on its way.
    """
    with acts.one():
        steps = max(1, math.ceil(math.dist(start, end)))
        way = acts.take(math.dist(start, end) / speed, steps) / steps
        here = end if way == 1 else Point(*(a + way * (b - a) for a, b in zip(start, end, strict=True)))
        arrive(here)
    if way < 1:
        raise MotionStoppedError(
            f"The tip was stopped at ({here.x:.3f}, {here.y:.3f}) nm, {way:.0%} of the way. Ask for the move again."
        )
    return here
