"""The Nanonis controller against the simulated server: what it measures, in our units."""

import numpy as np
import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import LockInCalibration, SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")


SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


def test_a_spectrum_is_that_of_the_microscope_in_our_units(controller, microscope):
    """Up to the rounding to float32."""
    controller.move_tip(Point(4.0, -3.0))
    spectrum = controller.sweep(SHORT)
    mirror = SimulatedController(seed=3)
    mirror.move_tip(Point(4.0, -3.0))
    truth = mirror.sweep(SHORT)
    assert spectrum.current == pytest.approx(truth.current, rel=1e-5, abs=1e-8)
    assert spectrum.lockin_x == pytest.approx(truth.lockin_x, rel=1e-5, abs=1e-8)
    assert spectrum.setpoint.current == pytest.approx(truth.setpoint.current)
    assert spectrum.position == pytest.approx((4.0, -3.0))


def test_an_image_is_that_of_the_microscope_in_our_units(controller):
    frame = Frame(Point(5.0, 6.0), (20.0, 10.0), (16, 32), 25.0)
    image = controller.scan(frame, line_time=0.5)
    truth = SimulatedController(seed=3).scan(frame, line_time=0.5)
    assert image.height == pytest.approx(truth.height, abs=1e-5)
    assert image.frame == frame


def test_lines_of_an_image_are_told_while_it_grows():
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0, 0)) as server:
        controller = NanonisController(ports=server.ports)
        told = []
        controller.scan(Frame.square((0, 0), 10, 16), 0.04, lambda done, total: told.append((done, total)))
        controller.close()
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (16, 16)


def test_the_calibration_of_the_lock_in_is_the_users(connect):
    """The wire does not know it; a response of 1 stands in for one that nobody gave."""
    plain, calibrated = connect(), None
    assert plain.get_lockin().gain == pytest.approx(plain.get_lockin().amplitude)
    plain.close()
    calibrated = connect(lockin=LockInCalibration(response=0.95, offset=-0.0002))
    spectrum = calibrated.sweep(SHORT)
    assert spectrum.didv == pytest.approx((spectrum.lockin_x + 0.0002) / (0.95 * 0.0164))


def test_a_sweep_from_another_set_point_brings_back_the_old_one(controller, microscope):
    before = microscope.get_setpoint()
    spectrum = controller.sweep(SweepSettings(-1.5, 1.0, 26, 0.001, 0.001, setpoint=Setpoint(-1.4, 0.1)))
    assert (spectrum.setpoint.bias, spectrum.setpoint.current) == pytest.approx((-1.4, 0.1))
    assert microscope.get_setpoint().bias == pytest.approx(before.bias)
    assert microscope.get_setpoint().current == pytest.approx(before.current)
    assert microscope.get_feedback()


def test_a_full_preamplifier_is_marked(controller):
    """Clipped in the surface's own terms: the current reaches 10 nA towards +2.4 V."""
    spectrum = controller.sweep(SweepSettings(-1.5, 2.4, 61, 0.001, 0.001))
    assert np.abs(spectrum.current).max() >= 10
    assert spectrum.quality & Quality.CLIPPED
    assert not controller.sweep(SweepSettings(-1.5, -0.5, 61, 0.001, 0.001)).quality & Quality.CLIPPED


def test_a_tip_that_hangs_in_the_air_is_marked(controller, microscope, monkeypatch):
    monkeypatch.setattr(microscope, "read_current", lambda: 0.001)
    assert controller.sweep(SHORT).quality & Quality.LOST_CONTACT


def test_a_speed_asked_for_once_does_not_stay(controller, server):
    own = server.software.registers.get("FolMe.Speed")
    controller.move_tip(Point(1.0, 0.0), speed=5.0)
    assert server.software.registers.get("FolMe.Speed") == pytest.approx(own)


def test_an_image_of_an_odd_number_of_pixels_is_refused(controller):
    with pytest.raises(NotCapableError, match="16"):
        controller.scan(Frame.square((0, 0), 10, 20))


def test_its_description_says_what_a_person_would_ask(controller, server):
    described = controller.describe()
    assert described["session_path"] == str(server.folder)
    assert described["versions"]["host_release"] == 14718
    assert described["interlocks"]["safe_tip"] is True
