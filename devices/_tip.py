"""The lateral position of the tip."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from event_model import DataKey
from ophyd import Component as Cpt
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._positioner import Positioner
from bluesky_stm.devices._signals import CONFIG, HINTED, Parameter, data_key, pair_of
from bluesky_stm.devices._stm_device import OphydValue, STMDevice, stm_of
from bluesky_stm.errors import LimitError, STMError
from bluesky_stm.geometry import Point

if TYPE_CHECKING:
    from bluesky.protocols import Location, Reading

    from bluesky_stm.protocols import TipState


class TipAxis(Positioner):
    """One coordinate of the tip, in nm; the other one stays what was asked for last."""

    units = units.LENGTH
    precision = 3

    @property
    def quantity(self) -> str:  # type: ignore[override]
        """Return the field of `Limits` that applies: ``x`` or ``y``."""
        return self.attr_name

    @property
    @override
    def position(self) -> float:
        return getattr(self.controller.get_tip(), self.attr_name)

    @property
    @override
    def setpoint(self) -> float:
        return getattr(self.parent.setpoint, self.attr_name)

    @override
    def check_value(self, value: float) -> None:
        """Refuse a coordinate outside the limits, and a speed that the closed feedback cannot follow.

        Parameters
        ----------
        value : float
            In nm.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        super().check_value(value)
        self.parent.check_speed()

    @override
    def set(self, value: float, *, timeout: float | None = None) -> Status:
        """Move along this axis; the other coordinate stays what was asked for last. The limits are checked for both.

        Parameters
        ----------
        value : float
            Coordinate to reach, in nm.
        timeout : float, optional
            Longest time for the move, in s of wall time; that of the tip if not given.
        """
        self.check_value(value)
        target = self.parent.target._replace(**{self.attr_name: float(value)})
        return self.parent.set(target, timeout=timeout)

    @override
    def read(self) -> dict[str, Reading]:
        return {key: value for key, value in self.parent.read().items() if key in {self.name, f"{self.name}_setpoint"}}


class Speed(Parameter):
    """Lateral speed of the tip, in nm/s; 0 stands for the controller's own."""

    @override
    def check_value(self, value: float) -> None:
        """Refuse a speed, in nm/s, beyond the limit, and one that the feedback cannot follow."""
        super().check_value(value)
        stm_of(self).tip.check_speed(value)


