"""The current of the scripted microscope."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.protocols import CurrentReadout


class FakeCurrent(FakePart, CurrentReadout):
    """Fulfils `protocols.CurrentReadout`."""

    @override
    @asked
    def read_current(self) -> float:
        """Return the tunneling current, in nA.

        It is that of the set point with the sign of the bias while the feedback is closed, and 0 for a withdrawn tip. While the
        feedback is open it is the magnitude of the set point's current, whatever the bias: the gap is not simulated.
        """
        return 0.0 if self.state.withdrawn else self.state.ohmic()
