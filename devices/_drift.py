"""Compensation of a steady drift of the sample under the tip."""

from __future__ import annotations

import math
from operator import methodcaller

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._signals import ControllerSignal, pair_of
from bluesky_stm.devices._stm_device import OphydValue, stm_of


class DriftCompensation(ControllerSignal):
    """Velocity of the drift that the controller compensates, in nm/s along x and y; the tip moves with it.

    It is set as a pair: ``bps.mv(stm.drift, (vx, vy))``.
    """

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(
            *args,
            read=methodcaller("get_drift"),
            write=lambda controller, velocity: controller.set_drift(velocity),
            units=units.SPEED,
            form="array",
            array_shape=(2,),
            **kwargs,
        )

    @override
    def check_value(self, velocity: tuple[float, float]) -> None:
        """Refuse a velocity without two components, beyond the speed limit, or faster than the closed feedback follows.

        Parameters
        ----------
        velocity : (float, float)
            Along x and y, in nm/s.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        stm, speed = stm_of(self), math.hypot(*pair_of(self.name, velocity, "two speeds (along x, along y) in nm/s"))
        stm.check("speed", speed, self.name)
        stm.tip.check_speed(speed, self.name)