class TipPosition(STMDevice):
    """Position of the tip on the sample, in nm and compensated for drift; set as one point, in one straight line."""

    x = Cpt(TipAxis, kind=HINTED)
    y = Cpt(TipAxis, kind=HINTED)
    speed = Cpt(Speed, value=0.0, units=units.SPEED, quantity="speed", kind=CONFIG, doc="0 for the controller's own")
    tolerance = Cpt(Parameter, value=0.05, units=units.LENGTH, low=0.0, high=10.0, kind=CONFIG, doc="of the arrival")

    timeout: float | None = 600.0
    """Longest time for one move, in s of wall time."""

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        self._asked: Point | None = None

    @property
    def limits(self) -> tuple[Point, Point]:
        """Return the lowest and the highest x and y that may be asked for, in nm, as two points."""
        (left, right), (low, high) = self.stm.limits_of("x"), self.stm.limits_of("y")
        return Point(left, low), Point(right, high)

    @property
    def position(self) -> Point:
        """Return the place of the tip now, in nm."""
        return self.controller.get_tip().point

    @property
    def setpoint(self) -> Point:
        """Return the place asked for last, or that of the tip before that."""
        return self._asked or self.position

    def locate(self) -> Location[Point]:
        """Return the place asked for and that of the tip, in nm, for ``bps.locate``."""
        return {"setpoint": self.setpoint, "readback": self.position}

    @property
    def target(self) -> Point:
        """Return the place from which a move along a single axis starts.

        It is the place asked for last, unless the tip has been taken elsewhere since.
        """
        here = self.position
        asked = self._asked
        return asked if asked and (self._moving or math.dist(here, asked) <= self.tolerance.get()) else here

    def check_value(self, point: tuple[float, float]) -> None:
        """Refuse a place outside the limits, and a speed that the closed feedback cannot follow.

        Parameters
        ----------
        point : (float, float)
            x and y, in nm.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        for axis, value in zip((self.x, self.y), pair_of(self.name, point, "a place (x, y) in nm"), strict=True):
            self.stm.check(axis.quantity, value, axis.name)
        self.check_speed()

    def set(self, point: tuple[float, float], *, timeout: float | None = None) -> Status:
        """Move to ``point`` (x, y), in nm, in one straight line; the status ends on arrival or with the fault.

        Raises
        ------
        LimitError
            Outside the limits, or too fast for the feedback; nothing has moved then.
        """
        self.check_value(point)
        target = Point(*map(float, point))
        self._asked = target
        self._last = self.stm.worker.submit(self, self.go, target, timeout=timeout or self.timeout)
        return self._last

    @property
    def hints(self) -> dict[str, list[str]]:
        """Tell plots to take both coordinates."""
        return {"fields": [self.x.name, self.y.name]}

    def describe(self) -> dict[str, DataKey]:
        """Describe readback and set point of x and y, and the height z of the tip, all in nm."""
        key = data_key(self.controller.source(f"{self.attr_name}_z"), units.LENGTH, precision=4, limits=self.stm.limits_of("z"))
        return {**self.x.describe(), **self.y.describe(), f"{self.name}_z": key}

    def read(self) -> dict[str, Reading]:
        """Read all coordinates at one moment."""
        here, now = self.controller.get_tip(), time.time()
        values = self.values_of(here, self._asked or here.point)
        return {key: {"value": value, "timestamp": now} for key, value in values.items()}

    def values_of(self, here: TipState, asked: Point) -> dict[str, float]:
        """Return what an Event holds of the tip, by its keys.

        Parameters
        ----------
        here : TipState
            Place and height, in nm.
        asked : Point
            Place that was asked for, in nm.
        """
        return {
            self.x.name: here.x,
            f"{self.x.name}_setpoint": asked.x,
            self.y.name: here.y,
            f"{self.y.name}_setpoint": asked.y,
            f"{self.name}_z": here.z,
        }

    _last: Status | None = None

    @property
    def _moving(self) -> bool:
        return self._last is not None and not self._last.done

    def go(self, target: Point) -> None:
        """Move in one straight line to ``target`` and return when the tip has arrived within the tolerance.

        Raises
        ------
        LimitError
            With the feedback open at the surface, because nothing would follow the relief; nothing has moved then.
        STMError
            When the tip has stopped farther from the target than the tolerance allows.
        """
        if not (self.controller.get_feedback() or self.stm.withdrawn):
            raise LimitError(
                f"{self.name} can't go to ({target.x:g}, {target.y:g}) nm: the feedback is open, and the surface may be in the "
                "way. Nothing has moved. Close the feedback, or withdraw the tip."
            )
        here = self.controller.move_tip(target, self.speed.get() or None)
        off, allowed = math.dist(here, target), self.tolerance.get()
        if not off <= allowed:
            raise STMError(
                f"{self.name} is at ({here.x:.4f}, {here.y:.4f}) nm, {off:.4g} nm from ({target.x:.4f}, {target.y:.4f}) nm, "
                f"{allowed:g} nm are allowed. Nothing was measured there. Look at the scanner, or raise {self.tolerance.name}."
            )

    def check_speed(self, speed: float | None = None, what: str = "") -> None:
        """Refuse a lateral speed that the closed feedback cannot follow.

        A feedback with an integral gain of so many nm/s follows a slope of `STEEPEST_SLOPE` up to that gain divided by the
        slope. Where no speed, or 0, is given, the controller's own counts. ``speed`` is in nm/s; ``what`` names the device that
        moves, if it is not the tip itself.
        """
        speed = (self.speed.get() if speed is None else speed) or self.controller.get_speed()
        follows = self.controller.get_gains().follows
        if speed > follows and self.controller.get_feedback():
            raise LimitError(
                f"{what or self.speed.name} = {speed:g} nm/s is faster than the {follows:g} nm/s that the feedback follows at "
                "its integral gain. Nothing has moved. Move slower, or raise the gain."
            )
