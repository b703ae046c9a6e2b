"""Ranges and refusals, clocks, and acts that take time and can be stopped: the part that all wings share."""

from bluesky_stm.controllers.base._acts import HOME, PIXEL_TIME, SLEW, SPEED, Acts, travel
from bluesky_stm.controllers.base._bounds import BOUNDS, check_bounds
from bluesky_stm.controllers.base._clock import Clock, InstantClock, RealClock
from bluesky_stm.controllers.base._controller import BaseController
from bluesky_stm.controllers.base._part import WITHOUT_PARTS, ControllerPart, ExplorationDefaults, predates_parts

__all__ = [
    "BOUNDS",
    "HOME",
    "PIXEL_TIME",
    "SLEW",
    "SPEED",
    "WITHOUT_PARTS",
    "Acts",
    "BaseController",
    "Clock",
    "ControllerPart",
    "ExplorationDefaults",
    "InstantClock",
    "RealClock",
    "check_bounds",
    "predates_parts",
    "travel",
]
