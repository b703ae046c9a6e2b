"""What the wings share: ranges and refusals, clocks, and acts that take time and can be stopped."""

from bluesky_stm.controllers.base._acts import PIXEL_TIME, SPEED, Acts, time_of_a_point, travel
from bluesky_stm.controllers.base._clock import Clock, InstantClock, RealClock
from bluesky_stm.controllers.base._controller import BaseController

__all__ = [
    "PIXEL_TIME",
    "SPEED",
    "Acts",
    "BaseController",
    "Clock",
    "InstantClock",
    "RealClock",
    "time_of_a_point",
    "travel",
]
