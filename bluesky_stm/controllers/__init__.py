"""Microscopes behind one protocol: simulated, recorded."""

from bluesky_stm.controllers._clock import Clock, InstantClock, RealClock
from bluesky_stm.controllers._fake import Call, FakeController
from bluesky_stm.controllers._recorded import RecordedController

__all__ = ["Call", "Clock", "FakeController", "InstantClock", "RealClock", "RecordedController"]
