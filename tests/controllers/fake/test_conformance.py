"""The scripted controller passes what every controller must pass, at each set of capabilities."""

import pytest

from bluesky_stm.controllers import FakeController
from bluesky_stm.controllers.conformance import ControllerConformance
from bluesky_stm.errors import TipCrashError
from bluesky_stm.protocols import Capability


class TestFake(ControllerConformance):
    @pytest.fixture
    def controller(self):
        return FakeController()

    @pytest.fixture
    def unhurried(self):
        fake = FakeController(steps=100)
        for act in ("move_tip", "sweep", "z_sweep", "scan"):
            fake.delay(act, 1.0)
        return fake

    def break_next_sweep(self, controller):
        controller.fail("sweep", TipCrashError("the tip touched"), part=0.5)

    def break_next_z_sweep(self, controller):
        controller.fail("z_sweep", TipCrashError("the tip touched"), part=0.5)

    def break_next_scan(self, controller):
        controller.fail("scan", TipCrashError("the tip touched"), part=0.5)


class TestFakeThatOnlyLooks(ControllerConformance):
    cycles = 10

    @pytest.fixture
    def controller(self):
        return FakeController(frozenset({Capability.TIP, Capability.SCAN}))
