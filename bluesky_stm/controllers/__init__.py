"""Microscopes behind one protocol, each in a wing of its own; no wing is loaded before it is asked for.

``simulated`` is a surface, an instrument and a clock; ``recorded`` answers with what was measured before; ``fake`` does what
a test tells it; ``nanonis`` is a real microscope over TCP, and ``nanonis_server`` is a server to prove it against. They share
``base`` and, for TCP, ``nanonis_wire``; no wing imports another one. ``conformance`` holds, as tests, what every controller
must do.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bluesky_stm.controllers.base import Clock, ControllerPart, ExplorationDefaults, InstantClock, RealClock

if TYPE_CHECKING:
    from bluesky_stm.controllers.fake import Call, FakeController
    from bluesky_stm.controllers.recorded import RecordedController
    from bluesky_stm.controllers.simulated import BAD_DAY, GOOD_DAY, IDEAL, Profile, SimulatedController

__all__ = [
    "BAD_DAY",
    "GOOD_DAY",
    "IDEAL",
    "Call",
    "Clock",
    "ControllerPart",
    "ExplorationDefaults",
    "FakeController",
    "InstantClock",
    "Profile",
    "RealClock",
    "RecordedController",
    "SimulatedController",
]

_WINGS = {
    "BAD_DAY": "simulated",
    "Call": "fake",
    "FakeController": "fake",
    "GOOD_DAY": "simulated",
    "IDEAL": "simulated",
    "Profile": "simulated",
    "RecordedController": "recorded",
    "SimulatedController": "simulated",
}
"""The wing that each public name comes from."""


def __getattr__(name: str) -> Any:
    """Load the wing that a name comes from."""
    if name not in _WINGS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WINGS[name]}"), name)
