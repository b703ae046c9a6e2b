"""I(z) of the scripted microscope, which falls as over a barrier of 3.8 eV.

The bias does not matter: its junction is ohmic.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._spectroscopy import DECAY
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.measurements import Quality, ZSpectrum
from bluesky_stm.protocols import Progress, ZSpectroscopy, ZSweepSettings


class FakeZSpectroscopy(FakePart, ZSpectroscopy):
    """Fulfils `protocols.ZSpectroscopy`; what it falls by with the distance is `DECAY`.

    It goes point by point, so that a test can let it fail or stop it in between.
    """

    @override
    @asked
    def z_sweep(self, settings: ZSweepSettings, progress: Progress | None = None) -> ZSpectrum:
        state, begun, current = self.state, self.state.time, np.full(settings.points, np.nan)
        setpoint = settings.setpoint or state.setpoint
        at_zero = 0.0 if state.withdrawn else float(np.copysign(setpoint.current, setpoint.bias))
        with self.script.acting(), self._open():
            for point in self.script.steps("z_sweep", settings.points):
                if self.script.halt.is_set():
                    break
                current[point] = at_zero * np.exp(-DECAY * settings.distance[point])
                state.time += settings.dwell * settings.averages
                if progress:
                    progress(point + 1, settings.points)
        quality = Quality.INCOMPLETE if np.isnan(current).any() else Quality.GOOD
        return ZSpectrum(
            position=state.place,
            distance=settings.distance,
            current=current,
            setpoint=setpoint,
            time=begun,
            z=state.height,
            quality=quality | (Quality.LOST_CONTACT if state.withdrawn else Quality.GOOD),
        )

    @contextmanager
    def _open(self) -> Iterator[None]:
        before, self.state.feedback = self.state.feedback, False
        try:
            yield
        finally:
            self.state.feedback = before and not self.state.withdrawn
