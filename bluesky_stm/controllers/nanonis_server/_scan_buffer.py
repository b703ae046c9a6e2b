"""The settings of the simulated scan module, and the image that it took last."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, Final

from bluesky_stm.controllers.base import PIXEL_TIME
from bluesky_stm.geometry import Floats, Frame

LARGEST: Final = 4096
"""Pixels along a side of an image."""

SLOWEST: Final = 3600.0
"""Time for a line, in s."""


class ScanBuffer:
    """Settings of the module, and the image so far.

    Attributes
    ----------
    frame : Frame
    channels : list of int
        Indexes of the signals that are recorded.
    speed : tuple of float or None
        As ``Scan.SpeedSet`` says it; None until somebody does: the microscope behind it then scans at its own.
    taken : Frame or None
        Where it was scanned last; ``lines`` of it are done.
    images : dict of str to ndarray
        By the names of `IMAGES`, in the order acquired, once the scan is over.
    going : threading.Event
        Not set while the scan is paused.
    """

    def __init__(self, channels: list[int]) -> None:
        self.frame = Frame.square((0.0, 0.0), 100.0, 256)
        self.channels = channels
        self.speed: tuple[float, ...] | None = None
        self.upwards, self.lines, self.saved = True, 0, ""
        self.taken: Frame | None = None
        self.images: dict[str, Floats] = {}
        self.task: Future[Any] | None = None
        self.line_done = threading.Condition()
        self.going = threading.Event()
        self.going.set()

    @property
    def line_times(self) -> tuple[float, float]:
        """Times of a line forth and back, in s."""
        return self.speed[2:4] if self.speed else (self.frame.pixels[1] * PIXEL_TIME,) * 2  # type: ignore[return-value]

    @property
    def keeps_time(self) -> bool:
        """True when the time of a line stays as it is while the frame changes, rather than the speed."""
        return bool(self.speed and self.speed[4])

    def tell(self, done: int) -> None:
        """A line is done; a paused scan waits here for its resumption."""
        with self.line_done:
            self.lines = done
            self.line_done.notify_all()
        self.going.wait()
