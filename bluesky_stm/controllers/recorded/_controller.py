"""A microscope whose answers were recorded: a dense grid, a published run, or a stored run of ours.

Nothing is invented: a spectrum is the one that was measured nearest to the tip, with the place where it was measured, and a
place without one is refused. Bias, set point and lock-in stand where they stood; only the tip moves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from bluesky_stm.controllers.base._acts import PIXEL_TIME, SPEED, Acts
from bluesky_stm.controllers.base._clock import Clock
from bluesky_stm.controllers.recorded._recording import Recording
from bluesky_stm.controllers.recorded._z import Standing
from bluesky_stm.errors import LimitError, MotionStoppedError, NotCapableError, STMError
from bluesky_stm.files import RecordedRun
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Grid, Quality, Spectrum, Topograph
from bluesky_stm.protocols import Capability, Progress, SweepSettings, TipState


class RecordedController(Standing):
    """Fulfils `protocols.Controller` as far as a recording can.

    Parameters
    ----------
    recording : path, RecordedRun or Grid
        A ``.3ds`` grid of bias sweeps (any place inside its frame answers) or a run (only the measured places answer).
    clock : Clock, optional
        Lets the time pass that each act takes; simulated time if not given.
    name : str

    Raises
    ------
    FileFormatError
        When the file holds no spectra of different places with a topograph.
    """

    capabilities = frozenset({Capability.TIP, Capability.SCAN, Capability.SWEEP, Capability.WITHDRAW, Capability.APPROACH})

    def __init__(
        self, recording: str | Path | RecordedRun | Grid, *, clock: Clock | None = None, name: str = "recorded"
    ) -> None:
        self._recording = Recording.of(recording)
        super().__init__(name, self._recording.run.topograph.setpoint, self._recording.lockin)
        self._acts = Acts(clock)
        self._tip = self.frame.center
        self._image: Floats = np.full((0, 0), np.nan)

    @property
    def frame(self) -> Frame:
        """The recorded frame; an exploration starts there."""
        return self._recording.frame

    @property
    def sweep_settings(self) -> SweepSettings:
        """The recorded sweep, the only one that answers."""
        return self._recording.sweep

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Box around the frame, in nm, and the ends of the sweep, in V."""
        (x_low, y_low), (x_high, y_high) = self.frame.corners.min(axis=0), self.frame.corners.max(axis=0)
        ends = self.sweep_settings.start, self.sweep_settings.stop
        return {
            "bias": (min(ends), max(ends)),
            "x": (float(x_low), float(x_high)),
            "y": (float(y_low), float(y_high)),
        }

    def locations(self) -> Floats | None:
        """Places (n, 2) of the spectra, in nm; None when every pixel has one."""
        return None if self._recording.run.complete else np.unique(self._recording.places, axis=0)

    def suggested_scale(self) -> dict[str, Any]:
        """A length scale that fits: fields of `settings.LengthScale`, less its name."""
        return self._recording.run.suggested_scale()

    def describe(self) -> dict[str, Any]:
        """Name, file with its hash, number of spectra, sweep and frame."""
        return {
            "name": self.name,
            **self._recording.origin,
            "spectra": len(self._recording.places),
            "sweep": asdict(self.sweep_settings),
            "frame": self.frame.as_dict(),
        }

    def source(self, signal: str) -> str:
        """``"recorded:bias"``."""
        return f"{self.name}:{signal}"

    def now(self) -> float:
        """Time of the clock, in s."""
        return self._acts.clock.now()

    def get_tip(self) -> TipState:
        """Where the tip is; z of the nearest pixel."""
        return TipState(*self._tip, self._recording.height_at(self._tip))

    def get_speed(self) -> float:
        """Speed of a move, in nm/s."""
        return SPEED

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line; ended by `stop`, the tip stays on the way."""
        for axis, value in zip("xy", point, strict=True):
            self._check_range(axis, value)
        with self._acts.one():
            start, distance = self._tip, math.dist(self._tip, point)
            steps = max(1, math.ceil(distance))
            way = self._acts.take(distance / (speed or SPEED), steps) / steps
            self._tip = Point(*(a + way * (b - a) for a, b in zip(start, point, strict=True)))
        if way < 1:
            raise MotionStoppedError(
                f"The tip was stopped at ({self._tip.x:.3f}, {self._tip.y:.3f}) nm. Ask for the move again."
            )

    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """The recorded image, resampled where another frame inside it is asked for; ended by `stop` its last rows are NaN."""
        self._check_contact()
        recorded = self._recording.image(frame)
        rows, columns = frame.pixels
        with self._acts.one():
            started, height = self.now(), np.full(frame.pixels, np.nan)
            self._image = height

            def reveal(done: int, total: int) -> None:
                height[:done] = recorded[:done]
                if progress:
                    progress(done, total)

            self._acts.take(2 * rows * (line_time or columns * PIXEL_TIME), rows, reveal)
        quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
        return Topograph(frame, height, self.get_setpoint(), started, quality)

    def image(self, channel: str = "height") -> Floats:
        """Height, as far as the last scan came; the other channels are not recorded."""
        if channel != "height":
            raise NotCapableError(f"{self.name} holds no {channel!r} of an image, only the height. Nothing was scanned.")
        return self._image.copy()

    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """The spectrum recorded at the tip, with the place where it was recorded; ended by `stop` its rest is NaN.

        Raises
        ------
        NotCapableError
            For another sweep than the recorded one, or where none was recorded.
        """
        self._check_contact()
        self._check_sweep(settings)
        found = self._recording.spectrum_at(self._tip)
        with self._acts.one():
            started = self.now()
            done = self._acts.take(settings.points * (settings.settle + settings.integrate), settings.points, progress)
        return replace(_cut(found, done), time=started, z=self.get_tip().z)

    def stop(self) -> None:
        """End what is under way."""
        self._acts.stop()

    def close(self) -> None:
        """Nothing to let go of."""
        self.stop()

    def _check_range(self, axis: str, value: float) -> None:
        low, high = self.ranges[axis]
        if not low <= value <= high:
            raise LimitError(
                f"{axis} = {value:g} nm is outside the recorded {low:g} to {high:g} nm. Nothing has moved. "
                "Choose a place inside."
            )

    def _check_contact(self) -> None:
        if not self._in_contact:
            raise STMError("The tip is withdrawn: nothing was measured. Approach first.")

    def _check_sweep(self, asked: SweepSettings) -> None:
        own = self.sweep_settings
        step = abs(own.stop - own.start) / (own.points - 1)
        off = max(abs(asked.start - own.start), abs(asked.stop - own.stop))
        same = asked == replace(own, start=asked.start, stop=asked.stop, settle=asked.settle, integrate=asked.integrate)
        if not same or off > step / 2:
            raise NotCapableError(
                f"Only the recorded sweep answers: {own.start:g} to {own.stop:g} V in {own.points} points, forward, once, from "
                f"the set point as it stands, not {asked}. Nothing was swept. Take RecordedController.sweep_settings."
            )


def _cut(spectrum: Spectrum, points: int) -> Spectrum:
    """The spectrum as it is when its sweep was ended after some of the points."""
    if points == len(spectrum.bias):
        return spectrum
    arrays = {name: getattr(spectrum, name).copy() for name in ("current", "lockin_x", "lockin_y", "didv")}
    for values in arrays.values():
        values[points:] = np.nan
    return replace(spectrum, **arrays, quality=spectrum.quality | Quality.INCOMPLETE)
