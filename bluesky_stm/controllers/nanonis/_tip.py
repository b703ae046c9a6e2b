"""The lateral moves of the tip of a Nanonis controller."""

from __future__ import annotations

import math

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import ARRIVED, NanonisPart, height
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import MotionStoppedError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipState
from bluesky_stm.units import LENGTH


class NanonisTip(NanonisPart):
    """Fulfils `protocols.TipControl`."""

    def get_tip(self) -> TipState:
        """Return the place of the tip, newer than the question."""
        return TipState(*self._place(), height(self._watch))

    def get_speed(self) -> float:
        """Return the speed of a move where none is asked for, in nm/s."""
        return ours(self._watch.ask("FolMe.SpeedGet")[0], LENGTH)

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line; `stop` ends it on the way.

        Raises
        ------
        MotionStoppedError
            When the tip did not arrive, whoever stopped it.
        """
        with self._guard.act():
            self._guard.check_feedback()
            own = self._work.ask("FolMe.SpeedGet")
            if speed is not None:
                self._work.ask("FolMe.SpeedSet", si(speed, LENGTH), 1)
                confirm("The speed of the tip", speed, ours(self._work.ask("FolMe.SpeedGet")[0], LENGTH), units.SPEED, 1e-6)
            try:
                self._move(point, speed or ours(own[0], LENGTH))
            finally:
                if speed is not None and self._work.connected:
                    self._work.ask("FolMe.SpeedSet", *own)

    def _place(self) -> Point:
        """Return where the tip is, in nm, newer than the question; a move has no use for its height."""
        x, y = self._watch.ask("FolMe.XYPosGet", 1)
        return Point(ours(x, LENGTH), ours(y, LENGTH))

    def _move(self, point: Point, speed: float) -> None:
        far = math.dist(self._place(), point)
        longest = self._links.timeout + 3 * far / speed if speed > 0 else 3600.0
        self._work.ask("FolMe.XYPosSet", si(point.x, LENGTH), si(point.y, LENGTH), 1, timeout=longest)
        here = self._place()
        if math.dist(here, point) > ARRIVED:
            self._guard.check_feedback()
            raise MotionStoppedError(
                f"The tip stands at ({here.x:.3f}, {here.y:.3f}) nm, not at ({point.x:.3f}, {point.y:.3f}) nm: the move was "
                "stopped. Ask for it again."
            )
