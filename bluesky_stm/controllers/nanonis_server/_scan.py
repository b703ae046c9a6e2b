"""The module Scan: frame, buffer, speed; the image fills line by line and is saved when it is done."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.base import PIXEL_TIME
from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, HEIGHT, ScanAction
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import NotCapableError, STMError
from bluesky_stm.files import write_sxm
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import IMAGES, PACKET
from bluesky_stm.units import LENGTH

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

LARGEST: Final = 4096
"""Pixels along a side of an image."""

SLOWEST: Final = 3600.0
"""Time for a line, in s."""


class ScanModule(Module):
    """The scan control.

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

    name = "Scan"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.frame = Frame.square((0.0, 0.0), 100.0, 256)
        self.channels = [SIGNALS.index(HEIGHT), SIGNALS.index(CURRENT)]
        self.speed: tuple[float, ...] | None = None
        self.upwards, self.lines, self.saved = True, 0, ""
        self.taken: Frame | None = None
        self.images: dict[str, Floats] = {}
        self.task: Future[Any] | None = None
        self.line_done = threading.Condition()
        self.going = threading.Event()
        self.going.set()

    # ---- settings ----

    def _frame_set(self, *asked: float) -> None:
        x, y, width, height = (ours(value, LENGTH) for value in asked[:4])
        # The wire turns clockwise.
        self.frame = Frame(Point(x, y), (width, height), self.frame.pixels, -asked[4])

    def _frame_get(self) -> Answer:
        return [*(si(value, LENGTH) for value in (*self.frame.center, *self.frame.size)), -self.frame.angle]

    def _buffer_set(self, channels: list[int], pixels: int, lines: int) -> None:
        columns = max(PACKET, round(pixels / PACKET) * PACKET)
        if not (columns <= LARGEST and 1 <= lines <= LARGEST and all(0 <= c < len(SIGNALS) for c in channels)):
            raise NanonisError(
                f"No image of {pixels} x {lines} pixels and channels {list(channels)}: at most {LARGEST} a side."
            )
        self.frame = replace(self.frame, pixels=(lines, columns))
        self.channels = [int(c) for c in channels]

    def _buffer_get(self) -> Answer:
        return [self.channels, self.frame.pixels[1], self.frame.pixels[0]]

    def _speed_set(self, *asked: float) -> None:
        width = si(self.frame.size[0], LENGTH)
        forth, back, time_forth, time_back, keep, ratio = asked
        by_time = self._keeps_time if keep == 0 else keep == 2
        if by_time:
            forth, back = (width / time if time else 0.0 for time in (time_forth, time_back))
        else:
            time_forth, time_back = (width / speed if speed else 0.0 for speed in (forth, back))
        if not (0 < time_forth <= SLOWEST and 0 < time_back <= SLOWEST):
            raise NanonisError(f"Lines of {time_forth:g} and {time_back:g} s cannot be scanned, only up to {SLOWEST:g} s.")
        self.speed = (forth, back, time_forth, time_back, float(by_time), ratio)

    def _speed_get(self) -> Answer:
        times = self.speed[2:4] if self.speed else (self.frame.pixels[1] * PIXEL_TIME,) * 2
        speeds = [si(self.frame.size[0], LENGTH) / time for time in times]
        return [*speeds, *times, self._keeps_time, self.speed[5] if self.speed else 1.0]

    @property
    def _keeps_time(self) -> bool:
        """True when the time of a line stays as it is while the frame changes, rather than the speed."""
        return bool(self.speed and self.speed[4])

    # ---- scanning ----

    def _action(self, action: int, upwards: int) -> None:
        if action == ScanAction.START:
            self._begin(bool(upwards))
        elif action == ScanAction.STOP:
            self.software.halt("scan")
        elif action == ScanAction.PAUSE:
            self.going.clear()
        elif action == ScanAction.RESUME:
            self.going.set()
        elif action == ScanAction.CENTER:
            self.software.begin("move", lambda: self.software.folme.move(self.frame.center))
        else:
            raise NanonisError(f"Action {action} is none that this simulated scan knows.")

    def _begin(self, upwards: bool) -> None:
        if self.software.is_doing("scan"):
            raise NanonisError("A scan is running: stop it first.")
        self.upwards, self.lines, self.saved, self.taken = upwards, 0, "", self.frame
        self.images = {}
        self.going.set()
        self.task = self.software.begin("scan", self._run)

    def _run(self) -> None:
        frame, time_of_line = self.frame, self.speed[2] if self.speed else None
        # A scan downwards is one upwards in the frame turned by half a turn, with its columns the other way round.
        turned = frame if self.upwards else replace(frame, angle=frame.angle + 180.0)
        setpoint = self.controller.get_setpoint()
        if self.software.z.withdrawn:  # Nanonis scans wherever the tip is, and says nothing
            self.images = {"height": np.full(frame.pixels, self.controller.get_tip().z)}
        else:
            try:
                self.controller.scan(turned, time_of_line, lambda done, _: self._tell(done))
            finally:
                images = {name: image for name in IMAGES if (image := self._recorded(name)) is not None}
                self.images = {name: image if self.upwards else image[:, ::-1] for name, image in images.items()}
        self._write(setpoint)

    def _tell(self, done: int) -> None:
        """A line is done; a paused scan waits here for its resumption."""
        with self.line_done:
            self.lines = done
            self.line_done.notify_all()
        self.going.wait()

    def _write(self, setpoint: Setpoint) -> None:
        assert self.taken is not None
        rows = self.images["height"] if self.upwards else self.images["height"][::-1]
        path = self.software.util.saved_path("image", ".sxm")
        write_sxm(path, Topograph(self.taken, rows, setpoint=setpoint, time=time.time()))
        self.saved = str(path)

    def _status_get(self) -> Answer:
        return [self.software.is_doing("scan")]

    def _wait_end_of_scan(self, timeout: int) -> Answer:
        timed_out = self._timed_out(timeout)
        return [timed_out, "" if timed_out else self.saved]

    def _timed_out(self, timeout: int) -> bool:
        """Wait for the end of a scan that may be running; whether the time-out came first."""
        if self.task is None:
            return False
        try:
            self.task.result(None if timeout < 0 else timeout / 1000)
        except TimeoutError:
            return True
        except STMError as fault:
            self.task = None
            raise NanonisError(f"The scan ended early: {fault}") from None
        return False

    def _wait_end_of_line(self, timeout: int) -> Answer:
        before = self.lines
        with self.line_done:
            ended = self.line_done.wait_for(
                lambda: self.lines != before or not self.software.is_doing("scan"), None if timeout < 0 else timeout / 1000
            )
        return [not ended or self.lines == before, max(self.lines - 1, 0), 0, 0]

    def _save(self, waited_for: int, timeout: int) -> Answer:
        if self.taken is None:
            raise NanonisError("There is no image to save.")
        timed_out = self._timed_out(timeout) if waited_for else False
        if not timed_out:
            self._write(self.controller.get_setpoint())
        return [timed_out]

    def _xy_pos_get(self, newest: int) -> Answer:
        return self.software.folme.place(bool(newest))

    # ---- images ----

    def _frame_data_grab(self, channel: int, forward: int) -> Answer:
        if channel not in self.channels:
            raise NanonisError(f"Channel {channel} is not recorded, only {self.channels}. Set the buffer before the scan.")
        return [SIGNALS[channel], self._in_si(SIGNALS[channel], bool(forward)), self.upwards]

    def _recorded(self, name: str) -> Floats | None:
        """One of the `IMAGES` of the microscope behind it, None where it records no such."""
        try:
            return self.controller.image(name)
        except NotCapableError:
            return None

    def _shown(self, name: str) -> Floats | None:
        """Return an image in the order acquired; while a scan runs, the lines of it that are done."""
        if not self.software.is_doing("scan"):
            return self.images.get(name)
        growing = self._recorded(name)
        if growing is None or growing.shape != self.frame.pixels:
            return None
        done = np.where(np.arange(len(growing))[:, None] < self.lines, growing, np.nan)
        return done if self.upwards else done[:, ::-1]

    def _in_si(self, channel: str, forward: bool) -> Floats:
        """The image of a channel, NaN where not scanned yet.

        Where the microscope behind it records no way back it is the way forth, and no current that which the feedback keeps.
        """
        back = "" if forward else "_backward"
        height, current = ([self._shown(f"{name}{way}") for way in (back, "")] for name in ("height", "current"))
        image = next((image for image in height if image is not None), np.full(self.frame.pixels, np.nan))
        if channel == HEIGHT:
            return units.to_si(image, LENGTH)
        setpoint = self.controller.get_setpoint()
        kept = np.where(np.isnan(image), np.nan, math.copysign(setpoint.current, setpoint.bias) if channel == CURRENT else 0.0)
        found = [image for image in current if image is not None] if channel == CURRENT else []
        return units.to_si(found[0] if found else kept, units.CURRENT)
