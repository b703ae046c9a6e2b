"""Topographs of the simulated microscope."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.base import PIXEL_TIME
from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.controllers.simulated._noise import converter_lines, image_noise, white_current
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Topograph
from bluesky_stm.protocols import Progress, Scanning
from bluesky_stm.surface import CONTACT

_BAND: Final = 64
"""Lines of an image that are computed at once."""


@dataclass(eq=False)
class ScanState:
    """A scan under way, or the last one.

    Attributes
    ----------
    frame : Frame
    line_time : float
        Forth, in s.
    setpoint : Setpoint
    number : int
        How many scans were before.
    settled : ndarray of shape (rows, columns)
        Where the tip would be if it had the time, in nm.
    height : ndarray of shape (rows, columns)
        The topograph, in nm.
    off : ndarray of shape (rows, columns, 2)
        Where the tip really was less where it was asked to be, on the way forth of each line, in nm.
    lines : int
        How many lines are measured.
    """

    frame: Frame
    line_time: float
    setpoint: Setpoint
    number: int
    settled: Floats
    height: Floats
    off: Floats
    lines: int = 0

    @property
    def interval(self) -> float:
        """Time between pixels, in s."""
        return self.line_time / self.frame.pixels[1]


class SimulatedScanning(Scanning):
    """Fulfils `protocols.Scanning`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._scan: ScanState | None = None

    @override
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take a topograph; ended by `stop` it comes back INCOMPLETE, unmeasured rows NaN.

        Parameters
        ----------
        frame : Frame
            Region to scan.
        line_time : float, optional
            Time for a line, forth, in s; the controller's own if not given.
        progress : callable, optional
            Called with the number of lines done and of all lines.

        Raises
        ------
        TipCrashError
            When nothing carries the current somewhere, or the lines are too fast for the feedback.
        """
        acts = self._bench.acts
        with acts.one():
            self._bench.check_contact()
            started = self._bench.now()
            line = self.get_line_time(frame) if line_time is None else line_time
            scan = self._begin(frame, line)
            self._bench.junction.piezo.scan(self._bench.junction.asked, frame, line, started)
            # Of the whole image at once, so that a scan that is stopped has the noise of one that is not.
            artefacts = self._artefacts(scan, "height")
            for band in self._bands(scan, started):
                scan.settled[band] = self._settled(scan, band, started)
                scan.height[band] = self._traced(scan, band) + artefacts[band]
                done = acts.take(2 * line * (band.stop - band.start), band.stop - band.start, _counting(scan, progress))
                scan.lines = band.start + done
                if scan.lines < band.stop:
                    break
            # Each line ends, on the way back, where it has begun.
            x, y = frame.to_sample((max(scan.lines - 1, 0), 0))
            self._bench.junction.arrive(Point(float(x), float(y)), self._bench.now())
            quality = Quality.INCOMPLETE if scan.lines < frame.pixels[0] else Quality.GOOD
            return Topograph(frame, self.image(), setpoint=scan.setpoint, time=started, quality=quality)

    @override
    def get_line_time(self, frame: Frame) -> float:
        return frame.pixels[1] * PIXEL_TIME

    @override
    def image(self, channel: str = "height") -> Floats:
        if (scan := self._scan) is None:
            return np.full((0, 0), np.nan)
        image = scan.height.copy() if channel == "height" else self._recorded(scan, channel)
        image[scan.lines :] = np.nan
        return image

    # ---- inside ----

    def _begin(self, frame: Frame, line_time: float) -> ScanState:
        number = self._scan.number + 1 if self._scan else 0
        blank = np.full((2, *frame.pixels), np.nan)
        off = np.full((*frame.pixels, 2), np.nan)
        self._scan = ScanState(frame, line_time, self._bench.junction.setpoint, number, blank[0], blank[1], off)
        return self._scan

    def _bands(self, scan: ScanState, started: float) -> Iterator[slice]:
        """Some lines after others, a new band where the tip changes."""
        first, rows = 0, scan.frame.pixels[0]
        while first < rows:
            change = (self._bench.junction.tips.due - started) / (2 * scan.line_time)
            last = min(first + _BAND, rows)
            # The line within which the tip changes still belongs to the old one: a band is traced by one tip.
            last = math.ceil(change) if first < change < last else last
            yield slice(first, last)
            first = last

    def _settled(self, scan: ScanState, band: slice, started: float) -> Floats:
        """Heights of some lines, in nm, where drift, creep and hysteresis take the tip."""
        times = started + 2 * scan.line_time * np.arange(band.start, band.stop)[:, None]
        off = scan.off[band] = self._bench.junction.piezo.traced(band, scan.frame.pixels[1])
        return self._bench.junction.followed(scan.frame.points(band) + off, times)

    def _traced(self, scan: ScanState, band: slice) -> Floats:
        """Heights of the tip on the way forth; each line begins settled."""
        settled = scan.settled[band]
        if not np.isfinite(settled).all():
            self._bench.junction.crash(
                f"No states carry {scan.setpoint.current:g} nA at {scan.setpoint.bias:g} V in {np.isinf(settled).sum()} pixels "
                f"of lines {band.start} to {band.stop - 1}: the tip touched the surface.",
                self._bench.now(),
            )
        trace = self._followed(scan, settled, f"height {band.start}")
        room = self._bench.surface.terrace_gap(scan.setpoint) - CONTACT
        if not (settled - trace).max() < room:
            self._bench.junction.crash(
                f"The feedback could not keep {scan.setpoint.current:g} nA at {scan.setpoint.bias:g} V in lines of "
                f"{scan.line_time:g} s: the tip touched the surface.",
                self._bench.now(),
            )
        return trace

    def _recorded(self, scan: ScanState, channel: str) -> Floats:
        """Return what the other channels show."""
        profile = self._bench.profile
        settled = scan.settled
        if channel.endswith("backward"):
            along = (np.arange(scan.frame.pixels[1]) + 0.5) * scan.frame.pixel_size[1]
            settled = _moved(settled, self._bench.junction.piezo.opening(along, scan.frame.size[0]) / scan.frame.pixel_size[1])
            followed = self._followed(scan, settled[:, ::-1], channel)[:, ::-1]
        else:
            followed = self._followed(scan, settled, channel)
        if channel.startswith("height"):
            return followed + self._artefacts(scan, channel)
        loop, rng = self._bench.junction.loop, self._bench.noise.of(f"scan {channel}", scan.number)
        kept = math.copysign(scan.setpoint.current, scan.setpoint.bias) * np.exp(loop.decay * (settled - followed))
        # The preamplifier averages over two time constants at least, however short a pixel is.
        white = white_current(profile, kept, max(scan.interval, 2 * profile.response)) * rng.standard_normal(kept.shape)
        vibration = profile.junction * kept * rng.standard_normal(kept.shape)  # slower than pixels: the same at every speed
        return np.clip(kept + vibration + white + profile.current_offset, -profile.preamp_range, profile.preamp_range)

    def _followed(self, scan: ScanState, settled: Floats, what: str) -> Floats:
        """Heights of the tip where it should be at ``settled``; a feedback with too much gain swings around them."""
        junction = self._bench.junction
        followed = junction.loop.follow(settled, scan.interval)
        if swing := junction.swing:  # far faster than pixels: each finds it anywhere in its period
            phase = self._bench.noise.of(f"scan swing {what}", scan.number).uniform(0, 2 * np.pi, settled.shape)
            followed = followed + swing * np.sin(phase)
        return followed

    def _white(self, scan: ScanState) -> float:
        """White noise of heights, in nm: vibration, and that of the current as far as the feedback follows it."""
        profile, loop, current = self._bench.profile, self._bench.junction.loop, scan.setpoint.current
        seen = max(scan.interval, 1 / (2 * loop.bandwidth))
        electronic = float(white_current(profile, current, seen)) / (loop.decay * current)
        return math.hypot(profile.z_white * math.sqrt(PIXEL_TIME / seen), electronic)

    def _artefacts(self, scan: ScanState, channel: str) -> Floats:
        """Return what the instrument adds to heights, in nm: noise, tilt, lines of the converters."""
        frame = scan.frame
        rng = self._bench.noise.of("scan" if channel == "height" else f"scan {channel}", scan.number)
        places = frame.points()
        added = image_noise(rng, frame, self._bench.profile, scan.line_time, self._white(scan))
        if any(self._bench.profile.tilt):
            added += (places - frame.center) @ self._bench.profile.tilt
        if self._bench.profile.converter:
            added += converter_lines(places, min(frame.pixel_size), self._bench.profile)
        return added


def _moved(lines: Floats, pixels: Floats) -> Floats:
    """Lines (rows, columns) read at columns that lie ``pixels`` (columns,) further, fractions of a pixel between neighbours."""
    last = lines.shape[1] - 1
    at = np.clip(np.arange(last + 1) + pixels, 0, last)
    low = np.minimum(at.astype(int), max(last - 1, 0))
    share = at - low
    return lines[:, low] * (1 - share) + lines[:, np.minimum(low + 1, last)] * share


def _counting(scan: ScanState, progress: Progress | None) -> Progress | None:
    """Counts the lines of a band from the first one of the image."""
    if progress is None:
        return None
    first = scan.lines

    def count(done: int, _: int) -> None:
        scan.lines = first + done
        progress(scan.lines, scan.frame.pixels[0])

    return count
