"""The current of the scripted microscope."""

from __future__ import annotations

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart


class FakeCurrent(FakePart):
    """Fulfils `protocols.CurrentReadout`."""

    @asked
    def read_current(self) -> float:
        """Return the current, in nA."""
        return 0.0 if self.state.withdrawn else self.state.ohmic()
