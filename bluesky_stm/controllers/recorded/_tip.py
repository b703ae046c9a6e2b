"""The moves of a recorded tip, which goes to each place that was recorded."""

from __future__ import annotations

from bluesky_stm.controllers.base import SPEED, Acts, travel
from bluesky_stm.controllers.recorded._recording import Recording
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipState


class RecordedTip:
    """Fulfils `protocols.TipControl`."""

    def __init__(self, recording: Recording, acts: Acts) -> None:
        self._recording, self._acts = recording, acts
        self.place = recording.frame.center

    def get_tip(self) -> TipState:
        """Return where the tip is; z is that of the nearest pixel."""
        return TipState(*self.place, self._recording.height_at(self.place))

    def get_speed(self) -> float:
        """Return the speed of a move where none is asked for, in nm/s."""
        return SPEED

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line; ended by `stop`, the tip stays on the way."""
        travel(self._acts, self.place, point, speed or SPEED, self._arrive)

    def _arrive(self, place: Point) -> None:
        self.place = place
