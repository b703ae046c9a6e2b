"""The drift compensation of the scripted microscope."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.protocols import DriftControl


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
