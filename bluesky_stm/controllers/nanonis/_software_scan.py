"""Scanning: frame, buffer, speed; the image fills line by line and is saved when it is done."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._commands import CURRENT, HEIGHT, ScanAction
from bluesky_stm.controllers.nanonis._errors import NanonisError
from bluesky_stm.controllers.nanonis._si import ours, si
from bluesky_stm.controllers.nanonis._software import SIGNALS, Answer, Software, handles
from bluesky_stm.errors import STMError
from bluesky_stm.files import write_sxm
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.units import LENGTH

PACKET = 16
"""Pixels come from the real-time side in packets of so many."""

LARGEST = 4096
"""Pixels along a side of an image."""

SLOWEST = 3600.0
"""Time for a line, in s."""

PIXEL_TIME = 7.8e-3
"""Time for a pixel, in s, where no speed was set: as published."""


@dataclass
class ScanBuffer:
    """What the scan module is set to, and the image that it took last.

    ``speed`` is None until somebody sets it: the microscope behind it then scans at its own.
    """

    frame: Frame
    channels: list[int] = field(default_factory=lambda: [SIGNALS.index(HEIGHT), SIGNALS.index(CURRENT)])
    speed: tuple[float, ...] | None = None
    upwards: bool = True
    taken: Frame | None = None
    lines: int = 0
    image: Floats | None = None
    saved: str = ""
    task: Future[Any] | None = None
    line_done: threading.Condition = field(default_factory=threading.Condition)

    @property
    def line_times(self) -> tuple[float, float]:
        """Times of a line forth and back, in s."""
        return self.speed[2:4] if self.speed else (self.frame.pixels[1] * PIXEL_TIME,) * 2  # type: ignore[return-value]


def _buffer(software: Software) -> ScanBuffer:
    if software.scan is None:
        software.scan = ScanBuffer(Frame.square((0.0, 0.0), 100.0, 256))
    return software.scan


@handles("Scan.FrameSet")
def _(software: Software, *asked: float) -> None:
    scan = _buffer(software)
    x, y, width, height = (ours(value, LENGTH) for value in asked[:4])
    # The wire turns clockwise.
    scan.frame = Frame(Point(x, y), (width, height), scan.frame.pixels, -asked[4])


@handles("Scan.FrameGet")
def _(software: Software) -> Answer:
    frame = _buffer(software).frame
    return [*(si(value, LENGTH) for value in (*frame.center, *frame.size)), -frame.angle]


@handles("Scan.BufferSet")
def _(software: Software, channels: list[int], pixels: int, lines: int) -> None:
    scan = _buffer(software)
    columns = max(PACKET, round(pixels / PACKET) * PACKET)
    if not (columns <= LARGEST and 1 <= lines <= LARGEST and all(0 <= c < len(SIGNALS) for c in channels)):
        raise NanonisError(f"No image of {pixels} x {lines} pixels and channels {list(channels)}: at most {LARGEST} a side.")
    scan.frame = replace(scan.frame, pixels=(lines, columns))
    scan.channels = [int(c) for c in channels]


@handles("Scan.BufferGet")
def _(software: Software) -> Answer:
    scan = _buffer(software)
    return [scan.channels, scan.frame.pixels[1], scan.frame.pixels[0]]


@handles("Scan.SpeedSet")
def _(software: Software, *asked: float) -> None:
    scan = _buffer(software)
    width = si(scan.frame.size[0], LENGTH)
    forth, back, time_forth, time_back, keep, ratio = asked
    by_time = _keeps_time(scan) if keep == 0 else keep == 2
    if by_time:
        forth, back = (width / time if time else 0.0 for time in (time_forth, time_back))
    else:
        time_forth, time_back = (width / speed if speed else 0.0 for speed in (forth, back))
    if not (0 < time_forth <= SLOWEST and 0 < time_back <= SLOWEST):
        raise NanonisError(f"Lines of {time_forth:g} and {time_back:g} s cannot be scanned, only up to {SLOWEST:g} s.")
    scan.speed = (forth, back, time_forth, time_back, float(by_time), ratio)


@handles("Scan.SpeedGet")
def _(software: Software) -> Answer:
    scan = _buffer(software)
    times = scan.line_times
    speeds = [si(scan.frame.size[0], LENGTH) / time for time in times]
    return [*speeds, *times, _keeps_time(scan), scan.speed[5] if scan.speed else 1.0]


@handles("Scan.Action")
def _(software: Software, action: int, upwards: int) -> None:
    scan = _buffer(software)
    if action == ScanAction.START:
        _start(software, scan, bool(upwards))
    elif action == ScanAction.STOP:
        software.halt("scan")
    elif action == ScanAction.CENTER:
        software.begin("move", lambda: software.move(scan.frame.center))
    elif action in {ScanAction.PAUSE, ScanAction.RESUME}:
        raise NanonisError("This simulated scan can be stopped, not paused.")


@handles("Scan.StatusGet")
def _(software: Software) -> Answer:
    return [software.is_doing("scan")]


@handles("Scan.WaitEndOfScan")
def _(software: Software, timeout: int) -> Answer:
    scan = _buffer(software)
    timed_out = _wait(software, scan, timeout)
    return [timed_out, "" if timed_out else scan.saved]


@handles("Scan.WaitEndOfLine")
def _(software: Software, timeout: int) -> Answer:
    scan = _buffer(software)
    before = scan.lines
    with scan.line_done:
        ended = scan.line_done.wait_for(
            lambda: scan.lines != before or not software.is_doing("scan"), None if timeout < 0 else timeout / 1000
        )
    return [not ended or scan.lines == before, max(scan.lines - 1, 0), 0, 0]


@handles("Scan.FrameDataGrab")
def _(software: Software, channel: int, forward: int) -> Answer:
    """Both directions are the same image: the microscope behind it knows one."""
    scan = _buffer(software)
    if channel not in scan.channels:
        raise NanonisError(f"Channel {channel} is not recorded, only {scan.channels}. Set the buffer before the scan.")
    return [SIGNALS[channel], _in_si(software, SIGNALS[channel], _image_so_far(software, scan)), scan.upwards]


@handles("Scan.Save")
def _(software: Software, waited_for: int, timeout: int) -> Answer:
    scan = _buffer(software)
    if scan.image is None or scan.taken is None:
        raise NanonisError("There is no image to save.")
    timed_out = _wait(software, scan, timeout) if waited_for else False
    if not timed_out:
        _save(software, scan, software.controller.get_setpoint())
    return [timed_out]


@handles("Scan.XYPosGet")
def _(software: Software, newest: int) -> Answer:
    tip = software.publish("XY", software.controller.get_tip, bool(newest))
    return [si(tip.x, LENGTH), si(tip.y, LENGTH)]


def _start(software: Software, scan: ScanBuffer, upwards: bool) -> None:
    if software.is_doing("scan"):
        raise NanonisError("A scan is running: stop it first.")
    scan.upwards, scan.lines, scan.saved, scan.taken = upwards, 0, "", scan.frame
    scan.image = np.full(scan.frame.pixels, np.nan)
    scan.task = software.begin("scan", lambda: _run(software, scan))


def _run(software: Software, scan: ScanBuffer) -> None:
    frame, time_of_line = scan.frame, scan.speed[2] if scan.speed else None
    # A scan downwards is one upwards in the frame turned by half a turn, with its columns the other way round.
    turned = frame if scan.upwards else replace(frame, angle=frame.angle + 180.0)

    def tell(done: int, total: int) -> None:
        with scan.line_done:
            scan.lines = done
            scan.line_done.notify_all()

    topograph = software.controller.scan(turned, time_of_line, tell)
    scan.image = topograph.height if scan.upwards else topograph.height[:, ::-1]
    _save(software, scan, topograph.setpoint)


def _wait(software: Software, scan: ScanBuffer, timeout: int) -> bool:
    """Wait for the end of a scan that may be running; whether the time-out came first."""
    if scan.task is None:
        return False
    try:
        scan.task.result(None if timeout < 0 else timeout / 1000)
    except TimeoutError:
        return True
    except STMError as fault:
        scan.task = None
        raise NanonisError(f"The scan ended early: {fault}") from None
    return False


def _image_so_far(software: Software, scan: ScanBuffer) -> Floats:
    """In the order acquired, NaN where not scanned; while a scan runs, what the microscope behind it shows of it."""
    image = scan.image if scan.image is not None else np.full(scan.frame.pixels, np.nan)
    growing = getattr(software.controller, "image_under_way", None)
    if software.is_doing("scan") and growing is not None and growing.shape == image.shape:
        shown = np.where(np.arange(len(image))[:, None] < scan.lines, growing, np.nan)
        return shown if scan.upwards else shown[:, ::-1]
    return image


def _in_si(software: Software, channel: str, image: Floats) -> Floats:
    """The image of a channel: constant current is what the feedback keeps."""
    if channel == HEIGHT:
        return units.to_si(image, LENGTH)
    setpoint = software.controller.get_setpoint()
    kept = si(np.copysign(setpoint.current, setpoint.bias), units.CURRENT) if channel == CURRENT else 0.0
    return np.where(np.isnan(image), np.nan, kept)


def _save(software: Software, scan: ScanBuffer, setpoint: Setpoint) -> None:
    assert scan.image is not None and scan.taken is not None
    rows = scan.image if scan.upwards else scan.image[::-1]
    path = software.saved_path("image", ".sxm")
    write_sxm(path, Topograph(scan.taken, rows, setpoint, time.time()))
    scan.saved = str(path)


def _keeps_time(scan: ScanBuffer) -> bool:
    return bool(scan.speed and scan.speed[4])
