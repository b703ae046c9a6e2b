"""One settable quantity of the controller."""

from __future__ import annotations

import time
from typing import Any

from event_model import DataKey
from ophyd.status import Status

from bluesky_stm.devices._signals import data_key
from bluesky_stm.devices._stm_device import STMDevice


class Positioner(STMDevice):
    """A quantity that is set and read back, as a motor is: readback under its own name, what was asked under ``_setpoint``."""

    quantity = ""
    units = ""
    precision = 4
    timeout: float | None = 300.0
    """Longest time for one `set`, in s of wall time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked: float | None = None

    @property
    def position(self) -> float:
        """Readback, in ``egu``."""
        raise NotImplementedError

    def go(self, value: float) -> None:
        """Bring the controller there; blocks."""
        raise NotImplementedError

    @property
    def setpoint(self) -> float:
        """What was asked last, or what stands."""
        return self.position if self._asked is None else self._asked

    def forget_setpoint(self) -> None:
        """What was asked no longer counts: something else has brought the quantity elsewhere."""
        self._asked = None

    @property
    def egu(self) -> str:
        """Unit."""
        return self.units

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that may be asked."""
        return self.stm.limits_of(self.quantity)

    @property
    def low_limit(self) -> float:
        """Lowest value that may be asked."""
        return self.limits[0]

    @property
    def high_limit(self) -> float:
        """Highest value that may be asked."""
        return self.limits[1]

    def check_value(self, value: float) -> None:
        """Refuse what is out of range: ``check_limits(plan)`` asks this of a whole plan before anything moves."""
        self.stm.check(self.quantity, value, self.name)

    def set(self, value: float, *, timeout: float | None = None) -> Status:
        """Go to ``value``; the status ends on arrival or with the fault."""
        self.check_value(value)
        self._asked = float(value)
        return self.stm.worker.submit(self, self.go, self._asked, timeout=timeout or self.timeout)

    @property
    def hints(self) -> dict[str, list[str]]:
        """Plots take the readback."""
        return {"fields": [self.name]}

    def describe(self) -> dict[str, DataKey]:
        """Readback and set point, with unit and limits."""
        source = self.controller.source(self.dotted_name.replace(".", "_"))
        key = data_key(source, self.units, precision=self.precision, limits=self.limits)
        return {**super().describe(), self.name: key, f"{self.name}_setpoint": key}

    def read(self) -> dict[str, dict[str, Any]]:
        """Readback and set point now."""
        position, now = self.position, time.time()
        asked = position if self._asked is None else self._asked
        return {
            **super().read(),
            self.name: {"value": position, "timestamp": now},
            f"{self.name}_setpoint": {"value": asked, "timestamp": now},
        }
