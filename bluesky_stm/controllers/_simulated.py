"""A microscope that is not there: a surface, an instrument with its imperfections, and a clock."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from bluesky_stm.controllers._clock import Clock, InstantClock
from bluesky_stm.controllers._instrument import Instrument, Reading
from bluesky_stm.controllers._junction import Junction
from bluesky_stm.controllers._noise import NoiseSource, converter_lines, image_noise
from bluesky_stm.controllers._profile import PROFILES, Profile
from bluesky_stm.errors import LimitError, MotionStoppedError, STMError, UnknownNameError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Grid, Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Capability, FeedbackGains, LockInSettings, Progress, SweepSettings, TipState
from bluesky_stm.surface import Surface

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "bias": (-10.0, 10.0),
    "current": (0.0, 10.0),
    "setpoint": (0.001, 5.0),
    "x": (-1000.0, 1000.0),
    "y": (-1000.0, 1000.0),
    "z": (-500.0, 500.0),
    "speed": (0.0, 10000.0),
}
"""What the hardware can do."""

SPEED: Final = 62.6
"""Speed of the tip where none is asked for, in nm/s: that of the published 250 nm images."""

PIXEL_TIME: Final = 7.8e-3
"""Time for a pixel where no line time is asked for, in s: 3.994 s a line of 512 and 4090 s an image, as published."""

SWEEP_OVERHEAD: Final = 0.936
"""Time for a spectrum besides its points, in s: with 121 points of 14 ms it takes 2.63 s, as published."""

SLEW: Final = 10.0
"""Rate of a bias ramp, in V/s."""

_BAND: Final = 64
"""Lines of an image that are computed at once."""


class SimulatedController:
    """Fulfils `protocols.Controller` without a microscope.

    Parameters
    ----------
    surface : Surface, optional
        EuZn2As2 of the same ``seed`` if not given.
    seed : int
        Of the noise: the n-th measurement of a kind always has the same, whatever else is done beside it.
    profile : str or Profile
        State of the instrument: ``"ideal"``, ``"good_day"``, ``"bad_day"``, or your own.
    clock : Clock, optional
        Lets the time pass that each act takes; simulated time if not given.
    name : str
    """

    capabilities = frozenset(Capability)
    ranges = RANGES

    def __init__(
        self,
        surface: Surface | None = None,
        *,
        seed: int = 0,
        profile: str | Profile = "good_day",
        clock: Clock | None = None,
        name: str = "simulated",
    ) -> None:
        if isinstance(profile, str) and profile not in PROFILES:
            raise UnknownNameError.among("profile", profile, PROFILES)
        self.name, self.seed = name, seed
        self.surface = surface or Surface(seed=seed)
        self.profile = PROFILES[profile] if isinstance(profile, str) else profile
        self._instrument = Instrument(self.surface, self.profile)
        self._junction = Junction(self._instrument, self.surface.sample.reference)
        self._clock = clock or InstantClock()
        self._noise = NoiseSource(seed)
        self._gains = FeedbackGains(proportional=0.0273, integral=87.8)
        response = self.profile.modulation * self.profile.lockin_response
        self._lockin = LockInSettings(self.profile.modulation, 977.1, response, self.profile.lockin_offset)
        self._acting, self._stopped = threading.RLock(), threading.Event()
        self.image_under_way: Floats = np.full((0, 0), np.nan)
        """The image being scanned, for those who look on: its lines are valid as far as ``progress`` was told."""

    # ---- what it says of itself ----

    def now(self) -> float:
        """Time of the clock, in s."""
        return self._clock.now()

    def source(self, signal: str) -> str:
        """``"simulated:bias"``."""
        return f"{self.name}:{signal}"

    def describe(self) -> dict[str, Any]:
        """Name, surface, seed of the noise and every number of the profile."""
        return {"name": self.name, "surface": self.surface.describe(), "seed": self.seed, "profile": asdict(self.profile)}

    def locations(self) -> Floats | None:
        """A spectrum can be had anywhere."""
        return None

    # ---- what is read ----

    def get_bias(self) -> float:
        """Bias now, in V."""
        return self._junction.setpoint.bias

    def get_setpoint(self) -> Setpoint:
        """Bias and current that the closed feedback keeps."""
        return self._junction.setpoint

    def get_feedback(self) -> bool:
        """Whether the feedback is closed."""
        return self._junction.feedback

    def get_gains(self) -> FeedbackGains:
        """Gains of the feedback."""
        return self._gains

    def get_lockin(self) -> LockInSettings:
        """Settings of the lock-in; gain and offset as they were calibrated."""
        return self._lockin

    def get_drift(self) -> tuple[float, float]:
        """Drift that is compensated, in nm/s."""
        return self._junction.piezo.compensation

    def get_tip(self) -> TipState:
        """Where the tip was asked to be, and its height."""
        return TipState(*self._junction.asked, self._junction.z)

    def read_current(self) -> float:
        """Tunneling current now, in nA, with the noise of a point of a spectrum."""
        current, profile = self._junction.current(self.now()), self.profile
        spread = math.hypot(profile.current_white, profile.junction * current)
        noisy = current + profile.current_offset + spread * self._noise.next("current").standard_normal()
        return float(np.clip(noisy, -profile.preamp_range, profile.preamp_range))

    # ---- what is set ----

    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V; a closed feedback follows, into the surface where nothing carries the current."""
        self._check(bias=bias)
        with self._act():
            self._pass_time(abs(bias - self.get_bias()) / SLEW)
            self._set(Setpoint(float(bias), self.get_setpoint().current))

    def set_setpoint_current(self, current: float) -> None:
        """Current, in nA, that the feedback keeps."""
        self._check(setpoint=current)
        with self._act():
            self._set(Setpoint(self.get_bias(), float(current)))

    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback; opened, z stays where it is. A withdrawn tip must `approach` first."""
        with self._act():
            if on and self._junction.withdrawn:
                raise STMError("The tip is withdrawn, the feedback stays open. Call approach().")
            self._junction.feedback = on
            self._junction.settle(self.now())

    def set_gains(self, gains: FeedbackGains) -> None:
        """Change the gains of the feedback."""
        self._gains = gains

    def set_lockin(self, settings: LockInSettings) -> None:
        """Change the settings of the lock-in."""
        self._lockin = settings

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s."""
        with self._act():
            self._junction.piezo.compensate(velocity, self.now())

    # ---- what moves ----

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line; ended by `stop`, the tip stays on the way.

        Raises
        ------
        TipCrashError
            When the feedback is open and the surface is in the way.
        """
        self._check(x=point[0], y=point[1], **({} if speed is None else {"speed": speed}))
        with self._act():
            start, distance = np.array(self._junction.asked), math.dist(self._junction.asked, point)
            steps = max(1, math.ceil(distance))
            way = self._pass_time(distance / (speed or SPEED), steps) / steps
            self._junction.go_to(Point(*(start + way * (np.array(point) - start))) if way < 1 else point, self.now())
        if way < 1:
            x, y = self._junction.asked
            raise MotionStoppedError(
                f"The tip was stopped at ({x:.3f}, {y:.3f}) nm, {way:.0%} of the way. Ask for the move again."
            )

    def withdraw(self) -> None:
        """Pull the tip back to the end of its range; `stop` does not end it."""
        with self._act():
            self._junction.withdraw()
            self._clock.sleep(1.0)

    def approach(self) -> None:
        """Bring a withdrawn tip back, and close the feedback."""
        with self._act():
            self._clock.sleep(5.0)
            self._junction.close_feedback(self.now())

    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias, V for s; the feedback stands open meanwhile."""
        self._check(bias=bias)
        with self._act():
            self._clock.sleep(width)

    def stop(self) -> None:
        """End motion, scan and sweep, hold still; the feedback is closed unless the tip is withdrawn."""
        self._stopped.set()
        if self._acting.acquire(blocking=False):
            try:
                if not self._junction.withdrawn:
                    self._junction.close_feedback(self.now())
            finally:
                self._acting.release()

    def close(self) -> None:
        """End what is under way; there is nothing to let go of."""
        self.stop()

    # ---- what is measured ----

    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take a topograph; ended by `stop` it comes back INCOMPLETE, unmeasured rows NaN."""
        self._check_frame(frame)
        with self._act():
            self._check_contact()
            started, rng = self.now(), self._noise.next("scan")
            line = frame.pixels[1] * PIXEL_TIME if line_time is None else line_time
            height = self.image_under_way = np.full(frame.pixels, np.nan)
            places = frame.points()
            noise = image_noise(rng, frame, self.profile, line) + (places - frame.center) @ self.profile.tilt
            if self.profile.converter:
                noise += converter_lines(places, min(frame.pixel_size), self.profile.converter)
            for first in range(0, frame.pixels[0], _BAND):
                band = slice(first, min(first + _BAND, frame.pixels[0]))
                rows = self._followed(places[band], started + 2 * line * np.arange(frame.pixels[0])[band]) + noise[band]
                told = None if progress is None else _shifted(progress, first, frame.pixels[0])
                height[band] = rows
                done = self._pass_time(2 * line * len(rows), len(rows), told)
                height[first + done : first + len(rows)] = np.nan
                if done < len(rows):
                    break
            self._rest_at(frame, int(np.isfinite(height[:, 0]).sum()))
            quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
            return Topograph(frame, height, self.get_setpoint(), started, quality)

    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias where the tip stands; ended by `stop` it comes back INCOMPLETE, padded with NaN."""
        self._check(bias=settings.start)
        self._check(bias=settings.stop)
        with self._act(), self._at_setpoint(settings.setpoint):
            self._check_contact()
            started = self.now()
            point, place, held = self._junction.asked, self._junction.place(started), self._junction.feedback
            z = None if held else self._junction.z
            rng = self._noise.next("sweep")
            reading = self._instrument.spectra(place, settings, self.get_setpoint(), self._lockin, rng, z)
            once = (settings.settle + settings.integrate) * settings.averages * (2 if settings.backward else 1)
            self._clock.sleep(SWEEP_OVERHEAD, self._stopped)
            done = self._pass_time(settings.points * once, settings.points, progress)
            return self._spectrum(point, settings, reading, self.get_setpoint(), started, done)

    def grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """A CITS grid, measured as one act that cannot be stopped; drift and creep are left out."""
        self._check_frame(frame)
        with self._act():
            self._check_contact()
            started, rng = self.now(), self._noise.next("grid")
            once = (settings.settle + settings.integrate) * settings.averages * (2 if settings.backward else 1)
            self._clock.sleep(math.prod(frame.pixels) * (SWEEP_OVERHEAD + settings.points * once))
            return self._gridded(frame, settings, rng, started)

    def spectra(self, places: Floats, settings: SweepSettings) -> Reading:
        """Spectra at the places (n, 2) in nm, noise included, without moving there: many at once, for tests and benchmarks."""
        setpoint = settings.setpoint or self.get_setpoint()
        return self._instrument.spectra(places, settings, setpoint, self._lockin, self._noise.next("spectra"))

    # ---- the truth, for tests and benchmarks ----

    def truth_grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """What an instrument without noise would measure at every pixel of ``frame``: for dense maps of the truth."""
        return self._gridded(frame, settings, None, self.now())

    def truth_topograph(self, frame: Frame) -> Topograph:
        """What a scan without noise, drift and creep would show."""
        setpoint = self.get_setpoint()
        return Topograph(frame, self._instrument.image(frame.points(), setpoint), setpoint, self.now())

    # ---- inside ----

    def _gridded(self, frame: Frame, settings: SweepSettings, rng: np.random.Generator | None, started: float) -> Grid:
        setpoint = settings.setpoint or self.get_setpoint()
        current, x, y = np.empty((3, *frame.pixels, settings.points))
        height = np.empty(frame.pixels)
        for row, places in enumerate(frame.points()):
            reading = self._instrument.spectra(places, settings, setpoint, self._lockin, rng)
            current[row], x[row], y[row], height[row] = reading.current, reading.lockin_x, reading.lockin_y, reading.height
        return Grid(frame, settings.bias, current, x, y, self._lockin.didv(x), height, setpoint, started)

    def _followed(self, places: Floats, times: Floats) -> Floats:
        """Heights of some lines (rows, columns, 2) of an image that begin at ``times``, where drift and creep take the tip."""
        moved = places + self._junction.piezo.displacement(times)[:, None]
        return self._instrument.image(moved, self.get_setpoint()) + self.profile.z_drift * times[:, None]

    def _spectrum(
        self, point: Point, settings: SweepSettings, reading: Reading, setpoint: Setpoint, started: float, done: int
    ) -> Spectrum:
        current, x, y = (
            np.where(np.arange(settings.points) < done, a[0], np.nan)
            for a in (reading.current, reading.lockin_x, reading.lockin_y)
        )
        quality = reading.quality | (Quality.INCOMPLETE if done < settings.points else Quality.GOOD)
        z = float(reading.height[0])
        return Spectrum(point, settings.bias, current, x, y, self._lockin.didv(x), setpoint, started, z, quality)

    def _set(self, setpoint: Setpoint) -> None:
        self._junction.setpoint = setpoint
        self._junction.settle(self.now())

    def _rest_at(self, frame: Frame, lines: int) -> None:
        """The tip rests at the start of the last line."""
        x, y = frame.to_sample((max(lines - 1, 0), 0))
        self._junction.go_to(Point(float(x), float(y)), self.now())

    def _check(self, **values: float) -> None:
        for name, value in values.items():
            low, high = RANGES[name]
            if not low <= value <= high:
                raise LimitError(
                    f"{name} = {value:g} is outside what this microscope can do, {low:g} to {high:g}. Nothing has moved. "
                    "Ask for a value inside."
                )

    def _check_frame(self, frame: Frame) -> None:
        for x, y in frame.corners:
            self._check(x=x, y=y)

    def _check_contact(self) -> None:
        if self._junction.withdrawn:
            raise STMError("The tip is withdrawn: nothing was measured. Approach first.")

    @contextmanager
    def _act(self) -> Iterator[None]:
        """One act at a time; a `stop` ends this one and not the next."""
        with self._acting:
            self._stopped.clear()
            yield

    @contextmanager
    def _at_setpoint(self, setpoint: Setpoint | None) -> Iterator[None]:
        """What stood before comes back, after a fault too."""
        if setpoint is None:
            yield
            return
        before = self.get_setpoint()
        self._check(bias=setpoint.bias, setpoint=setpoint.current)
        self._set(setpoint)
        try:
            yield
        finally:
            self._set(before)

    def _pass_time(self, seconds: float, steps: int = 1, progress: Progress | None = None) -> int:
        """Let the time of an act pass step by step; how many were done when it was over or stopped."""
        if progress is None and isinstance(self._clock, InstantClock):
            self._clock.sleep(seconds)
            return steps
        for done in range(steps):
            self._clock.sleep(seconds / steps, self._stopped)
            if self._stopped.is_set():
                return done
            if progress:
                progress(done + 1, steps)
        return steps


def _shifted(progress: Progress, first: int, total: int) -> Callable[[int, int], None]:
    return lambda done, _: progress(first + done, total)
