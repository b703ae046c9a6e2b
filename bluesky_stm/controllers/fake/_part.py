"""The scripted microscope as a part."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from bluesky_stm.controllers.base import ControllerPart
from bluesky_stm.controllers.fake._controller import FakeController
from bluesky_stm.parts import setting


class Fake(ControllerPart):
    """An ideal microscope on a gently waved metal, for tests: it does what a script tells it."""

    real: ClassVar[bool] = False

    name: str = "fake"
    steps: int = setting(10, "", "Number of steps in which a move is made.", ge=1)

    @override
    def open(self) -> FakeController:
        return FakeController(steps=self.steps)
