"""Compensation of a steady drift."""

from __future__ import annotations

import math
from operator import methodcaller
from typing import Any

from bluesky_stm import units
from bluesky_stm.devices._signals import ControllerSignal
from bluesky_stm.devices._stm_device import stm_of
from bluesky_stm.errors import LimitError


class DriftCompensation(ControllerSignal):
    """Drift that is compensated, in nm/s, along x and y: ``bps.mv(stm.drift, (vx, vy))``. The tip moves with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(
            *args,
            read=methodcaller("get_drift"),
            write=lambda controller, velocity: controller.set_drift(velocity),
            units=units.SPEED,
            form="array",
            array_shape=(2,),
            **kwargs,
        )

    def check_value(self, velocity: tuple[float, float]) -> None:
        """Refuse what is no velocity in the plane, and one beyond the interlock or faster than the feedback follows."""
        if len(velocity) != 2:
            raise LimitError(f"{self.name} = {velocity} has no x and y. Nothing has moved. Give two speeds, in nm/s.")
        stm, speed = stm_of(self), math.hypot(*velocity)
        stm.check("speed", speed, self.name)
        stm.tip.check_speed(speed, self.name)
