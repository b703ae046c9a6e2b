"""The moves of the scripted tip."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from bluesky_stm.controllers.fake._script import Script, asked
from bluesky_stm.controllers.fake._state import FakePart, FakeState
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipControl, TipState

SPEED: Final = 100.0
"""Speed of a move where none is asked for, in nm/s."""


class FakeTip(FakePart, TipControl):
    """Fulfils `protocols.TipControl`; a move is made in ``steps``, between which it can be stopped."""

    def __init__(self, script: Script, state: FakeState, steps: int) -> None:
        super().__init__(script, state)
        self._steps = steps

    @override
    @asked
    def get_tip(self) -> TipState:
        return TipState(*self.state.place, self.state.height)

    @override
    @asked
    def get_speed(self) -> float:
        return SPEED

    @override
    @asked
    def move_tip(self, point: Point, speed: float | None = None) -> Point:
        with self.script.acting():
            for share in self.script.moves("move_tip", self._steps):
                step = Point(*((b - a) * share for a, b in zip(self.state.place, point, strict=True)))
                self.state.place = Point(self.state.place.x + step.x, self.state.place.y + step.y)
                self.state.time += (step.x**2 + step.y**2) ** 0.5 / (speed or SPEED)
            self.state.place = point
        return self.get_tip().point  # as the instrument says it, which a script may make say something else
