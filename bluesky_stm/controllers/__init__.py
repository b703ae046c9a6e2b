"""Microscopes behind one protocol: simulated, recorded, scripted."""

from bluesky_stm.controllers._clock import Clock, InstantClock, RealClock
from bluesky_stm.controllers._fake import FakeController
from bluesky_stm.controllers._profile import PROFILES, Profile
from bluesky_stm.controllers._recorded import RecordedController
from bluesky_stm.controllers._script import Call
from bluesky_stm.controllers._simulated import SimulatedController

__all__ = [
    "PROFILES",
    "Call",
    "Clock",
    "FakeController",
    "InstantClock",
    "Profile",
    "RealClock",
    "RecordedController",
    "SimulatedController",
]
