"""Scanning: frame, buffer, speed; the image fills line by line and is saved when it is done."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._scan_buffer import LARGEST, SLOWEST, ScanBuffer
from bluesky_stm.controllers.nanonis_server._software import SIGNALS, Answer, Software, handles
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, HEIGHT, ScanAction
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import NotCapableError, STMError
from bluesky_stm.files import write_sxm
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import IMAGES, PACKET
from bluesky_stm.units import LENGTH


@handles("Scan.FrameSet")
def _(software: Software, *asked: float) -> None:
    scan = software.scan
    x, y, width, height = (ours(value, LENGTH) for value in asked[:4])
    # The wire turns clockwise.
    scan.frame = Frame(Point(x, y), (width, height), scan.frame.pixels, -asked[4])


@handles("Scan.FrameGet")
def _(software: Software) -> Answer:
    frame = software.scan.frame
    return [*(si(value, LENGTH) for value in (*frame.center, *frame.size)), -frame.angle]


@handles("Scan.BufferSet")
def _(software: Software, channels: list[int], pixels: int, lines: int) -> None:
    scan = software.scan
    columns = max(PACKET, round(pixels / PACKET) * PACKET)
    if not (columns <= LARGEST and 1 <= lines <= LARGEST and all(0 <= c < len(SIGNALS) for c in channels)):
        raise NanonisError(f"No image of {pixels} x {lines} pixels and channels {list(channels)}: at most {LARGEST} a side.")
    scan.frame = replace(scan.frame, pixels=(lines, columns))
    scan.channels = [int(c) for c in channels]


@handles("Scan.BufferGet")
def _(software: Software) -> Answer:
    scan = software.scan
    return [scan.channels, scan.frame.pixels[1], scan.frame.pixels[0]]


@handles("Scan.SpeedSet")
def _(software: Software, *asked: float) -> None:
    scan = software.scan
    width = si(scan.frame.size[0], LENGTH)
    forth, back, time_forth, time_back, keep, ratio = asked
    by_time = scan.keeps_time if keep == 0 else keep == 2
    if by_time:
        forth, back = (width / time if time else 0.0 for time in (time_forth, time_back))
    else:
        time_forth, time_back = (width / speed if speed else 0.0 for speed in (forth, back))
    if not (0 < time_forth <= SLOWEST and 0 < time_back <= SLOWEST):
        raise NanonisError(f"Lines of {time_forth:g} and {time_back:g} s cannot be scanned, only up to {SLOWEST:g} s.")
    scan.speed = (forth, back, time_forth, time_back, float(by_time), ratio)


@handles("Scan.SpeedGet")
def _(software: Software) -> Answer:
    scan = software.scan
    times = scan.line_times
    speeds = [si(scan.frame.size[0], LENGTH) / time for time in times]
    return [*speeds, *times, scan.keeps_time, scan.speed[5] if scan.speed else 1.0]


@handles("Scan.Action")
def _(software: Software, action: int, upwards: int) -> None:
    scan = software.scan
    if action == ScanAction.START:
        _start(software, scan, bool(upwards))
    elif action == ScanAction.STOP:
        software.halt("scan")
    elif action == ScanAction.PAUSE:
        scan.going.clear()
    elif action == ScanAction.RESUME:
        scan.going.set()
    elif action == ScanAction.CENTER:
        software.begin("move", lambda: software.move(scan.frame.center))
    else:
        raise NanonisError(f"Action {action} is none that this simulated scan knows.")


@handles("Scan.StatusGet")
def _(software: Software) -> Answer:
    return [software.is_doing("scan")]


@handles("Scan.WaitEndOfScan")
def _(software: Software, timeout: int) -> Answer:
    scan = software.scan
    timed_out = _wait(software, scan, timeout)
    return [timed_out, "" if timed_out else scan.saved]


@handles("Scan.WaitEndOfLine")
def _(software: Software, timeout: int) -> Answer:
    scan = software.scan
    before = scan.lines
    with scan.line_done:
        ended = scan.line_done.wait_for(
            lambda: scan.lines != before or not software.is_doing("scan"), None if timeout < 0 else timeout / 1000
        )
    return [not ended or scan.lines == before, max(scan.lines - 1, 0), 0, 0]


@handles("Scan.FrameDataGrab")
def _(software: Software, channel: int, forward: int) -> Answer:
    scan = software.scan
    if channel not in scan.channels:
        raise NanonisError(f"Channel {channel} is not recorded, only {scan.channels}. Set the buffer before the scan.")
    return [SIGNALS[channel], _in_si(software, SIGNALS[channel], bool(forward)), scan.upwards]


@handles("Scan.Save")
def _(software: Software, waited_for: int, timeout: int) -> Answer:
    scan = software.scan
    if scan.taken is None:
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
    scan.images = {}
    scan.going.set()
    scan.task = software.begin("scan", lambda: _run(software, scan))


def _run(software: Software, scan: ScanBuffer) -> None:
    frame, time_of_line = scan.frame, scan.speed[2] if scan.speed else None
    # A scan downwards is one upwards in the frame turned by half a turn, with its columns the other way round.
    turned = frame if scan.upwards else replace(frame, angle=frame.angle + 180.0)

    setpoint = software.controller.get_setpoint()
    if software.withdrawn:  # Nanonis scans wherever the tip is, and says nothing
        scan.images = {"height": np.full(frame.pixels, software.controller.get_tip().z)}
    else:
        try:
            software.controller.scan(turned, time_of_line, lambda done, _: scan.tell(done))
        finally:
            images = {name: image for name in IMAGES if (image := _recorded(software, name)) is not None}
            scan.images = {name: image if scan.upwards else image[:, ::-1] for name, image in images.items()}
    _save(software, scan, setpoint)


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


def _recorded(software: Software, name: str) -> Floats | None:
    """One of the `IMAGES` of the microscope behind it, None where it records no such."""
    try:
        return software.controller.image(name)
    except NotCapableError:
        return None


def _shown(software: Software, scan: ScanBuffer, name: str) -> Floats | None:
    """Return an image in the order acquired; while a scan runs, the lines of it that are done."""
    if not software.is_doing("scan"):
        return scan.images.get(name)
    growing = _recorded(software, name)
    if growing is None or growing.shape != scan.frame.pixels:
        return None
    done = np.where(np.arange(len(growing))[:, None] < scan.lines, growing, np.nan)
    return done if scan.upwards else done[:, ::-1]


def _in_si(software: Software, channel: str, forward: bool) -> Floats:
    """The image of a channel, NaN where not scanned yet.

    Where the microscope behind it records no way back it is the way forth, and no current that which the feedback keeps.
    """
    scan, back = software.scan, "" if forward else "_backward"
    height, current = ([_shown(software, scan, f"{name}{way}") for way in (back, "")] for name in ("height", "current"))
    image = next((image for image in height if image is not None), np.full(scan.frame.pixels, np.nan))
    if channel == HEIGHT:
        return units.to_si(image, LENGTH)
    setpoint = software.controller.get_setpoint()
    kept = np.where(np.isnan(image), np.nan, math.copysign(setpoint.current, setpoint.bias) if channel == CURRENT else 0.0)
    found = [image for image in current if image is not None] if channel == CURRENT else []
    return units.to_si(found[0] if found else kept, units.CURRENT)


def _save(software: Software, scan: ScanBuffer, setpoint: Setpoint) -> None:
    assert scan.taken is not None
    rows = scan.images["height"] if scan.upwards else scan.images["height"][::-1]
    path = software.saved_path("image", ".sxm")
    write_sxm(path, Topograph(scan.taken, rows, setpoint=setpoint, time=time.time()))
    scan.saved = str(path)
