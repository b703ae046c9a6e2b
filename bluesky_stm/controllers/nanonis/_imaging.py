"""Topographs of a Nanonis controller."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._commands import ScanAction
from bluesky_stm.controllers.nanonis._connected import rescued
from bluesky_stm.controllers.nanonis._errors import NanonisError
from bluesky_stm.controllers.nanonis._junction import Junction
from bluesky_stm.controllers.nanonis._si import si
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Quality, Topograph
from bluesky_stm.protocols import Progress
from bluesky_stm.units import LENGTH

WAIT: Final = 250
"""How long the end of a scan is waited for before the lines are counted, in ms."""

PACKET: Final = 16
"""Nanonis takes pixels in packets of so many."""

FORWARD, UPWARD, KEEP_TIME = 1, 1, 2


class Imaging(Junction):
    """The part of `protocols.Controller` that scans."""

    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take a topograph upwards; ended by `stop` it comes back INCOMPLETE, unmeasured rows NaN.

        Raises
        ------
        NotCapableError
            For a number of columns that is no multiple of 16, which Nanonis would change.
        """
        for x, y in frame.corners:
            self._check(x=x, y=y)
        if frame.pixels[1] % PACKET:
            raise NotCapableError(
                f"Nanonis scans multiples of {PACKET} pixels, not {frame.pixels[1]}. Nothing has moved. Ask for another frame."
            )
        with self._act(), rescued(self._stop_scan):
            own = self._work.ask("Scan.SpeedGet")
            self._set_frame(frame)
            if line_time is not None:
                self._work.ask("Scan.SpeedSet", 0.0, 0.0, line_time, line_time, KEEP_TIME, 1.0)
            try:
                return self._scan(frame, progress)
            finally:
                if line_time is not None and self._work.connected:
                    forth, back, time_forth, time_back, by_time, ratio = own
                    self._work.ask("Scan.SpeedSet", forth, back, time_forth, time_back, 1 + by_time, ratio)

    def _set_frame(self, frame: Frame) -> None:
        """Set and read back the frame; Nanonis turns clockwise."""
        asked = [*(si(value, LENGTH) for value in (*frame.center, *frame.size)), -frame.angle]
        self._work.ask("Scan.FrameSet", *asked)
        rows, columns = frame.pixels
        self._work.ask("Scan.BufferSet", [self.channels.height, self.channels.current], columns, rows)
        pixels = self._work.ask("Scan.BufferGet")[1:]
        read = self._work.ask("Scan.FrameGet")
        turned = (read[4] - asked[4] + 180) % 360 - 180
        if pixels != [columns, rows] or abs(turned) > 1e-3 or not np.allclose(read[:4], asked[:4], rtol=1e-5, atol=1e-13):
            raise NanonisError(
                f"A frame of {asked} m and {[columns, rows]} pixels was set and reads back {read} and {pixels}. "
                "Nothing was scanned. Look at the scan control of the Nanonis software."
            )

    def _scan(self, frame: Frame, progress: Progress | None) -> Topograph:
        rows = frame.pixels[0]
        setpoint, started = self.get_setpoint(), self._clock.now()
        *_, forth, back, _, _ = self._work.ask("Scan.SpeedGet")
        self._work.ask("Scan.Action", ScanAction.START, UPWARD)
        told = self._wait_for_end(rows, 60.0 + 3 * rows * (forth + back), progress)
        height = self._image(frame)
        done = _lines(height)
        if progress and told < done:
            progress(done, rows)
        quality = Quality.GOOD if done == rows else Quality.INCOMPLETE
        return Topograph(frame, height, setpoint, started, quality)

    def _wait_for_end(self, rows: int, longest: float, progress: Progress | None) -> int:
        """Wait in short pieces, count the lines between; how many were told."""
        told, pieces = 0, math.ceil(longest / (WAIT / 1000))
        for _ in range(pieces):
            timed_out, _path = self._work.ask("Scan.WaitEndOfScan", WAIT, timeout=self._timeout + WAIT / 1000)
            if not timed_out and not self._work.ask("Scan.StatusGet")[0]:
                return told
            if progress and (done := _lines(self._grab()[1])) > told:
                progress(done, rows)
                told = done
        raise NanonisError(f"The scan did not end within {longest:g} s. It was stopped. Look at the scan control.")

    def _grab(self) -> list[Any]:
        """Name of the channel, image in m in the order acquired, and whether that was upwards."""
        return self._work.ask("Scan.FrameDataGrab", self.channels.height, FORWARD)

    def _image(self, frame: Frame) -> Floats:
        """The image in nm, row 0 at the lowest y; of a line that was not finished nothing is kept."""
        name, data, upwards = self._grab()
        if data.shape != frame.pixels:
            raise NanonisError(f"The image of {name!r} has {data.shape} pixels, not {frame.pixels}. It was not used.")
        height = units.from_si(data if upwards else data[::-1], LENGTH)
        height[np.isnan(height).any(axis=1)] = np.nan
        return height

    def _stop_scan(self) -> None:
        if not self.read_only:
            self._watch.ask("Scan.Action", ScanAction.STOP, UPWARD)


def _lines(image: Floats) -> int:
    """How many lines were scanned."""
    return int(np.isfinite(image).all(axis=1).sum())
