"""Topographs of a Nanonis controller."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._drift import NanonisDrift
from bluesky_stm.controllers.nanonis._guard import NanonisPart, TipGuard
from bluesky_stm.controllers.nanonis._links import FASTEST, POLL, confirm
from bluesky_stm.controllers.nanonis._rescue import rescued
from bluesky_stm.controllers.nanonis._witness import Standing, disturbed
from bluesky_stm.controllers.nanonis._z import NanonisZ
from bluesky_stm.controllers.nanonis_wire._commands import ScanAction
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import LimitError, NotCapableError, STMError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Quality, Setpoint, Topograph
from bluesky_stm.protocols import PACKET, Progress, Scanning
from bluesky_stm.units import CURRENT, LENGTH

WAIT: Final = 250
"""How long the end of a scan is waited for before the lines are counted, in ms."""

LOST: Final = 0.1
"""Part of the set point below which an image was taken in the air."""

END_OF_RANGE: Final = 1e-3
"""Part of the z range from its ends within which the tip has come to an end."""

AT_END: Final = 0.01
"""Part of the pixels of an image that may be at an end of the z range."""

BACKWARD, FORWARD, UPWARD, KEEP_TIME = 0, 1, 1, 2


class NanonisScanning(NanonisPart, Scanning):
    """Fulfils `protocols.Scanning`."""

    _saved = ""
    """File of the last scan, as the software names it."""

    def __init__(self, guard: TipGuard, z: NanonisZ, drift: NanonisDrift) -> None:
        super().__init__(guard)
        self._z, self._drift = z, drift

    @override
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take a topograph upwards; ended by `stop` it comes back INCOMPLETE, unmeasured rows NaN.

        Parameters
        ----------
        frame : Frame
            Region to scan.
        line_time : float, optional
            Time for a line, forth, in s; if not given, the controller's own, or what the feedback follows where that is longer.
        progress : callable, optional
            Called with the number of lines done and of all lines.

        Raises
        ------
        LimitError
            When the line time asks for more than the scanner's speed; nothing was scanned.
        NotCapableError
            For a number of columns that is no multiple of 16, which Nanonis would change.
        """
        if frame.pixels[1] % PACKET:
            raise NotCapableError(
                f"Nanonis scans multiples of {PACKET} pixels, not {frame.pixels[1]}. Nothing has moved. Ask for another frame."
            )
        if line_time is not None:
            _check_speed(frame, line_time)
        with self._guard.act(), rescued(self._stop_scan):
            own = self._work.ask("Scan.SpeedGet")
            self._set_frame(frame)
            line_time = self._pace(frame) if line_time is None else line_time
            if line_time is not None:
                self._set_line_time(line_time)
            try:
                return self._scan(frame, progress)
            finally:
                if line_time is not None and self._work.connected:
                    forth, back, time_forth, time_back, by_time, ratio = own
                    self._work.ask("Scan.SpeedSet", forth, back, time_forth, time_back, 1 + by_time, ratio)

    @override
    def image(self, channel: str = "height") -> Floats:
        """Return an image of the running scan, or of the last one, as the scan control holds it.

        It comes by ``Scan.FrameDataGrab`` over the watching connection, which a scan does not block.

        Parameters
        ----------
        channel : str
            One of `IMAGES`: height (nm) or current (nA), forth or back.

        Returns
        -------
        ndarray of shape (rows, columns)
            Row 0 is the lowest y, also of a scan downwards. A line that is not finished is NaN as a whole.
        """
        quantity, _, back = channel.partition("_")
        channels = self._links.channels
        index, unit = (channels.height, LENGTH) if quantity == "height" else (channels.current, CURRENT)
        _, data, upwards = self._watch.ask("Scan.FrameDataGrab", index, BACKWARD if back else FORWARD)
        return _upright(data, bool(upwards), unit)

    @override
    def get_line_time(self, frame: Frame) -> None:
        """Return None: the scan control says it for the frame that is set, and `scan` looks then itself."""

    def _pace(self, frame: Frame) -> float | None:
        """Return the time for a line of the frame that is set, in s, where its own is too short; None to leave it.

        The scan control may keep the time of a line of a smaller frame, which the feedback cannot follow in this one.
        """
        own, gains = self._work.ask("Scan.SpeedGet")[2], self._z.get_gains()
        if not own > 0 or not gains.scans or frame.size[0] / own <= gains.scans:
            return None
        return gains.line_time(frame.size[0])

    def _set_line_time(self, seconds: float) -> None:
        self._work.ask("Scan.SpeedSet", 0.0, 0.0, seconds, seconds, KEEP_TIME, 1.0)
        confirm("The time for a line", seconds, self._work.ask("Scan.SpeedGet")[2], units.TIME, 1e-6)

    def _set_frame(self, frame: Frame) -> None:
        """Set and read back the frame; Nanonis turns clockwise."""
        self._work.ask("Scan.FrameSet", *wired(frame))
        rows, columns = frame.pixels
        self._work.ask("Scan.BufferSet", [self._links.channels.height, self._links.channels.current], columns, rows)
        self._check_frame(frame)

    def _check_frame(self, frame: Frame) -> None:
        """Somebody may have changed it since; what was scanned then is another place."""
        asked, pixels = wired(frame), [frame.pixels[1], frame.pixels[0]]
        read, buffer = self._work.ask("Scan.FrameGet"), self._work.ask("Scan.BufferGet")[1:]
        turned = (read[4] - asked[4] + 180) % 360 - 180
        if buffer != pixels or abs(turned) > 1e-3 or not np.allclose(read[:4], asked[:4], rtol=1e-5, atol=1e-13):
            raise NanonisError(
                f"A frame of {asked} m and {pixels} pixels was set and reads back {read} and {buffer}. "
                "Nothing was used. Look at the scan control of the Nanonis software."
            )

    def _scan(self, frame: Frame, progress: Progress | None) -> Topograph:
        rows = frame.pixels[0]
        report = _LineCount(rows, progress)
        setpoint, started = self._z.get_setpoint(), self._links.clock.now()
        stood, self._saved = self._standing(setpoint), ""
        *_, forth, back, _, _ = self._work.ask("Scan.SpeedGet")
        old = self._grab()[1]
        self._check_tracking()
        if not self._links.stopped.is_set():
            self._links.own.add("scan")
            self._work.ask("Scan.Action", ScanAction.START, UPWARD)
        began = self._wait_for_end(old, 60.0 + 3 * rows * (forth + back), report)
        self._check_frame(frame)
        height = self._image(frame) if began else np.full(frame.pixels, np.nan)
        report(_lines(height))
        self._links.own.discard("scan")
        if began and not self._saved:  # it was over before anybody waited for its end
            self._wait()
        changes = stood.changes(self._standing(self._z.get_setpoint()))
        quality = Quality.GOOD if report.done == rows else Quality.INCOMPLETE
        return Topograph(
            frame,
            height,
            setpoint=setpoint,
            time=started,
            quality=quality | self._contact(height, setpoint) | disturbed(changes),
            disturbed=changes,
            native=self._saved if began and report.done == rows else "",
        )

    def _standing(self, setpoint: Setpoint) -> Standing:
        """What defines an image beside its frame: set point, gains, and the drift compensation."""
        gains = self._z.get_gains()
        numbers = {"proportional gain (nm)": gains.proportional, "integral gain (nm/s)": gains.integral}
        return Standing(setpoint, others={**numbers, **self._drift.read()})

    def _contact(self, height: Floats, setpoint: Setpoint) -> Quality:
        """Return LOST_CONTACT for an image in the air: no current flowed, the z range ended, or the feedback is open now.

        Parameters
        ----------
        height : ndarray of shape (rows, columns)
            The image, in nm.
        setpoint : Setpoint
            What the feedback kept.
        """
        high, low = (ours(end, LENGTH) for end in self._work.ask("ZCtrl.LimitsGet"))
        measured = height[np.isfinite(height)]
        at_end = np.minimum(measured - low, high - measured) <= END_OF_RANGE * (high - low)
        current = np.abs(self.image("current"))
        current = current[np.isfinite(current)]
        in_air = bool(current.size) and float(np.median(current)) < LOST * setpoint.current
        lost = in_air or (measured.size and at_end.mean() > AT_END) or not self._guard.is_closed()
        return Quality.LOST_CONTACT if lost else Quality.GOOD

    def _check_tracking(self) -> None:
        """Asked just before the scan starts: the tip may have been withdrawn since, by whomever."""
        if not self._guard.check_contact("scanned").on:
            raise STMError("The feedback is open: a scan would run the tip into the surface. Nothing was scanned. Close it.")

    def _wait_for_end(self, old: Floats, longest: float, report: _LineCount) -> bool:
        """Wait in short pieces, count the lines between. False where it was stopped before it began.

        That nothing runs is no proof that something ran: it was seen running, or there is another image than the ``old`` one.
        """
        begun, ran = time.monotonic(), False
        while time.monotonic() < begun + longest:
            running = bool(self._work.ask("Scan.StatusGet")[0])
            ran = ran or running
            if running and self._links.stopped.is_set():
                self._stop_scan()  # the stop may have come just before the start
            if not running and (ran or self._is_new(old)):
                return True
            if not ran and self._links.stopped.is_set():
                return False
            if not ran and time.monotonic() > begun + self._links.timeout:
                raise NanonisError(
                    f"The scan did not start within {self._links.timeout:g} s. Nothing was scanned. Look at the scan control."
                )
            self._wait()
            if report.progress and ran:
                report(_lines(self._grab()[1]))
            time.sleep(POLL)
        raise NanonisError(f"The scan did not end within {longest:g} s. It was stopped. Look at the scan control.")

    def _wait(self) -> None:
        """Wait for the end of the scan for a moment; that says which file the software has written."""
        timed_out, path = self._work.ask("Scan.WaitEndOfScan", WAIT, timeout=self._links.timeout + WAIT / 1000)
        self._saved = "" if timed_out else path

    def _is_new(self, old: Floats) -> bool:
        """Return True when there is a whole image, and another one than before."""
        image = self._grab()[1]
        return bool(np.isfinite(image).all()) and not np.array_equal(image, old)

    def _grab(self) -> list[Any]:
        """Name of the channel, image in m in the order acquired, and whether that was upwards."""
        return self._work.ask("Scan.FrameDataGrab", self._links.channels.height, FORWARD)

    def _image(self, frame: Frame) -> Floats:
        """The image, in nm."""
        name, data, upwards = self._grab()
        if name != self._links.names.height:
            raise NanonisError(
                f"The image that was asked for is one of {name!r}, not of {self._links.names.height!r}: the signals have "
                "another order now. It was not used. Connect again."
            )
        if data.shape != frame.pixels:
            raise NanonisError(f"The image of {name!r} has {data.shape} pixels, not {frame.pixels}. It was not used.")
        return _upright(data, upwards, LENGTH)

    def _stop_scan(self) -> None:
        if not self._links.read_only:
            self._watch.ask("Scan.Action", ScanAction.STOP, UPWARD)


