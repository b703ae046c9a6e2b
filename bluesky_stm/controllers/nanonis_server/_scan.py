"""The module Scan: frame, buffer, speed; the image fills line by line and is saved when it is done."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bluesky_stm.controllers.base import PIXEL_TIME
from bluesky_stm.controllers.nanonis_server._module import Answer
from bluesky_stm.controllers.nanonis_server._scan_images import ScanImages
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, HEIGHT, ScanAction
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import STMError
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

WITH_PASTING: Final = 14573
"""Release from which the properties of scans say whether images are pasted."""


SAVES_NOTHING: Final = 2
"""Code of images that are not saved."""


class ScanModule(ScanImages):
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
    props: tuple[Any, ...] = (0, 0, 0, "image", "", [], 2)

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
        self._asked_bias: float | None = None
        self._thread = 0
        self.going = threading.Event()
        self.going.set()

    # ---- settings ----

    def _frame_set(self, *asked: float) -> None:
        """Answer ``Scan.FrameSet``: set the region of the next scan.

        Parameters
        ----------
        *asked : float
            Centre x, y and size along the lines and across them, in m, and the angle, in degrees, which turns clockwise.
        """
        x, y, width, height = (ours(value, LENGTH) for value in asked[:4])
        # The wire turns clockwise.
        self.frame = Frame(Point(x, y), (width, height), self.frame.pixels, -asked[4])

    def _frame_get(self) -> Answer:
        """Answer ``Scan.FrameGet``.

        Returns
        -------
        list of float
            Centre x, y and both sizes, in m, and the angle in degrees, clockwise.
        """
        return [*(si(value, LENGTH) for value in (*self.frame.center, *self.frame.size)), -self.frame.angle]

    def _buffer_set(self, channels: list[int], pixels: int, lines: int) -> None:
        """Answer ``Scan.BufferSet``: set what the next scan records, and in how many pixels.

        As in the vendor's software the number of columns becomes a multiple of `PACKET`, and nothing is said of that.

        Parameters
        ----------
        channels : list of int
            Indexes of the signals.
        pixels : int
            Pixels of a line.
        lines : int
            Number of lines.

        Raises
        ------
        NanonisError
            For more than `LARGEST` pixels along a side, none at all, or a signal that is not there.
        """
        columns = max(PACKET, round(pixels / PACKET) * PACKET)
        if not (columns <= LARGEST and 1 <= lines <= LARGEST and all(0 <= c < len(SIGNALS) for c in channels)):
            raise NanonisError(
                f"No image of {pixels} x {lines} pixels and channels {list(channels)}: at most {LARGEST} a side."
            )
        if (lines, columns) != self.frame.pixels:
            self.images = {}  # a buffer of another size is empty
        self.frame = replace(self.frame, pixels=(lines, columns))
        self.channels = [int(c) for c in channels]

    def frame_in_si(self) -> tuple[float, ...]:
        """Return centre and sizes of the frame, in m, and its angle in degrees, clockwise."""
        return tuple(self._frame_get() or ())

    def _props_set(self, *asked: Any) -> None:
        """Answer ``Scan.PropsSet``: switches (0 keep, 1 on, 2 off), saving (0 keep, 1 all, 2 next, 3 off), name and comment."""
        continuous, bouncy, saving, series, comment, modules, *pasting = asked
        before = self.props
        self.props = (
            *({1: 1, 2: 0}.get(int(sent), old) for sent, old in zip((continuous, bouncy), before[:2], strict=True)),
            int(saving) - 1 if saving else before[2],
            series or before[3],
            comment or before[4],
            list(modules) or before[5],
            int(pasting[0]) - 1 if pasting and pasting[0] else before[6],
        )

    def _props_get(self) -> Answer:
        """Answer ``Scan.PropsGet``; parameters of the modules are none."""
        *props, pasting = self.props
        modules = self.props[5]
        end = [pasting] if self.software.release >= WITH_PASTING else []
        return [*props, [0] * len(modules), 0, 0, *end]

    def _buffer_get(self) -> Answer:
        """Answer ``Scan.BufferGet`` with the indexes of the signals, the pixels of a line, and the number of lines.

        The pixels are those that ``Scan.BufferSet`` made of what was asked for.
        """
        return [self.channels, self.frame.pixels[1], self.frame.pixels[0]]

    def _speed_set(self, *asked: float) -> None:
        """Answer ``Scan.SpeedSet``: set speed or time of the lines; the other one follows from the width of the frame.

        Parameters
        ----------
        *asked : float
            Speeds forth and back, in m/s; times of a line forth and back, in s; which of them counts (0 as before, 1 the
            speeds, 2 the times); and the ratio of the speeds, which is only kept.

        Raises
        ------
        NanonisError
            For a line of no time, or of more than `SLOWEST`.
        """
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
        """Answer ``Scan.SpeedGet``.

        Before anybody has set a speed it is that of the microscope behind it, `PIXEL_TIME` for each pixel.

        Returns
        -------
        list
            Speeds forth and back, in m/s, for the width of the present frame; times of a line, in s; 1 where the time is kept
            when the frame changes; and the ratio of the speeds.
        """
        times = self.speed[2:4] if self.speed else (self.frame.pixels[1] * PIXEL_TIME,) * 2
        speeds = [si(self.frame.size[0], LENGTH) / time for time in times]
        return [*speeds, *times, self._keeps_time, self.speed[5] if self.speed else 1.0]

    @property
    def _keeps_time(self) -> bool:
        """True when the time of a line stays as it is while the frame changes, rather than the speed."""
        return bool(self.speed and self.speed[4])

    # ---- scanning ----

    def _action(self, action: int, upwards: int) -> None:
        """Answer ``Scan.Action``: start, stop, pause or resume a scan, or move the tip to the centre of the frame.

        Parameters
        ----------
        action : int
            A `ScanAction`; a scan cannot be frozen here.
        upwards : int
            1 for a scan that begins at the lowest line, 0 for one that begins at the highest.

        Raises
        ------
        NanonisError
            For another action, or for a start while a scan is running.
        """
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
        elif action not in {ScanAction.FREEZE, ScanAction.UNFREEZE}:  # nobody looks at the display
            raise NanonisError(f"Action {action} is none that this simulated scan knows.")

    def _begin(self, upwards: bool) -> None:
        """Begin a scan, for which nobody waits.

        The image of the one before is gone from now on.
        """
        if self.software.is_doing("scan"):
            raise NanonisError("A scan is running: stop it first.")
        self.upwards, self.lines, self.saved, self.taken = upwards, 0, "", self.frame
        self.images = {}
        self.going.set()
        self.task = self.software.begin("scan", self._run)

    def _run(self) -> None:
        """Scan with the microscope behind it, keep the images, and save the topograph as a file ``.sxm``.

        With a withdrawn tip the image is flat: Nanonis scans wherever the tip is, and says nothing of it.
        """
        self._thread = threading.get_ident()
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
                images = {name: image for name in IMAGES if (image := self.recorded(name)) is not None}
                self.images = {name: image if self.upwards else image[:, ::-1] for name, image in images.items()}
                self.images |= self.demodulated(self.images["height"])
        self._write(setpoint)

    def _tell(self, done: int) -> None:
        """Count a line that is done.

        A paused scan waits here, between two lines, for its resumption or its stop.
        """
        with self.line_done:
            self.lines = done
            bias, self._asked_bias = self._asked_bias, None
            try:
                if bias is not None:
                    self.controller.ramp_bias(bias)
            finally:
                self.line_done.notify_all()
        self.going.wait()

    def lead_bias(self, bias: float) -> bool:
        """Lead the bias to another value between two lines of the scan under way; the feedback follows.

        Lines that the microscope behind it has worked out already, up to 64 at once, are those of the bias of before.

        Parameters
        ----------
        bias : float
            In V.

        Returns
        -------
        bool
            False when no scan is under way, or when it has ended before its next line.
        """
        if not self.software.is_doing("scan") or self._thread == threading.get_ident():
            return False
        with self.line_done:
            self._asked_bias = bias
            while self._asked_bias is not None and self.software.is_doing("scan"):
                self.line_done.wait(0.05)
            left, self._asked_bias = self._asked_bias, None
        return left is None

    def _write(self, setpoint: Setpoint) -> None:
        assert self.taken is not None
        rows = self.images["height"] if self.upwards else self.images["height"][::-1]
        if self.props[2] == SAVES_NOTHING:
            return
        path = self.software.util.saved_path(str(self.props[3]), ".sxm")
        image = Topograph(self.taken, rows, setpoint=setpoint, time=time.time())
        write_sxm(path, image, channels={SIGNALS[channel]: self.both_ways(SIGNALS[channel]) for channel in self.channels})
        self.saved = str(path)

    def _status_get(self) -> Answer:
        """Answer ``Scan.StatusGet`` with 1 while a scan is under way, a paused one included.

        Where `Lag` is set it answers for a while as if the scan had not begun, or had not been stopped.
        """
        return [self.software.is_doing("scan")]

    def _wait_end_of_scan(self, timeout: int) -> Answer:
        """Answer ``Scan.WaitEndOfScan`` when the scan is over, or the time.

        Parameters
        ----------
        timeout : int
            Longest time to wait, in ms; -1 for ever.

        Returns
        -------
        list
            1 when the time was over first; path of the file that was saved, empty when it is not.
        """
        timed_out = self._timed_out(timeout)
        return [timed_out, "" if timed_out else self.saved]

    def _timed_out(self, timeout: int) -> bool:
        """Wait for the end of a scan that may be running, and return True when the time was over first.

        Parameters
        ----------
        timeout : int
            Longest time to wait, in ms; negative for ever.

        Raises
        ------
        NanonisError
            When the scan ended with a fault; it is told once.
        """
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
        """Answer ``Scan.WaitEndOfLine`` when another line is done, the scan is over, or the time.

        Parameters
        ----------
        timeout : int
            Longest time to wait, in ms; -1 for ever.

        Returns
        -------
        list
            1 when no line was done meanwhile; index of the last line; then 0 and 0, which are not simulated.
        """
        before = self.lines
        with self.line_done:
            ended = self.line_done.wait_for(
                lambda: self.lines != before or not self.software.is_doing("scan"), None if timeout < 0 else timeout / 1000
            )
        return [not ended or self.lines == before, max(self.lines - 1, 0), 0, 0]

    def _save(self, waited_for: int, timeout: int) -> Answer:
        """Answer ``Scan.Save``: save the last topograph once more.

        Parameters
        ----------
        waited_for : int
            1 to wait for the end of a scan that is running.
        timeout : int
            Longest time to wait, in ms; -1 for ever.

        Returns
        -------
        list of bool
            True when the time was over first; then nothing was saved.

        Raises
        ------
        NanonisError
            When nothing has been scanned yet.
        """
        if self.taken is None:
            raise NanonisError("There is no image to save.")
        timed_out = self._timed_out(timeout) if waited_for else False
        if not timed_out:
            self._write(self.controller.get_setpoint())
        return [timed_out]

    def _xy_pos_get(self, newest: int) -> Answer:
        """Answer ``Scan.XYPosGet`` with the place of the tip, in m, as ``FolMe.XYPosGet`` does.

        With 1 for ``newest`` it waits for a place that is newer than the question.
        """
        return self.software.folme.place(bool(newest))

    # ---- images ----

    def _frame_data_grab(self, channel: int, forward: int) -> Answer:
        """Answer ``Scan.FrameDataGrab`` with an image of the running scan, or of the last one.

        Parameters
        ----------
        channel : int
            Index of the signal.
        forward : int
            1 for the way forth, 0 for the way back.

        Returns
        -------
        list
            Name of the signal; image in SI of shape (lines, pixels), in the order acquired, NaN where nothing is scanned yet; 1
            for a scan upwards.

        Raises
        ------
        NanonisError
            For a signal that is not recorded.
        """
        if channel not in self.channels:
            raise NanonisError(f"Channel {channel} is not recorded, only {self.channels}. Set the buffer before the scan.")
        return [SIGNALS[channel], self.in_si(SIGNALS[channel], bool(forward)), self.upwards]
