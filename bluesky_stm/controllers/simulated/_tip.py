"""The lateral moves of the simulated tip."""

from __future__ import annotations

from bluesky_stm.controllers.base import SPEED, travel
from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipState


class SimulatedTip:
    """Fulfils `protocols.TipControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def get_tip(self) -> TipState:
        """Return where the tip was asked to be, and its height."""
        return TipState(*self._bench.junction.asked, self._bench.junction.z)

    def get_speed(self) -> float:
        """Return the speed of a move where none is asked for, in nm/s."""
        return SPEED

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line; ended by `stop`, the tip stays on the way.

        Raises
        ------
        TipCrashError
            When the surface is in the way of an open feedback, or of one that is too slow.
        """
        junction, speed = self._bench.junction, speed or SPEED
        travel(self._bench.acts, junction.asked, point, speed, lambda end: junction.go_to(end, self._bench.now(), speed))
