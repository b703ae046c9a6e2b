"""The drift compensation of the scripted microscope."""

from __future__ import annotations

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart


class FakeDrift(FakePart):
    """Fulfils `protocols.DriftControl`."""

    @asked
    def get_drift(self) -> tuple[float, float]:
        """Return the drift that is compensated, in nm/s."""
        return self.state.drift

    @asked
    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s."""
        self.state.drift = velocity
