"""Spectra of the scripted microscope, of an ohmic junction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.protocols import NativeGrids, Progress, Spectroscopy, SweepSettings, TipShape

DISPLACEMENT: Final = 0.001
"""Displacement current of a sweep, in nA: added on the way forth, taken off on the way back."""

DECAY: Final = 20.0
"""How steeply the logarithm of the current falls with the gap, in 1/nm: nearly a decade for each 0.1 nm."""


class FakeSpectroscopy(FakePart, Spectroscopy):
    """Fulfils `protocols.Spectroscopy`."""

    @override
    @asked
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias across an ohmic junction.

        The conductance is that of the set point, larger or smaller by the z offset of the sweep, 0 for a withdrawn tip. Forth
        and back differ by the displacement current, which cancels in their average.

        Parameters
        ----------
        settings : SweepSettings
            Range (V), points, times (s) and z offset (nm) of the sweep; they set how far its own clock runs.
        progress : callable, optional
            Called with the number of finished points and of all points.

        Returns
        -------
        Spectrum
            When `stop` ended the sweep it has the flag INCOMPLETE and is padded with NaN.
        """
        with self.script.acting():
            return self.swept(settings, self.script.steps("sweep", settings.points), progress)

    def swept(self, settings: SweepSettings, steps: Iterable[int], progress: Progress | None = None) -> Spectrum:
        """Sweep where the tip stands, within an act.

        Parameters
        ----------
        settings : SweepSettings
            The sweep.
        steps : iterable of int
            Yields the number of each point when its turn has come.
        progress : callable, optional
            Called with the number of finished points and of all points.
        """
        state, bias, current = self.state, settings.bias, np.full(settings.points, np.nan)
        setpoint, begun = settings.setpoint or state.setpoint, state.time
        closeness = math.exp(-DECAY * settings.z_offset)
        conductance = 0.0 if state.withdrawn else setpoint.current / abs(setpoint.bias) * closeness
        with self._holding():
            for point in steps:
                if self.script.halt.is_set():
                    break
                state.bias = bias[point]
                current[point] = conductance * bias[point]
                state.time += settings.point_time
                if progress:
                    progress(point + 1, settings.points)
        x, y = state.lockin.demodulated(1, np.where(np.isnan(current), np.nan, conductance))
        x = x + state.lockin.offset
        didv = state.lockin.didv(x, y)
        back = {"current": current - DISPLACEMENT, "lockin_x": x, "lockin_y": y, "didv": didv}
        quality = Quality.INCOMPLETE if np.isnan(current).any() else Quality.GOOD
        quality |= Quality.GOOD if state.lockin.modulated else Quality.UNMODULATED
        return Spectrum(
            position=state.place,
            bias=bias,
            current=current,
            lockin_x=x,
            lockin_y=y,
            didv=didv,
            setpoint=setpoint,
            time=begun,
            z=state.height + settings.z_offset,
            quality=quality | (Quality.LOST_CONTACT if state.withdrawn else Quality.GOOD),
            backward=back if settings.backward else {},
        )

    @override
    @asked
    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias; nothing follows from it."""

    @override
    @asked
    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip; nothing follows from it."""

    @contextmanager
    def _holding(self) -> Iterator[None]:
        before = self.state.bias, self.state.feedback
        self.state.feedback = False
        try:
            yield
        finally:
            self.state.bias, self.state.feedback = before[0], before[1] and not self.state.withdrawn


class FakeGrids(FakePart, NativeGrids):
    """Fulfils `protocols.NativeGrids`."""

    @override
    @asked
    def sweep_grid(self, frame: Frame, settings: SweepSettings, progress: Progress | None = None) -> list[Spectrum]:
        """Sweep in each pixel; ended by `stop` before some, the spectra of the others come back.

        Parameters
        ----------
        frame : Frame
            Its pixels are the places.
        settings : SweepSettings
            Each sweep.
        progress : callable, optional
            Called with the number of finished spectra and of all spectra.
        """
        places, sweeps, taken = frame.points().reshape(-1, 2), FakeSpectroscopy(self.script, self.state), []
        with self.script.acting():
            for number in self.script.steps("sweep_grid", len(places)):
                if self.script.halt.is_set():
                    break
                self.state.place = Point(*places[number].tolist())
                taken.append(sweeps.swept(settings, range(settings.points)))
                if progress:
                    progress(number + 1, len(places))
        return taken
