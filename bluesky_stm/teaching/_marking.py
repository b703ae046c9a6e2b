"""Decisions drawn where people see them: in the scan frame of the instrument's own software."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from typing_extensions import override

from bluesky_stm.data import Data
from bluesky_stm.documents import Stream, StreamRouter
from bluesky_stm.geometry import Point
from bluesky_stm.teaching._events import decision_from


@runtime_checkable
class Marks(Protocol):
    """Whoever draws a text at a place (nm)."""

    def mark(self, place: Point, text: str) -> None:
        """Draw it; what fails in that is no fault of the measurement."""


class Marking(StreamRouter):
    """Has each decision drawn, as its documents come: its number in the run, and why that place was chosen.

    Parameters
    ----------
    marks : Marks
        Draws the texts.
    """

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self._marks, self._count = marks, 0

    @override
    def begin(self, start: Data) -> None:
        self._count = 0

    @override
    def give(self, stream: str, event: Data) -> None:
        if stream == Stream.AGENT:
            self._count += 1
            decision = decision_from(self.data(event))
            self._marks.mark(decision.point, f"{self._count} {decision.why}")
