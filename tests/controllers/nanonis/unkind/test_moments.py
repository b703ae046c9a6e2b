"""Moments of a night at which something is not as it was: it is noticed, said, and the tip is safe."""

import math

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController, check
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.controllers.nanonis_wire._wire import decode_answer
from bluesky_stm.errors import LostConnectionError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 16, settle=0.001, integrate=0.001)

CHANGES = {
    "bias": (("Bias.Set", -0.9), lambda c: c.get_bias(), -0.9),
    "set point": (("ZCtrl.SetpntSet", 1e-9), lambda c: c.get_setpoint().current, 1.0),
    "tip": (("FolMe.XYPosSet", 50e-9, 0.0, 1), lambda c: c.get_tip().x, 50.0),
    "modulation": (("LockIn.ModAmpSet", 1, 0.005), lambda c: c.get_lockin().amplitude, 0.005),
    "harmonic of demodulator 1": (("LockIn.DemodHarmonicSet", 1, 2), lambda c: c.look_at_lockin().harmonic, 2),
    "cut-off of the low-pass filter": (("LockIn.DemodLPFilterSet", 1, 4, 500.0), lambda c: c.look_at_lockin().cutoff, 500.0),
    "output of modulator 1": (("LockIn.ModSignalSet", 1, 30), lambda c: c.look_at_lockin().modulated, 30),
    "drift compensation": (("Piezo.DriftCompSet", 1, 3e-12, 0.0, 0.0, 10.0), lambda c: c.get_drift()[0], 3e-3),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_person_changes_in_a_sweep_marks_it_is_said_and_stays(controller, microscope, ask, monkeypatch, what):
    command, read, expected = CHANGES[what]
    controller.sweep(SHORT)
    swept = microscope.sweep
    monkeypatch.setattr(microscope, "sweep", lambda *args: (swept(*args), ask(*command))[0])
    spectrum = controller.sweep(SHORT)
    assert spectrum.quality & Quality.DISTURBED
    assert what in spectrum.disturbed
    assert read(controller) == pytest.approx(expected, rel=1e-3)
    assert controller.get_feedback()


@pytest.mark.parametrize(
    ("left_on", "setting"),
    [
        (("BiasSpectr.MLSModeSet", "MLS"), "MLSMode"),
        (("BiasSpectr.AltZCtrlSet", 1, 1e-9, 0.1), "AltZCtrl"),
        (("BiasSpectr.DigSyncSet", 2), "DigSync"),
    ],
)
def test_what_a_person_left_on_is_red_and_set_off_before_the_junction_feels_it(controller, ask, heard, left_on, setting):
    ask(*left_on)
    assert controller.obstacles(SHORT.dwell)
    heard.clear()
    spectrum = controller.sweep(SHORT)
    names = [name for name, *_ in heard]
    assert names.index(f"BiasSpectr.{setting}Set") < names.index("BiasSpectr.Start")
    np.testing.assert_allclose(spectrum.bias, SHORT.bias, atol=1e-6)


def test_a_withdrawal_with_the_network_dead_says_so_within_the_time_out(connect, server):
    controller = connect(timeout=1.0)
    server.close()
    with pytest.raises((LostConnectionError, OSError)):
        controller.withdraw()
    with pytest.raises((LostConnectionError, OSError)):
        controller.close()


def test_answers_that_are_late_are_warned_of_once_and_taken(connect, server, caplog):
    controller = connect(timeout=10.0)
    for number in (1, 2):
        server.faults.add(Fault(FaultKind.DELAY, "Bias.Get", at=number, seconds=1.2))
    assert [controller.get_bias() for _ in range(2)] == [pytest.approx(-1.5)] * 2
    assert caplog.text.count("look at the network") == 1


def test_a_modulator_that_is_on_in_images_is_said_and_no_run_waits_for_it(controller, ask):
    def found():
        return [finding for finding in check(controller) if finding.what == "modulator"]

    ask("LockIn.ModOnOffSet", 1, 1)
    (modulator,) = found()
    assert "images" in modulator.advice
    assert not modulator.missing
    ask("LockIn.ModOnOffSet", 1, 0)
    assert not found()


def test_a_session_path_that_a_person_changes_is_that_of_the_next_spectrum(connect, server, ask, tmp_path):
    controller = connect(save_as="night")
    first = controller.sweep(SHORT).native
    ask("Util.SessionPathSet", str(tmp_path), 0)
    second = controller.sweep(SHORT).native
    assert not first.startswith(str(tmp_path))
    assert second.startswith(str(tmp_path))


def test_a_path_in_bytes_that_are_no_utf_8_is_taken():
    path = "D:\\Mess\xe4ung".encode("latin-1")
    body = len(path).to_bytes(4, "big") + path + bytes(8)
    assert decode_answer("s", body)[0] == ["D:\\Mess\xe4ung"]


def test_an_older_release_is_driven_in_its_own_codes():
    """13742 of June 2024: names of channels without their number, and another code for the drift compensation."""
    microscope = SimulatedController(seed=3)
    with NanonisServer(microscope, (0,) * 4, release=13742) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        controller = NanonisController(ports=server.ports, timeout=10.0)
        assert controller.describe()["versions"]["host_release"] == 13742
        controller.move_tip(Point(1.0, 1.0))
        assert controller.sweep(SHORT).quality == Quality.GOOD
        controller.set_drift((2e-3, 0.0))
        assert microscope.get_drift() == pytest.approx((2e-3, 0.0))
        controller.set_drift((0.0, 0.0))
        assert microscope.get_drift() == (0.0, 0.0)
        assert math.isfinite(controller.get_tip().z)
        controller.close()
