"""A scripted microscope for tests: it records what was asked, and fails, answers or waits as it was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._z import FakeJunction, wave
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import IMAGES, Capability, Progress, SweepSettings, TipShape

LAG = 0.05
"""By how much the image of the way back is shifted, in nm."""

DISPLACEMENT = 0.001
"""Displacement current of a sweep, in nA: added on the way forth, taken off on the way back."""


class FakeController(FakeJunction):
    """An ideal microscope on a gently waved metal, which does what a test tells it.

    Parameters
    ----------
    capabilities : iterable of Capability, optional
        All if not given; readings answer in any case.
    steps : int
        Steps in which a move is made; scans are made by lines, sweeps by points. It can be stopped between two of them.

    Examples
    --------
    >>> from bluesky_stm.errors import LostConnectionError
    >>> from bluesky_stm.geometry import Point
    >>> fake = FakeController()
    >>> fake.fail("move_tip", LostConnectionError("cable pulled"), at=2)
    >>> fake.move_tip(Point(1, 0))
    >>> fake.move_tip(Point(2, 0))
    Traceback (most recent call last):
    bluesky_stm.errors.LostConnectionError: cable pulled
    """

    def __init__(self, capabilities: frozenset[Capability] = frozenset(Capability), steps: int = 10) -> None:
        super().__init__(capabilities, steps)
        self._images = {channel: np.full((0, 0), np.nan) for channel in IMAGES}

    @asked(Capability.SCAN)
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Image of the wave, row by row from the lowest y; the tip ends in the centre."""
        for x, y in frame.corners:
            self._check(x=x, y=y)
        rows, begun = frame.pixels[0], self._clock
        truth = self._images_of(frame)
        self._images = {channel: np.full(frame.pixels, np.nan) for channel in IMAGES}
        with self._acting():
            for row in self._stepping("scan", rows):
                if self._halt.is_set():
                    break
                for channel, image in self._images.items():
                    image[row] = truth[channel][row]
                self._clock += 2 * (line_time or 0.1)
                if progress:
                    progress(row + 1, rows)
            self._tip = frame.center
        height = self._images["height"].copy()
        quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
        return Topograph(frame, height, Setpoint(self._bias, self._current), begun, quality)

    @asked()
    def image(self, channel: str = "height") -> Floats:
        """As far as the last scan came."""
        if channel not in IMAGES:
            raise NotCapableError(f"{self.name} records no {channel!r}, only {', '.join(IMAGES)}. Nothing was scanned.")
        return self._images[channel].copy()

    @asked(Capability.SWEEP)
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """I(V) of an ohmic junction; the displacement current of the two directions cancels in their average."""
        self._check(bias=settings.start)
        self._check(bias=settings.stop)
        setpoint, begun, bias = settings.setpoint or Setpoint(self._bias, self._current), self._clock, settings.bias
        current = np.full(settings.points, np.nan)
        conductance = 0.0 if self._withdrawn else setpoint.current / abs(setpoint.bias)
        with self._acting(), self._holding():
            for point in self._stepping("sweep", settings.points):
                if self._halt.is_set():
                    break
                self._bias = bias[point]
                current[point] = conductance * bias[point]
                self._clock += (settings.settle + settings.integrate) * settings.averages * (1 + settings.backward)
                if progress:
                    progress(point + 1, settings.points)
        raw = np.where(np.isnan(current), np.nan, conductance * self._lockin.gain + self._lockin.offset)
        didv = self._lockin.didv(raw)
        back = {"current": current - DISPLACEMENT, "lockin_x": raw, "lockin_y": 0 * raw, "didv": didv}
        quality = (Quality.INCOMPLETE if np.isnan(current).any() else Quality.GOOD) | (
            Quality.LOST_CONTACT if self._withdrawn else Quality.GOOD
        )
        z = float(wave(self._tip)) + settings.z_offset
        measured = (bias, current, raw, 0 * raw, didv, setpoint, begun, z, quality)
        return Spectrum(self._tip, *measured, back if settings.backward else {})

    @asked(Capability.PULSE)
    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias."""
        self._check(bias=bias)

    @asked(Capability.SHAPE)
    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip."""
        self._check(bias=shape.bias)

    # ---- how it does it ----

    @contextmanager
    def _holding(self) -> Iterator[None]:
        before = self._bias, self._feedback
        self._feedback = False
        try:
            yield
        finally:
            self._bias, self._feedback = before[0], before[1] and not self._withdrawn

    def _images_of(self, frame: Frame) -> dict[str, Floats]:
        """The wave as it is seen in both directions, the feedback a little late."""
        (x, y), current = np.moveaxis(frame.points(), -1, 0), np.full(frame.pixels, self._ohmic(self._bias))
        return dict(zip(IMAGES, (wave((x, y)), wave((x + LAG, y)), current, current), strict=True))
