"""The simulated microscope fulfils the protocol."""

import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.conformance import ControllerConformance
from bluesky_stm.errors import TipCrashError
from bluesky_stm.geometry import Frame


class TestSimulatedController(ControllerConformance):
    cycles = 100

    @pytest.fixture
    def controller(self):
        return SimulatedController(seed=1)

    @pytest.fixture
    def unhurried(self):
        return SimulatedController(seed=1, clock=RealClock())

    @pytest.fixture
    def frame(self):
        return Frame.square((0, 0), 10, 16)

    def break_next_sweep(self, controller):
        def fail(*_):
            raise TipCrashError("the tip touched")

        controller._instrument.spectra = fail
