"""The recorded controller passes what every controller must pass, as far as a recording can."""

import math

import numpy as np
import pytest

from bluesky_stm.controllers import RealClock, RecordedController
from bluesky_stm.controllers.conformance import ControllerConformance
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Grid, Setpoint


def recording():
    """A grid of 12 x 12 spectra, I = 0.1 V + 0.05 V**3, on a slope of 1 pm/nm."""
    frame = Frame.square((20.0, -10.0), 12.0, 12, 30.0)
    bias = np.linspace(-1.0, 1.0, 41)
    current = np.tile(0.1 * bias + 0.05 * bias**3, (12, 12, 1))
    didv = np.tile(0.1 + 0.15 * bias**2, (12, 12, 1))
    height = frame.points()[..., 0] * 1e-3
    return Grid(
        frame=frame,
        bias=bias,
        current=current,
        lockin_x=0.01 * didv,
        lockin_y=np.zeros_like(didv),
        didv=didv,
        height=height,
        setpoint=Setpoint(-1.0, 0.1),
    )


class TestRecordedGrid(ControllerConformance):
    @pytest.fixture
    def controller(self):
        return RecordedController(recording())

    @pytest.fixture
    def unhurried(self):
        return RecordedController(recording(), clock=RealClock())

    @pytest.fixture(autouse=True)
    def _stumble(self, stumble):
        self.stumble = stumble

    def break_next_sweep(self, controller):
        self.stumble(controller, 3)

    break_next_scan = break_next_sweep

    @pytest.fixture
    def sweep_settings(self, controller):
        return controller.sweep_settings

    @pytest.fixture
    def frame(self, controller):
        return controller.frame

    @pytest.fixture
    def places(self, controller, frame):
        corners = 0.9 * frame.corners + 0.1 * np.array(frame.center)
        assert math.dist(corners[0], corners[2]) > 5  # far enough to be stopped on the way
        return [Point(float(x), float(y)) for x, y in corners]


class TestRecordedFile(TestRecordedGrid):
    """A grid that a real microscope measured."""

    cycles = 100

    @pytest.fixture
    def controller(self, data_file):
        return RecordedController(data_file("NanonisReader_STS_grid_lockin.3ds"))

    @pytest.fixture
    def unhurried(self, data_file):
        return RecordedController(data_file("NanonisReader_STS_grid_lockin.3ds"), clock=RealClock())
