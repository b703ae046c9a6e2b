"""The conformance suite, over TCP."""

import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.conformance import ControllerConformance
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.geometry import Frame

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")


class TestNanonisController(ControllerConformance):
    cycles = 100

    @pytest.fixture
    def relief(self):
        """Steps of 13 nm altogether."""
        return Frame.square((0.0, 0.0), 200.0, 16)

    @pytest.fixture
    def unhurried(self):
        with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0,) * 4) as slow:
            controller = NanonisController(ports=slow.ports, timeout=2.0)
            yield controller
            controller.close()

    @pytest.fixture(autouse=True)
    def _server(self, server, stumble):
        self.server, self.stumble = server, stumble

    def time_of(self, controller):
        """Simulated time: the protocol tells none."""
        return self.server.software.controller.now()

    def break_next_sweep(self, controller):
        self.server.faults.add(Fault(FaultKind.DROP, "BiasSpectr.Start"))

    def break_next_z_sweep(self, controller):
        self.server.faults.add(Fault(FaultKind.DROP, "ZSpectr.Start"))

    def break_next_scan(self, controller):
        self.stumble(self.server.software.controller, 8)

    def is_safe(self, controller):
        """As the microscope behind the server says: a closed controller answers no more."""
        microscope = self.server.software.controller
        return microscope.get_feedback() or microscope.is_withdrawn()

    @pytest.mark.slow
    def test_nothing_is_left_over(self, controller, sweep_settings, places):
        super().test_nothing_is_left_over(controller, sweep_settings, places)
