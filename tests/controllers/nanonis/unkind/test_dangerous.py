"""Dangerous moments of a night: each is noticed, said, and leaves the tip safe."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController, NanonisError
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.devices import STM
from bluesky_stm.errors import LimitError, LostConnectionError, SettingsError, STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)
FRAME = Frame.square((0.0, 0.0), 8.0, 16)


def safe(microscope):
    return microscope.get_feedback() or microscope.is_withdrawn()


# ---- the bias ----


@pytest.mark.parametrize("bias", [0.0, 1e-7, 0.8, 2.0])
def test_a_bias_at_or_beyond_zero_is_refused_with_the_feedback_closed(controller, microscope, bias):
    with pytest.raises(LimitError, match="Nothing has moved"):
        controller.ramp_bias(bias)
    assert microscope.get_bias() == -1.5
    assert microscope.get_feedback()


def test_an_approach_at_zero_bias_is_refused(controller, microscope, at_the_instrument):
    controller.withdraw()
    at_the_instrument("Bias.Set", 0.0)
    with pytest.raises(LimitError, match="An approach at 0 V"):
        controller.approach()
    assert microscope.is_withdrawn()


# ---- scans ----


def test_a_scan_in_the_air_is_no_topograph(controller, server, microscope, monkeypatch):
    """At the end of the z range, where the feedback found no surface, the image is flat and no current flows."""
    low, _ = microscope.ranges["z"]
    image = microscope.image

    def air(channel="height"):
        shape = image().shape
        return np.full(shape, low if channel.startswith("height") else 0.0)

    monkeypatch.setattr(microscope, "image", air)
    assert controller.scan(FRAME).quality & Quality.LOST_CONTACT
    monkeypatch.undo()
    assert controller.scan(FRAME).quality == Quality.GOOD


@pytest.mark.parametrize("channel", ["height", "current"])
def test_either_sign_of_a_scan_in_the_air_counts(controller, microscope, monkeypatch, channel):
    low, _ = microscope.ranges["z"]
    image = microscope.image
    monkeypatch.setattr(
        microscope,
        "image",
        lambda name="height": (
            np.full(image().shape, low if name.startswith("height") else 0.0) if name.startswith(channel) else image(name)
        ),
    )
    assert controller.scan(FRAME).quality & Quality.LOST_CONTACT


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("Bias.Set", -0.9), "bias from -1.5 to -0.9 V"),
        (("ZCtrl.SetpntSet", 1e-9), "set point from 0.2 to 1 nA"),
        (("ZCtrl.GainSet", 2e-11, 0.0, 5e-8), "integral gain (nm/s) from 87.8 to 50"),
        (("Piezo.DriftCompSet", 1, 1e-12, 0.0, 0.0, 10.0), "drift compensation along x from 0 to 0.001"),
    ],
)
def test_what_a_person_changes_during_a_scan_is_said(controller, microscope, monkeypatch, at_the_instrument, change, told):
    scan = microscope.scan

    def meddle(*asked):
        done = scan(*asked)
        at_the_instrument(*change)
        return done

    monkeypatch.setattr(microscope, "scan", meddle)
    image = controller.scan(FRAME)
    assert image.quality & Quality.DISTURBED
    assert told in image.disturbed
    assert microscope.get_feedback()


def test_an_image_says_which_file_the_software_wrote(controller, server):
    image = controller.scan(FRAME)
    assert image.native.endswith(".sxm")
    assert image.native.startswith(str(server.folder))


def test_an_image_of_another_signal_is_not_taken_for_the_height(controller, server, monkeypatch):
    answer = server.software.answer

    def swapped(command, values):
        done, error = answer(command, values)
        if command == "Scan.FrameDataGrab" and values[0] == 30:
            done = ["Current (A)", *done[1:]]
        return done, error

    monkeypatch.setattr(server.software, "answer", swapped)
    with pytest.raises(NanonisError, match="another order"):
        controller.scan(FRAME)


def test_lines_that_keep_the_time_of_a_small_frame_are_slowed_to_what_the_feedback_follows(
    controller, server, at_the_instrument
):
    """5 ms are right for the lines of a small frame: 400 nm in that time would be a thousand times too fast."""
    at_the_instrument("Scan.SpeedSet", 0.0, 0.0, 0.005, 0.005, 2, 1.0)
    stm, frame = STM(controller=controller, name="stm"), Frame.square((0.0, 0.0), 400.0, 16)
    stm.scanner.set(frame)
    heard, answer = [], server.software.answer
    server.software.answer = lambda command, values: heard.append((command, values)) or answer(command, values)
    stm.scanner.trigger().wait(60)
    server.software.answer = answer
    times = [values[2] for command, values in heard if command == "Scan.SpeedSet"]
    fastest = controller.get_gains().scans
    assert times[0] == pytest.approx(400.0 / fastest, abs=1e-3)
    assert times[0] >= 400.0 / fastest
    assert times[-1] == pytest.approx(0.005)  # as a person had it
    with pytest.raises(LimitError, match="nm/s"):
        controller.scan(frame, 0.001)


# ---- somebody else ----


def test_a_move_behind_a_persons_scan_leaves_the_scan_alone(soon):
    """It waits behind the scan: not a lost connection, and no reason to end somebody's image."""
    microscope = SimulatedController(seed=3, clock=RealClock(2.0))
    with NanonisServer(microscope, (0,) * 4) as server:
        controller = NanonisController(ports=server.ports, timeout=1.0)
        server.software.answer("Scan.FrameSet", [0.0, 0.0, 8e-9, 8e-9, 0.0])
        server.software.answer("Scan.BufferSet", [[30, 0], 16, 64])
        server.software.answer("Scan.Action", [0, 1])
        assert soon(lambda: server.software.is_doing("scan"))
        server.faults.add(Fault(FaultKind.DELAY, "FolMe.XYPosSet", seconds=2.0))
        with pytest.raises(STMError, match="Somebody else is scanning"):
            controller.move_tip(Point(1.0, 0.0))
        with pytest.raises(STMError, match="Somebody else's scan is running"):
            controller.move_tip(Point(1.0, 0.0))
        assert server.software.is_doing("scan")
        assert microscope.get_feedback()
        server.software.halt("scan")
        controller.close()