def _check_speed(frame: Frame, seconds: float) -> None:
    """Refuse lines, of so many ``seconds``, that are faster than the scanner."""
    speed = frame.size[0] / seconds
    if speed > FASTEST:
        raise LimitError(
            f"A line of {frame.size[0]:g} nm in {seconds:.3g} s is {speed:.4g} nm/s, and up to {FASTEST:g} nm/s are possible. "
            "Nothing was scanned. Give a line time that is longer."
        )


def _upright(data: Floats, upwards: bool, unit: str) -> Floats:
    """An image in our unit, row 0 at the lowest y; of a line that was not finished nothing is kept."""
    image = units.from_si(data if upwards else data[::-1], unit)
    image[np.isnan(image).any(axis=1)] = np.nan
    return image


class _LineCount:
    """Number of lines of a scan that are done, as it is reported: it never falls.

    Parameters
    ----------
    rows : int
    progress : callable, optional
    """

    def __init__(self, rows: int, progress: Progress | None) -> None:
        self.rows, self.progress, self.done = rows, progress, 0

    def __call__(self, done: int) -> None:
        if done > self.done and self.progress:
            self.progress(done, self.rows)
        self.done = max(done, self.done)


def wired(frame: Frame) -> list[float]:
    """Return centre, size and angle as `Scan.FrameSet` takes them: in m, and in degrees clockwise."""
    return [*(si(value, LENGTH) for value in (*frame.center, *frame.size)), -frame.angle]


def _lines(image: Floats) -> int:
    """Return the number of lines that were scanned."""
    return int(np.isfinite(image).all(axis=1).sum())
