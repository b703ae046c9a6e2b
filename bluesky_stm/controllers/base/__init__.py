"""Ranges and refusals, clocks, and acts that take time and can be stopped: the part that all wings share."""

from bluesky_stm.controllers.base._acts import PIXEL_TIME, SPEED, Acts, time_of_a_point, travel
from bluesky_stm.controllers.base._clock import Clock, InstantClock, RealClock
from bluesky_stm.controllers.base._controller import BaseController
from bluesky_stm.controllers.base._part import ControllerPart, Suggestion

__all__ = [
    "PIXEL_TIME",
    "SPEED",
    "Acts",
    "BaseController",
    "Clock",
    "ControllerPart",
    "InstantClock",
    "RealClock",
    "Suggestion",
    "time_of_a_point",
    "travel",
]
