"""Spectra and grids of the simulated microscope."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bluesky_stm.controllers.simulated._detection import Reading
from bluesky_stm.controllers.simulated._scan import SimulatedScan
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import CHANNELS, Grid, Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Progress, SweepSettings

SWEEP_OVERHEAD: Final = 0.936
"""Time for a spectrum besides its points, in s: with 121 points of 14 ms it takes 2.63 s, as published."""

_TOGETHER: Final = 512
"""Spectra of a grid that are computed at once."""


class SimulatedSpectroscopy(SimulatedScan):
    """The part of `SimulatedController` that measures spectra."""

    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias where the tip stands; ended by `stop` it comes back INCOMPLETE, padded with NaN."""
        self._check(bias=settings.start)
        self._check(bias=settings.stop)
        with self._acts.one(), self._at_setpoint(settings.setpoint):
            self._check_contact()
            started, rng = self.now(), self._noise.next("sweep")
            point, place, setpoint = self._junction.asked, self._junction.place(started), self.get_setpoint()
            z = None if self._junction.feedback else self._junction.undrifted(started)
            reading = self._read(place, settings, setpoint, started, rng, z)
            self._acts.take(SWEEP_OVERHEAD)
            done = self._acts.take(settings.points * _once(settings), settings.points, progress)
            return self._spectrum(point, settings, reading, setpoint, started, done)

    def grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """A CITS grid, measured as one act that cannot be stopped; drift, creep and changes of the tip are left out."""
        self._check_frame(frame)
        with self._acts.one():
            self._check_contact()
            started, rng = self.now(), self._noise.next("grid")
            self._acts.clock.sleep(math.prod(frame.pixels) * (SWEEP_OVERHEAD + settings.points * _once(settings)))
            return self._gridded(frame, settings, rng, started)

    def spectra(self, places: Floats, settings: SweepSettings) -> Reading:
        """Spectra at the places (n, 2) in nm, noise included, without moving there: many at once, for tests and benchmarks."""
        setpoint = settings.setpoint or self.get_setpoint()
        return self._read(places, settings, setpoint, self.now(), self._noise.next("spectra"))

    # ---- the truth, for tests and benchmarks ----

    def truth_grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """What an instrument without noise would measure at every pixel of ``frame``: for dense maps of the truth."""
        return self._gridded(frame, settings, None, self.now())

    def truth_topograph(self, frame: Frame) -> Topograph:
        """What a scan without noise, drift, creep and lag would show."""
        setpoint, junction = self.get_setpoint(), self._junction
        return Topograph(frame, junction.instrument.image(frame.points(), setpoint, junction.tips.tip), setpoint, self.now())

    # ---- inside ----

    def _read(
        self,
        places: Floats,
        settings: SweepSettings,
        setpoint: Setpoint,
        time: float,
        rng: np.random.Generator | None,
        z: float | None = None,
    ) -> Reading:
        junction = self._junction
        return junction.instrument.spectra(places, settings, setpoint, self._lockin, junction.tips.at(time), rng, z)

    def _gridded(self, frame: Frame, settings: SweepSettings, rng: np.random.Generator | None, started: float) -> Grid:
        setpoint = settings.setpoint or self.get_setpoint()
        current, x, y = np.empty((3, *frame.pixels, settings.points))
        height, places = np.empty(frame.pixels), frame.points()
        band = max(1, _TOGETHER // frame.pixels[1])
        for first in range(0, frame.pixels[0], band):
            rows = slice(first, first + band)
            reading = self._read(places[rows].reshape(-1, 2), settings, setpoint, started, rng)
            for whole, part in zip((current, x, y), (reading.current, reading.lockin_x, reading.lockin_y), strict=True):
                whole[rows] = part.reshape(whole[rows].shape)
            height[rows] = reading.height.reshape(height[rows].shape)
        return Grid(frame, settings.bias, current, x, y, self._lockin.didv(x), height, setpoint, started)

    def _spectrum(
        self, point: Point, settings: SweepSettings, reading: Reading, setpoint: Setpoint, started: float, done: int
    ) -> Spectrum:
        current, x, y, didv = self._channels(reading, done)
        back = dict(zip(CHANNELS[1:], self._channels(reading.backward, done), strict=True)) if reading.backward else {}
        quality = reading.quality | (Quality.INCOMPLETE if done < settings.points else Quality.GOOD)
        z = float(reading.height[0])
        return Spectrum(point, settings.bias, current, x, y, didv, setpoint, started, z, quality, back)

    def _channels(self, reading: Reading, done: int) -> list[Floats]:
        """Current, lock-in X and Y, and dI/dV of the first spectrum; NaN from point ``done`` on."""
        raw = [whole[0].copy() for whole in (reading.current, reading.lockin_x, reading.lockin_y)]
        for values in raw:
            values[done:] = np.nan
        return [*raw, self._lockin.didv(raw[1])]


def _once(settings: SweepSettings) -> float:
    """Time for a point, in s, all its averages included."""
    return (settings.settle + settings.integrate) * settings.averages * (2 if settings.backward else 1)
