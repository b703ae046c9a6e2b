"""A scripted microscope for tests: it records what was asked, and fails, answers or waits as it was told."""

from bluesky_stm.controllers.fake._controller import FakeController
from bluesky_stm.controllers.fake._part import Fake
from bluesky_stm.controllers.fake._script import Call
from bluesky_stm.controllers.fake._state import FakeState

__all__ = ["Call", "Fake", "FakeController", "FakeState"]
