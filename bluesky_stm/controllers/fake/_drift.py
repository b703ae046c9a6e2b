"""The drift compensation of the scripted microscope, and a feature that it holds."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.protocols import AtomTracking, DriftControl


class FakeDrift(FakePart, DriftControl):
    """Fulfils `protocols.DriftControl`."""

    @override
    @asked
    def get_drift(self) -> tuple[float, float]:
        return self.state.drift

    @override
    @asked
    def set_drift(self, velocity: tuple[float, float]) -> None:
        self.state.drift = velocity


HELD = 50
"""Places that holding a feature gives."""


class FakeTracking(FakePart, AtomTracking):
    """Fulfils `protocols.AtomTracking`: the tip goes with the surface."""

    @override
    @asked
    def track(self, seconds: float) -> Floats:
        state, places = self.state, []
        left = np.subtract(state.wanders, state.drift)
        with self.script.acting():
            for _ in self.script.steps("track", HELD):
                if self.script.halt.is_set():
                    break
                state.time += seconds / HELD
                state.place = Point(*(np.array(state.place) + left * seconds / HELD).tolist())
                places.append((state.time, *state.place))
        return np.array(places).reshape(-1, 3)
