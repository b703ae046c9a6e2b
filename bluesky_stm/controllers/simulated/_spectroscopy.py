"""Spectra and grids of the simulated microscope."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.controllers.simulated._detection import Reading
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Grid, Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Progress, Spectroscopy, SweepSettings, TipShape
from bluesky_stm.validated import JSON

SWEEP_OVERHEAD: Final = 0.936
"""Time for a spectrum besides its points, in s: with 121 points of 14 ms it takes 2.63 s, as published."""

SETTLED: Final = 3
"""Time constants of the lock-in that a dwell time has to last: then 5 % of the step from the bias before are left."""

_TOGETHER: Final = 512
"""Spectra of a grid that are computed at once."""


class SimulatedSpectroscopy(Spectroscopy):
    """Fulfils `protocols.Spectroscopy`; beside it, grids as one act, many spectra at once, and the truth."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias where the tip stands; ended by `stop` it comes back INCOMPLETE, padded with NaN.

        Raises
        ------
        TipCrashError
            When the tip, moved by ``z_offset``, touches the surface, or the field between them pulls it there.
        """
        bench, junction = self._bench, self._bench.junction
        self._check_dwell(settings)
        with bench.acts.one(), bench.at_setpoint(settings.setpoint):
            bench.check_contact()
            # Counted before the tip can crash: the noise of the next sweep is the same whether it does or not.
            started, rng = bench.now(), bench.noise.next("sweep")
            point, place, setpoint = junction.asked, junction.place(started), junction.setpoint
            z = None if junction.feedback else junction.undrifted(started)
            height = junction.height_drift
            open_for = settings.point_time / (1 + settings.backward) * np.arange((1 + settings.backward) * settings.points)
            rise = height.rise(started + open_for) - height.rise(started)
            reading = self._read(place, settings, setpoint, started, rng, z, rise)
            # The gap is known with the reading alone; a tip that crashes has spent no time yet, and the reading is thrown away.
            junction.check_apart(float(reading.gap[0]), f"A z offset of {settings.z_offset:g} nm", started)
            junction.check_field(max(settings.start, settings.stop, key=abs), float(reading.gap[0]), started)
            bench.acts.take(SWEEP_OVERHEAD)
            done = bench.acts.take(settings.seconds, settings.points, progress)
            # After the time, as `stop` may have ended it: only the part that was swept has worn the tip.
            if change := float(reading.change(done)[0]):
                junction.wear(change, bench.now())
            return self._spectrum(point, settings, reading, setpoint, started, done)

    @override
    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias to change the tip, the feedback open meanwhile.

        Below the profile's ``treatment_bias`` nothing follows. From there on the tip may change, for better or worse, and it
        leaves debris where it stands.

        Parameters
        ----------
        bias : float
            Height of the pulse, in V; only its magnitude counts.
        width : float
            Duration of the pulse, in s; only time passes with it.

        Raises
        ------
        STMError
            When the tip is withdrawn. Nothing was done.
        """
        with self._bench.acts.one():
            self._bench.check_contact()
            self._bench.acts.clock.sleep(width)
            if abs(bias) >= self._bench.profile.treatment_bias:
                self._bench.junction.treat(self._bench.now(), "pulse")

    @override
    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip into the surface to change it.

        A dip that is less deep than the gap does not reach the surface, and nothing follows from it. One that reaches it may
        change the tip, for better or worse, and leaves debris there.

        Parameters
        ----------
        shape : TipShape
            Its depth (nm) is compared with the gap, and its hold time (s) passes; bias and lift have no effect.

        Raises
        ------
        STMError
            When the tip is withdrawn. Nothing was done.
        """
        with self._bench.acts.one():
            self._bench.check_contact()
            self._bench.acts.clock.sleep(shape.hold)
            if shape.depth > self._bench.junction.gap(self._bench.now()):
                self._bench.junction.treat(self._bench.now(), "dip")

    def grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """Measure a CITS grid as one act that cannot be stopped; drift, creep and changes of the tip are left out.

        Parameters
        ----------
        frame : Frame
            Region (nm) and pixels, with a spectrum at each.
        settings : SweepSettings
            The sweep.

        Raises
        ------
        SettingsError
            When the lock-in cannot follow the bias. Nothing was swept.
        STMError
            When the tip is withdrawn.
        """
        self._check_dwell(settings)
        with self._bench.acts.one():
            self._bench.check_contact()
            started, rng = self._bench.now(), self._bench.noise.next("grid")
            spectrum = SWEEP_OVERHEAD + settings.seconds
            self._bench.acts.clock.sleep(math.prod(frame.pixels) * spectrum)
            return self._gridded(frame, settings, rng, started)

    def spectra(self, places: Floats, settings: SweepSettings) -> Reading:
        """Spectra at the places (n, 2) in nm, noise included, without moving there: many at once, for tests and benchmarks.

        Of the harmonics of the lock-in they have the first alone.
        """
        bench, junction = self._bench, self._bench.junction
        setpoint, tip, rng = settings.setpoint or junction.setpoint, junction.tips.at(bench.now()), bench.noise.next("spectra")
        return junction.instrument.spectra(places, settings, setpoint, bench.lockin, tip, rng, harmonics=1)

    # ---- the truth, for tests and benchmarks ----

    def truth_grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """Return what an instrument without noise would measure at every pixel of a frame: a dense map of the truth.

        Parameters
        ----------
        frame : Frame
            Region (nm) and pixels.
        settings : SweepSettings
            The sweep.
        """
        return self._gridded(frame, settings, None, self._bench.now())

    def truth_topograph(self, frame: Frame) -> Topograph:
        """Return what a scan without noise, drift, creep and lag would show, at the set point as it stands.

        Parameters
        ----------
        frame : Frame
            Region (nm) and pixels.
        """
        junction = self._bench.junction
        height = junction.instrument.image(frame.points(), junction.setpoint, junction.tips.tip)
        return Topograph(frame, height, setpoint=junction.setpoint, time=self._bench.now())

    # ---- inside ----

    def _read(
        self,
        places: Floats,
        settings: SweepSettings,
        setpoint: Setpoint,
        time: float,
        rng: np.random.Generator | None,
        z: float | None = None,
        rise: Floats | None = None,
    ) -> Reading:
        junction = self._bench.junction
        tip = junction.tips.at(time)
        return junction.instrument.spectra(places, settings, setpoint, self._bench.lockin, tip, rng, z, rise)

    def _gridded(self, frame: Frame, settings: SweepSettings, rng: np.random.Generator | None, started: float) -> Grid:
        setpoint = settings.setpoint or self._bench.junction.setpoint
        channels: JSON = {}
        height, places = np.empty(frame.pixels), frame.points()
        band = max(1, _TOGETHER // frame.pixels[1])
        for first in range(0, frame.pixels[0], band):
            rows = slice(first, first + band)
            reading = self._read(places[rows].reshape(-1, 2), settings, setpoint, started, rng)
            for name, part in reading.channels(self._bench.lockin).items():
                whole = channels.setdefault(name, np.empty((*frame.pixels, settings.points)))
                whole[rows] = part.reshape(whole[rows].shape)
            height[rows] = reading.height.reshape(height[rows].shape)
        return Grid(
            frame=frame,
            bias=settings.bias,
            **channels,
            height=height,
            setpoint=setpoint,
            time=started,
            quality=self._modulation(),
        )

    def _spectrum(
        self, point: Point, settings: SweepSettings, reading: Reading, setpoint: Setpoint, started: float, done: int
    ) -> Spectrum:
        back = self._channels(reading.backward, done) if reading.backward else {}
        quality = reading.quality | self._modulation() | (Quality.INCOMPLETE if done < settings.points else Quality.GOOD)
        z = float(reading.height[0] + self._bench.junction.height_drift.rise(started))
        return Spectrum(
            position=point,
            bias=settings.bias,
            **self._channels(reading, done),
            setpoint=setpoint,
            time=started,
            z=z,
            quality=quality,
            backward=back,
        )

    def _channels(self, reading: Reading, done: int) -> JSON:
        """Return the channels of the first spectrum by name; NaN from point ``done`` on."""
        channels = {name: values[0].copy() for name, values in reading.channels(self._bench.lockin).items()}
        for values in channels.values():
            values[done:] = np.nan
        return channels

    def _check_dwell(self, settings: SweepSettings) -> None:
        """Refuse a dwell time in which the lock-in cannot follow the bias."""
        bench, dwell = self._bench, settings.dwell
        bench.lockin.check_dwell(dwell)
        slow = bench.profile.lockin_time
        if bench.lockin.modulated and dwell < SETTLED * slow:
            raise SettingsError(
                f"The dwell time of {dwell:g} s at each bias is {dwell / slow:.2g} time constants of the lock-in: dI/dV would "
                f"lag behind the bias. Nothing was swept. Let settle and integrate last {SETTLED * slow:.2g} s at least, or "
                "switch the lock-in off."
            )

    def _modulation(self) -> Quality:
        return Quality.GOOD if self._bench.lockin.modulated else Quality.UNMODULATED
