"""The answers of a recording: an image of a frame, the spectrum of a place, and nothing that was not measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from bluesky_stm.errors import FileFormatError, LimitError, NotCapableError
from bluesky_stm.files import RecordedRun, Sweeps, fingerprint, read
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import About, Grid, Quality, Spectrum
from bluesky_stm.protocols import LockInSettings, SweepSettings, ZSweepSettings


@dataclass(frozen=True, kw_only=True)
class RecordedLockIn(LockInSettings):
    """Gain and offset of a recorded channel, and of its modulation what the file says.

    Attributes
    ----------
    recorded_gain : float
        In V; NaN where no lock-in was recorded.
    """

    amplitude: float = math.nan
    frequency: float = math.nan
    phase: float = math.nan
    on: bool = False
    recorded_gain: float = math.nan

    def turned(self, harmonic: int = 1, phase: float | None = None) -> float:
        """Return 0: whoever recorded it had set the phase."""
        return 0.0

    def length(self, harmonic: int = 1) -> float:
        """Return the recorded gain, in V."""
        return self.recorded_gain


class Recording:
    """A run or a dense grid, asked by place.

    Parameters
    ----------
    run : RecordedRun
    origin : dict, optional
        File and hash, for the start document.
    """

    def __init__(self, run: RecordedRun, origin: dict[str, str] | None = None) -> None:
        self.run, self.origin = run, origin or {}
        self.about = run.about or About()
        self.frame = run.topograph.frame
        self.places = np.array([spectrum.position for spectrum in run.spectra])

    @classmethod
    def of(cls, source: str | Path | RecordedRun | Grid | Sweeps, didv: str = "") -> Self:
        """Make a recording from a file or folder, or from what was read from one.

        Parameters
        ----------
        source : path, RecordedRun, Grid or Sweeps
            Whose spectra answer.
        didv : str
            Name of the channel of a file that becomes dI/dV; empty to look for one.

        Raises
        ------
        FileFormatError
            When it holds no spectra of different places with a topograph.
        """
        if not isinstance(source, (str, Path)):
            return cls(_as_run(source))
        return cls(_as_run(read(source, didv=didv)), fingerprint(source))

    @property
    def times(self) -> dict[str, float]:
        """Times at each bias that were recorded, in s: ``settle`` and ``integrate`` of `SweepSettings`, or one of them."""
        return {key: self.about.further[key] for key in ("settle", "integrate") if key in self.about.further}

    @property
    def sweep(self) -> SweepSettings:
        """The recorded sweep, the only one that answers; times that were not recorded are those of a usual sweep."""
        bias = self.run.bias
        return SweepSettings(
            start=round(float(bias[0]), 6),
            stop=round(float(bias[-1]), 6),
            points=len(bias),
            settle=self.times.get("settle", SweepSettings.settle),
            integrate=self.times.get("integrate", SweepSettings.integrate),
        )

    @cached_property
    def z_sweep(self) -> ZSweepSettings | None:
        """The recorded z sweep, the only one that answers; None where no spectrum has one beside it.

        It is that of the first spectrum that has one; those that differ are refused where they are asked for.
        """
        first = next((spectrum.z_sweep for spectrum in self.run.spectra if spectrum.z_sweep), None)
        if first is None:
            return None
        ends = round(float(first.distance[0]), 6), round(float(first.distance[-1]), 6)
        return ZSweepSettings(*ends, points=len(first.distance))

    @property
    def reach(self) -> float:
        """Distance, in nm, at which a place still belongs to a spectrum: half the diagonal of a pixel."""
        return math.hypot(*self.frame.pixel_size) / 2 * (1 + 1e-9)

    @cached_property
    def lockin(self) -> RecordedLockIn:
        """Gain and offset between lock-in and dI/dV as recorded; what is not known is NaN."""
        calibration = self.about.calibration
        if calibration and np.isfinite(calibration.gain) and not calibration.refused:
            return self._lockin(calibration.gain, calibration.offset)
        for spectrum in self.run.spectra:  # what this package wrote has dI/dV beside the lock-in
            seen = np.isfinite(spectrum.lockin_x + spectrum.didv)
            if seen.sum() > 1 and not spectrum.quality & Quality.OF_LOCKIN:
                gain, offset = np.polyfit(spectrum.didv[seen], spectrum.lockin_x[seen], 1)
                return self._lockin(float(gain), float(offset))
        return RecordedLockIn()

    def _lockin(self, gain: float, offset: float) -> RecordedLockIn:
        amplitude, frequency = self.about.amplitude, self.about.frequency
        return RecordedLockIn(amplitude=amplitude, frequency=frequency, offset=offset, recorded_gain=gain, on=True)

    def height_at(self, point: Point) -> float:
        """Return the recorded height at the nearest pixel, in nm.

        Parameters
        ----------
        point : Point
            Place, in nm; outside of the frame the pixel at its edge counts.
        """
        last = np.array(self.frame.pixels) - 1
        row, column = np.clip(np.rint(self.frame.to_pixel(point)).astype(int), 0, last)
        return float(self.run.topograph.height[row, column])

    def spectrum_at(self, point: Point) -> Spectrum:
        """Return the spectrum recorded nearest to a place, within `reach`; the first one where several are equally near.

        Raises
        ------
        NotCapableError
            When none was recorded there.
        """
        distances = np.hypot(*(self.places - point).T)
        nearest = self.run.spectra[int(np.argmin(distances))]
        if not distances.min() <= self.reach:
            raise NotCapableError(
                f"No spectrum was recorded within {self.reach:.3g} nm of ({point.x:.3f}, {point.y:.3f}) nm. The nearest is "
                f"{distances.min():.3g} nm away, at ({nearest.position.x:.3f}, {nearest.position.y:.3f}) nm. Nothing was "
                "swept. Go there, or choose among locations()."
            )
        return nearest

    def image(self, frame: Frame) -> Floats:
        """Heights in a frame, in nm: the recorded ones where it is the recorded frame, else interpolated between them.

        Raises
        ------
        LimitError
            When the frame reaches outside the recorded one.
        """
        from scipy.ndimage import map_coordinates

        own, height = self.frame, self.run.topograph.height
        if frame == own:
            return height.copy()
        beyond = np.abs(own.to_pixel(frame.corners) - (np.array(own.pixels) - 1) / 2) - np.array(own.pixels) / 2
        excess = (beyond * own.pixel_size).max()
        if excess > 1e-6:
            raise LimitError(
                f"The frame of {frame.size[0]:g} x {frame.size[1]:g} nm at ({frame.center.x:g}, {frame.center.y:g}) nm reaches "
                f"{excess:.3g} nm out of the recorded one of {own.size[0]:g} x {own.size[1]:g} nm at ({own.center.x:g}, "
                f"{own.center.y:g}) nm. Nothing was scanned. Choose a frame inside."
            )
        return map_coordinates(height, np.moveaxis(own.to_pixel(frame.points()), -1, 0), order=1, mode="nearest")


def _as_run(data: object) -> RecordedRun:
    if isinstance(data, Sweeps):
        data = data.cits()
    if isinstance(data, Grid):
        data = RecordedRun.of_grid(data)
    if not isinstance(data, RecordedRun) or not data.spectra:
        raise FileFormatError(
            f"This is no grid and no run: a {type(data).__name__.lower()} does not hold spectra of different places. "
            "Choose a .3ds grid of bias sweeps, a run, or a folder with an image and the spectra in it."
        )
    return data