def test_a_restart_of_the_software_costs_one_act_and_arms_the_interlocks(connect, server, at_the_instrument):
    """Both connections are gone; the one that notices has the other one connect anew, too."""
    controller = connect(interlocks={"safe_tip": 8.0})
    controller.sweep(SHORT)
    server.drop_connections()
    at_the_instrument("SafeTip.OnOffSet", 2)
    with pytest.raises(LostConnectionError):
        controller.sweep(SHORT)
    assert controller.sweep(SHORT).quality == Quality.GOOD
    assert controller.read_interlocks()["safe_tip"]


@pytest.mark.parametrize(
    "change",
    [("LockIn.DemodHarmonicSet", 1, 2), ("LockIn.DemodSignalSet", 1, 30), ("LockIn.ModSignalSet", 1, 30)],
)
def test_a_lockin_on_something_else_gives_no_didv(controller, at_the_instrument, change):
    at_the_instrument(*change)
    spectrum = controller.sweep(SHORT)
    assert np.isnan(spectrum.didv).all()
    assert spectrum.quality & Quality.UNMODULATED
    assert np.isfinite(spectrum.current).all()


def test_a_low_pass_filter_that_does_not_settle_within_the_dwell_time_is_refused(controller, at_the_instrument, microscope):
    at_the_instrument("LockIn.DemodLPFilterSet", 1, 4, 0.5)
    with pytest.raises(SettingsError, match="low-pass filter"):
        controller.sweep(SHORT)
    assert microscope.get_feedback()
    at_the_instrument("LockIn.DemodLPFilterSet", 1, 1, 2000.0)
    assert controller.sweep(replace(SHORT, settle=0.002)).quality == Quality.GOOD


def test_a_saturated_drift_compensation_compensates_nothing(controller, server, monkeypatch):
    answer = server.software.answer
    saturated = [1, 1e-12, 2e-12, 0.0, 1, 0, 0, 10.0]
    monkeypatch.setattr(server.software, "answer", lambda c, v: (saturated, "") if c == "Piezo.DriftCompGet" else answer(c, v))
    assert controller.get_drift() == (0.0, pytest.approx(0.002))


# ---- stopping ----


@pytest.mark.parametrize("command", ["FolMe.Stop", "BiasSpectr.Stop", "Scan.Action", "AutoApproach.OnOffSet"])
@pytest.mark.parametrize("status", [0, 1])
def test_a_stop_tries_everything_whatever_single_answers_look_like(slow_scan, command, status):
    """A refusal without words, in one of the answers, leaves nothing running."""
    controller, server = slow_scan
    answer = server._answer

    def wordless(asked, body, fault):
        if asked == command and not wordless.done:
            wordless.done = True
            return status.to_bytes(4, "big") + (2).to_bytes(4, "big") + b"no" if not status else b"\0\0\0\1\0\0\0\0"
        return answer(asked, body, fault)

    wordless.done = False
    server._answer = wordless
    with pytest.raises(STMError):
        controller.stop()
    assert not server.software.is_doing("scan")
    assert safe(server.software.controller)


@pytest.fixture
def slow_scan(soon):
    with NanonisServer(SimulatedController(seed=3, clock=RealClock(2.0)), (0,) * 4) as server:
        controller = NanonisController(ports=server.ports, timeout=5.0)
        server.software.answer("Scan.FrameSet", [0.0, 0.0, 8e-9, 8e-9, 0.0])
        server.software.answer("Scan.BufferSet", [[30, 0], 16, 256])
        server.software.answer("Scan.Action", [0, 1])
        assert soon(lambda: server.software.is_doing("scan"))
        yield controller, server
        controller.close()
