"""The bias of the scripted microscope."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.protocols import BiasControl

STEPS: Final = 10
"""Steps of a bias ramp."""


class FakeBias(FakePart, BiasControl):
    """The bias of the scripted microscope; a ramp is made in `STEPS`, between which it can be stopped."""

    @override
    @asked
    def get_bias(self) -> float:
        return self.state.bias

    @override
    @asked
    def ramp_bias(self, bias: float) -> None:
        with self.script.acting():
            for share in self.script.moves("ramp_bias", STEPS):
                self.state.bias += (bias - self.state.bias) * share
