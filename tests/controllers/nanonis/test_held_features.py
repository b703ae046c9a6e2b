"""The atom tracking of Nanonis, used by the program: it is ended whatever happens, and a person's is noticed."""

import threading
import time

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController, check
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.errors import LostConnectionError, SettingsError, STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.plans._tracking import STRAYED, Held

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

CONTROLLER = 1
DRIFT = (0.004, -0.002)


def on_what_stands_out(microscope):
    frame = Frame.square((0.0, 0.0), 20.0, 96)
    inner = SimulatedController(seed=3, profile={"name": "ideal", "drift": (0.0, 0.0)}).scan(frame).height[10:-10, 10:-10]
    row, column = np.unravel_index(np.argmax(inner), inner.shape)
    return Point(*frame.to_sample((row + 10, column + 10)))


def test_the_way_of_a_feature_is_the_drift_and_its_compensation_stops_it(monkeypatch):
    """A second of simulated time passes with each circle, so that the drift is some pm between two."""
    microscope = SimulatedController(seed=3, profile={"name": "ideal", "drift": DRIFT})
    clock = microscope._bench.acts.clock
    with NanonisServer(microscope, (0,) * 4) as server:
        tracking, step = server.software.tracking, server.software.tracking.step
        monkeypatch.setattr(tracking, "step", lambda: (clock.sleep(1.0), step()))
        server.software.registers.set("Util.AcqPeriod", [0.001])
        server.software.registers.set("AtomTrack.Props", [20.0, 20.0, 0.2e-9, 0.0, 0.0])
        controller = NanonisController(ports=server.ports, timeout=10.0, clock=clock)
        controller.move_tip(on_what_stands_out(microscope))
        controller.track(40.0)  # climbs
        held = Held.of(controller.track(120.0))
        assert held.error < 1e-3
        np.testing.assert_allclose(held.velocity, DRIFT, atol=4 * held.error)
        assert held.strayed < STRAYED
        assert not controller.running()["atom tracking"]
        controller.set_drift(DRIFT)
        rest = Held.of(controller.track(120.0))
        assert np.abs(rest.velocity).max() < 4 * rest.error
        controller.close()


def test_a_persons_tracking_is_red_and_ended_by_stop_and_by_connecting(connect, server, ask):
    watching = connect(read_only=True)
    ask("AtomTrack.CtrlSet", CONTROLLER, 1)
    (running,) = [finding for finding in check(watching) if finding.what == "running"]
    assert running.missing
    assert running.found == "atom tracking"
    controller = connect()
    assert ask("AtomTrack.StatusGet", CONTROLLER) == [False]
    ask("AtomTrack.CtrlSet", CONTROLLER, 1)
    controller.stop()
    assert ask("AtomTrack.StatusGet", CONTROLLER) == [False]


def test_a_software_without_it_tracks_nothing(connect, server):
    for _ in range(8):
        server.faults.add(Fault(FaultKind.ERROR, "AtomTrack.StatusGet"))
    controller = connect()
    assert controller.running()["atom tracking"] is False
    controller.stop()


def test_a_stop_ends_it(controller, ask):
    threading.Timer(0.5, controller.stop).start()
    begun = time.monotonic()
    controller.track(60.0)
    assert time.monotonic() - begun < 30
    assert ask("AtomTrack.StatusGet", CONTROLLER) == [False]
    assert controller.get_feedback()


@pytest.mark.parametrize("props", [(0.0, 20.0, 1e-10, 0.0, 0.0), (1.0, 20.0, 0.0, 0.0, 0.0), (1.0, 20.0, 5e-9, 0.0, 0.0)])
def test_a_module_that_would_hold_nothing_is_refused_before_anything_moves(controller, server, heard, props):
    server.software.registers.set("AtomTrack.Props", props)
    with pytest.raises(SettingsError, match="would hold nothing"):
        controller.track(1.0)
    assert "AtomTrack.CtrlSet" not in heard


@pytest.mark.parametrize("how", ["ended by a person", "set point", "cut", "not switched on"])
def test_whatever_comes_between_is_said_and_the_tracking_ended(connect, server, ask, how):
    controller = connect(timeout=2.0)
    if how == "not switched on":
        for number in (1, 2):
            server.faults.add(Fault(FaultKind.IGNORE, "AtomTrack.CtrlSet", at=number))
    else:
        act = {
            "ended by a person": lambda: ask("AtomTrack.CtrlSet", CONTROLLER, 0),
            "set point": lambda: ask("ZCtrl.SetpntSet", 0.3e-9),
            "cut": server.drop_connections,
        }[how]
        threading.Timer(0.5, act).start()
    with pytest.raises((STMError, LostConnectionError)):
        controller.track(2.0)
    server.faults.clear()
    controller.get_feedback()
    assert ask("AtomTrack.StatusGet", CONTROLLER) == [False]
    assert controller.get_feedback()


def test_a_withdrawn_tip_holds_nothing(controller, heard):
    controller.withdraw()
    with pytest.raises(STMError, match="withdrawn"):
        controller.track(1.0)
    assert "AtomTrack.CtrlSet" not in heard


def test_a_compensation_that_comes_to_its_limit_is_noticed(controller, ask, microscope):
    """Ten per cent of the range: then it stands still there, reads as none, and no run begins."""
    span = ask("Piezo.RangeGet")[0] * 1e9
    controller.set_drift((0.1 * span / 100.0, 0.0))
    microscope._bench.acts.clock.sleep(120.0)
    assert controller.get_drift() == (0.0, 0.0)
    assert any("drift compensation" in obstacle for obstacle in controller.obstacles(0.014))


def test_after_an_image_it_holds_what_is_nearest_to_where_the_tip_was_left():
    """Real physics, and no fault: nothing brings a tracking tip back to its atom but whoever took it away."""
    from bluesky_stm.controllers.nanonis_server._software import Software

    microscope = SimulatedController(seed=3, profile={"name": "ideal", "drift": (0.0, 0.0)})
    made = Software(microscope)
    made.answer("AtomTrack.PropsSet", [20.0, 20.0, 0.2e-9, 0.0, 0.0])
    microscope.move_tip(on_what_stands_out(microscope))
    for _ in range(40):
        made.tracking.step()
    held = microscope.get_tip().point
    microscope.scan(Frame.square((0.0, 0.0), 10.0, 32))
    left = microscope.get_tip().point
    for _ in range(10):
        made.tracking.step()
    assert np.hypot(*np.subtract(microscope.get_tip().point, left)) < np.hypot(*np.subtract(held, left))
    microscope.move_tip(held)  # brought back to within its slope, the same one is held again
    for _ in range(10):
        made.tracking.step()
    np.testing.assert_allclose(microscope.get_tip().point, held, atol=0.1)
    made.close()
