"""The simulated microscope passes what every controller must pass."""

import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.conformance import ControllerConformance
from bluesky_stm.errors import TipCrashError
from bluesky_stm.geometry import Frame


class Broken:
    """An instrument whose tip touches in the middle of a spectrum."""

    def __init__(self, instrument):
        self.instrument = instrument

    def __getattr__(self, name):
        return getattr(self.instrument, name)

    def spectra(self, *args, **kwargs):
        raise TipCrashError("the tip touched")

    current = spectra


class TestSimulated(ControllerConformance):
    @pytest.fixture
    def controller(self):
        return SimulatedController(seed=3)

    @pytest.fixture
    def relief(self):
        """Steps of 13 nm altogether."""
        return Frame.square((0.0, 0.0), 200.0, 16)

    @pytest.fixture
    def unhurried(self):
        return SimulatedController(seed=3, clock=RealClock())

    def break_next_sweep(self, controller):
        controller._junction.instrument = Broken(controller._junction.instrument)

    break_next_z_sweep = break_next_sweep

    @pytest.fixture(autouse=True)
    def _stumble(self, stumble):
        self.stumble = stumble

    def break_next_scan(self, controller):
        self.stumble(controller, 8)

    @pytest.mark.slow
    def test_nothing_is_left_over(self, controller, sweep_settings, places):
        super().test_nothing_is_left_over(controller, sweep_settings, places)
