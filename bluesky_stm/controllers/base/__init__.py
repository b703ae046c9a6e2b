"""What the wings share: clocks, and acts that take time and can be stopped."""

from bluesky_stm.controllers.base._acts import PIXEL_TIME, SPEED, Acts
from bluesky_stm.controllers.base._clock import Clock, InstantClock, RealClock

__all__ = ["PIXEL_TIME", "SPEED", "Acts", "Clock", "InstantClock", "RealClock"]
