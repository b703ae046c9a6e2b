"""The lateral moves of the simulated tip."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.base import SPEED, travel
from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipControl, TipState


class SimulatedTip(TipControl):
    """Fulfils `protocols.TipControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def get_tip(self) -> TipState:
        """Return the place that was asked for last, in nm, and the height of the tip.

        Drift, creep and hysteresis lead the real tip elsewhere; as with a real microscope, no reading tells.
        """
        return TipState(*self._bench.junction.asked, self._bench.junction.height(self._bench.now()))

    @override
    def get_speed(self) -> float:
        return SPEED

    @override
    def move_tip(self, point: Point, speed: float | None = None) -> Point:
        """Move in a straight line; ended by `stop`, the tip stays on the way.

        Raises
        ------
        TipCrashError
            When the surface is in the way of an open feedback, or of one that is too slow.
        """
        junction, speed = self._bench.junction, speed or SPEED
        return travel(self._bench.acts, junction.asked, point, speed, lambda end: junction.go_to(end, self._bench.now(), speed))
