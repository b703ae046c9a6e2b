"""The moves of a recorded tip, which goes to each place that was recorded."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.base import SPEED, Acts, travel
from bluesky_stm.controllers.recorded._recording import Recording
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipControl, TipState


class RecordedTip(TipControl):
    """Moves the tip over a recording: in the recorded frame every place can be reached.

    Parameters
    ----------
    recording : Recording
        Gives the height of the tip; the tip begins at the centre of its frame.
    acts : Acts
        Lets the time of the moves pass.

    Attributes
    ----------
    place : Point
        Where the tip stands, in nm.
    """

    def __init__(self, recording: Recording, acts: Acts) -> None:
        self._recording, self._acts = recording, acts
        self.place = recording.frame.center

    @override
    def get_tip(self) -> TipState:
        """Return the position of the tip, in nm.

        Its z is the recorded height at the nearest pixel: between pixels nothing is interpolated.
        """
        return TipState(*self.place, self._recording.height_at(self.place))

    @override
    def get_speed(self) -> float:
        return SPEED

    @override
    def move_tip(self, point: Point, speed: float | None = None) -> Point:
        return travel(self._acts, self.place, point, speed or SPEED, self._arrive)

    def _arrive(self, place: Point) -> None:
        self.place = place
