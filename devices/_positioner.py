"""A quantity of the controller that is set and read back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from event_model import DataKey
from ophyd.status import Status

from bluesky_stm.devices._signals import data_key
from bluesky_stm.devices._stm_device import OphydValue, STMDevice

if TYPE_CHECKING:
    from bluesky.protocols import Location, Reading


class Positioner(STMDevice):
    """A quantity that is set and read back, as a motor is.

    The readback stands under the name of the device, the value that was asked for under ``_setpoint``.
    """

    quantity = ""
    units = ""
    precision = 4
    timeout: float | None = 300.0
    """Longest time for one `set`, in s of wall time."""

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        self._asked: float | None = None

    @property
    def position(self) -> float:
        """Return the readback, in ``egu``."""
        raise NotImplementedError

    def go(self, value: float) -> None:
        """Bring the controller to a value, and return on arrival.

        It runs in the thread of the microscope, after `check_value`.

        Parameters
        ----------
        value : float
            Value to reach, in ``egu``.
        """
        raise NotImplementedError

    @property
    def setpoint(self) -> float:
        """Return the value that was asked for last, or the readback before that."""
        return self.position if self._asked is None else self._asked

    def forget_setpoint(self) -> None:
        """Forget what was asked for, because something else has brought the quantity elsewhere."""
        self._asked = None

    def locate(self) -> Location[float]:
        """Return where it was asked to be and where it is, in ``egu``, for ``bps.locate``."""
        return {"setpoint": self.setpoint, "readback": self.position}

    @property
    def egu(self) -> str:
        """Return the unit."""
        return self.units

    @property
    def limits(self) -> tuple[float, float]:
        """Return the lowest and the highest value that may be asked for, in ``egu``.

        They are the limits that the microscope was given, cut to the range of the hardware.
        """
        return self.stm.limits_of(self.quantity)

    @property
    def low_limit(self) -> float:
        """Return the lowest value that may be asked for."""
        return self.limits[0]

    @property
    def high_limit(self) -> float:
        """Return the highest value that may be asked for."""
        return self.limits[1]

    def check_value(self, value: float) -> None:
        """Refuse what is out of range.

        ``check_limits(plan)`` asks this of a whole plan before anything moves, and `set` asks it once more.

        Parameters
        ----------
        value : float
            Value that is asked for, in ``egu``.

        Raises
        ------
        LimitError
            Outside ``limits``, or no number.
        """
        self.stm.check(self.quantity, value, self.name)

    def set(self, value: float, *, timeout: float | None = None) -> Status:
        """Go to ``value``, in ``egu``; the status ends on arrival or with the fault.

        Raises
        ------
        LimitError
            Outside the limits; nothing has moved then.
        """
        self.check_value(value)
        self._asked = float(value)
        return self.stm.worker.submit(self, self.go, self._asked, timeout=timeout or self.timeout)

    @property
    def hints(self) -> dict[str, list[str]]:
        """Tell plots to take the readback."""
        return {"fields": [self.name]}

    def describe(self) -> dict[str, DataKey]:
        """Describe readback and set point, with source, unit, precision and limits.

        Both stand in each Event, since bluesky reads both.
        """
        source = self.controller.source(self.dotted_name.replace(".", "_"))
        key = data_key(source, self.units, precision=self.precision, limits=self.limits)
        return {**super().describe(), self.name: key, f"{self.name}_setpoint": key}

    def read(self) -> dict[str, Reading]:
        """Read readback and set point now."""
        position, now = self.position, time.time()
        asked = position if self._asked is None else self._asked
        return {
            **super().read(),
            self.name: {"value": position, "timestamp": now},
            f"{self.name}_setpoint": {"value": asked, "timestamp": now},
        }
