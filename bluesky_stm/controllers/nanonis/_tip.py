"""The lateral moves of the tip of a Nanonis controller."""

from __future__ import annotations

import math
import time
from typing import Final

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import ARRIVED, NanonisPart
from bluesky_stm.controllers.nanonis._height import height
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import LostConnectionError, MotionStoppedError, STMError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import TipControl, TipState
from bluesky_stm.units import LENGTH

MOMENT: Final = 1.0
"""Time, in s, for which the speed that was read is taken to hold: only the patience with a move depends on it.

A sweep takes the place at which a move has ended within it for its own, and compares that with the place after the sweep.
"""

LATELY, NOW = 10.0, 0.1
"""Age, in s, of a place from which the patience with a move is reckoned, and of one that is answered as the present one."""


class NanonisTip(NanonisPart, TipControl):
    """Fulfils `protocols.TipControl`."""

    _speed = (0.0, -math.inf)
    _seen: tuple[Point, float, tuple[int, ...]] | None = None

    @override
    def get_tip(self) -> TipState:
        """Return the position of the tip, in nm.

        ``FolMe.XYPosGet`` is asked to wait for a place newer than the question, unless it was asked just before; the height
        comes by ``ZCtrl.ZPosGet``.
        """
        return TipState(*self.place(NOW), height(self._watch))

    @override
    def get_speed(self) -> float:
        self._speed = ours(self._watch.ask("FolMe.SpeedGet")[0], LENGTH), time.monotonic()
        return self._speed[0]

    @override
    def move_tip(self, point: Point, speed: float | None = None) -> Point:
        """Move the tip in a straight line by ``FolMe.XYPosSet``, and return on arrival.

        A speed that is given is set for this move alone: the one of the follow-me module is brought back afterwards.

        Parameters
        ----------
        point : Point
            Destination, in nm.
        speed : float, optional
            In nm/s; by default that of the follow-me module.

        Raises
        ------
        MotionStoppedError
            When the tip stands further than `ARRIVED` from the destination, whoever stopped it.
        STMError
            When nothing holds the tip off the surface; it was withdrawn, and the move was not begun. Also while somebody else
            scans.
        """
        with self._guard.act():
            self._guard.check_feedback()
            if speed is None:
                return self._move(point, self._own_speed())
            own = self._work.ask("FolMe.SpeedGet")
            self._work.ask("FolMe.SpeedSet", si(speed, LENGTH), 1)
            confirm("The speed of the tip", speed, ours(self._work.ask("FolMe.SpeedGet")[0], LENGTH), units.SPEED, 1e-6)
            try:
                return self._move(point, speed)
            finally:
                if self._work.connected:
                    self._work.ask("FolMe.SpeedSet", *own)

    def _own_speed(self) -> float:
        """Return the speed of the follow-me module, by which the end of a move is waited for; not asked twice in a moment."""
        speed, when = self._speed
        return speed if time.monotonic() - when < MOMENT else self.get_speed()

    def place(self, age: float = 0.0) -> Point:
        """Return where the tip is, in nm, newer than the question; a move has no use for its height.

        With an ``age``, in s, one that was read that lately will do, where nothing but questions was sent since.
        """
        # Time and counts of before the question: what another thread sends meanwhile makes the answer old.
        now, since = time.monotonic(), self._links.since
        if self._seen and self._seen[2] == since and now - self._seen[1] < age:
            return self._seen[0]
        x, y = self._watch.ask("FolMe.XYPosGet", 1)
        here = Point(ours(x, LENGTH), ours(y, LENGTH))
        self._seen = here, now, since
        return here

    def _move(self, point: Point, speed: float) -> Point:
        far = math.dist(self.place(LATELY), point)
        longest = self._links.timeout + 3 * far / speed if speed > 0 else 3600.0
        try:
            self._work.ask("FolMe.XYPosSet", si(point.x, LENGTH), si(point.y, LENGTH), 1, timeout=longest)
        except LostConnectionError as lost:
            if not self._links.is_running("scan"):
                raise
            raise STMError(
                "Somebody else is scanning, and the move waits behind that. It was not waited for, and the scan was left "
                "alone. End it in the Nanonis software, or wait for its end, then ask again."
            ) from lost
        # The answer says that the tip rests, and not that it has arrived: somebody may have stopped it.
        here = self.place()
        if math.dist(here, point) > ARRIVED:
            self._guard.check_feedback()
            raise MotionStoppedError(
                f"The tip stands at ({here.x:.3f}, {here.y:.3f}) nm, not at ({point.x:.3f}, {point.y:.3f}) nm: the move was "
                "stopped. Ask for it again."
            )
        return here
