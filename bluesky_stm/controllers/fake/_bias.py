"""The bias of the scripted microscope."""

from __future__ import annotations

from typing import Final

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart

STEPS: Final = 10
"""Steps of a bias ramp."""


class FakeBias(FakePart):
    """Fulfils `protocols.BiasControl`."""

    @asked
    def get_bias(self) -> float:
        """Return the bias, in V."""
        return self.state.bias

    @asked
    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V."""
        with self.script.acting():
            for share in self.script.moves("ramp_bias", STEPS):
                self.state.bias += (bias - self.state.bias) * share
