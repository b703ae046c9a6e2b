"""Whether the tip is withdrawn is asked anew, whatever was said of it before."""

import time
from dataclasses import replace

import pytest

from bluesky_stm.controllers.nanonis import NanonisError
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)
ELSEWHERE = replace(SHORT, setpoint=Setpoint(-1.4, 0.1))
FRAME = Frame.square((0.0, 0.0), 8.0, 16)


def test_a_tip_that_somebody_brought_back_is_swept_with_the_feedback_held(
    controller, server, microscope, monkeypatch, at_the_instrument, soon
):
    """What it knew of its own withdrawal holds no longer: another set point is reached with the feedback closed."""
    held, sweep = [], microscope.sweep
    monkeypatch.setattr(microscope, "sweep", lambda settings: held.append(microscope.get_feedback()) or sweep(settings))
    controller.withdraw()
    at_the_instrument("AutoApproach.OnOffSet", 1)
    assert soon(microscope.get_feedback)
    spectrum = controller.sweep(ELSEWHERE)
    assert held == [True]
    assert spectrum.quality == Quality.GOOD
    assert microscope.get_feedback()


def test_a_withdrawal_that_was_refused_is_none(controller, server):
    for _ in range(2):
        server.faults.add(Fault(FaultKind.ERROR, "ZCtrl.Withdraw"))
        with pytest.raises(NanonisError, match="made to fail"):
            server.faults.add(Fault(FaultKind.ERROR, "ZCtrl.Withdraw", at=2))
            controller.withdraw()
        assert not controller.is_withdrawn()
    assert controller.sweep(SHORT).quality == Quality.GOOD


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [FaultKind.IGNORE, FaultKind.OPEN])
def test_a_withdrawal_is_over_only_when_the_tip_is_there(controller, server, microscope, kind):
    """Ignored, or done by half, it is tried over another port; said to be done twice and not done, it is an error."""
    server.faults.add(Fault(kind, "ZCtrl.Withdraw"))
    controller.withdraw()
    assert microscope.is_withdrawn()
    controller.approach()
    for at in (1, 2):
        server.faults.add(Fault(kind, "ZCtrl.Withdraw", at))
    begun = time.monotonic()
    with pytest.raises(NanonisError, match="withdrawal of the tip did not happen"):
        controller.withdraw()
    assert time.monotonic() - begun < 60, "it does not wait for the time of a withdrawal, which is 120 s"
    assert not controller.is_withdrawn()


@pytest.fixture(params=["sweep", "scan"])
def measure(request, controller):
    return {"sweep": lambda: controller.sweep(SHORT), "scan": lambda: controller.scan(FRAME)}[request.param]


def test_a_tip_found_without_feedback_after_a_lost_connection_ends_the_act(
    controller, server, microscope, heard, measure, lose
):
    """It is withdrawn; nothing is measured in the air, neither now nor before somebody approaches."""
    lose(controller)
    microscope.set_feedback(False)
    with pytest.raises(STMError, match="After the connection was lost"):
        measure()
    assert microscope.is_withdrawn()
    with pytest.raises(STMError, match="Approach first"):
        measure()
    assert not heard.started
    controller.approach()
    assert measure().quality == Quality.GOOD


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [FaultKind.WITHDRAW, FaultKind.OPEN, FaultKind.HOLD])
def test_a_tip_that_somebody_takes_away_before_the_start_is_not_measured(controller, server, microscope, heard, measure, kind):
    """While everything is set up, long after it was asked whether the tip is there."""
    for command in ("BiasSpectr.AdvPropsGet", "Scan.SpeedGet"):
        server.faults.add(Fault(kind, command))
    with pytest.raises(STMError, match=r"Approach first|opened the feedback|holds the feedback"):
        measure()
    assert not heard.started
    assert microscope.is_withdrawn() or microscope.get_feedback()


def test_what_was_measured_in_the_air_is_not_good(controller, server, measure):
    """Withdrawn by somebody at the moment when it started: the server measures all the same."""
    for command in ("BiasSpectr.Start", "Scan.Action"):
        server.faults.add(Fault(FaultKind.WITHDRAW, command))
    assert measure().quality & Quality.LOST_CONTACT


def test_a_move_does_not_begin_with_a_feedback_that_somebody_opened(controller, microscope, heard):
    microscope.set_feedback(False)
    with pytest.raises(STMError, match="Somebody else"):
        controller.move_tip(Point(3.0, 0.0))
    assert "FolMe.XYPosSet" not in {asked[0] for asked in heard}
    assert microscope.is_withdrawn()


def test_a_feedback_that_was_opened_on_purpose_stays_open(controller, microscope):
    """Through a move and a sweep, also one from another set point."""
    controller.set_feedback(False)
    controller.move_tip(Point(0.1, 0.0))
    controller.sweep(SHORT)
    controller.sweep(ELSEWHERE)
    controller.move_tip(Point(0.0, 0.0))
    assert not microscope.get_feedback()
    assert not controller.is_withdrawn()
    controller.withdraw()
    controller.approach()
    microscope.set_feedback(False)  # what was once asked for does not excuse what somebody does later
    with pytest.raises(STMError, match="Somebody else"):
        controller.move_tip(Point(0.1, 0.0))


@pytest.mark.usefixtures("impatient")
def test_a_feedback_that_somebody_holds_keeps_nothing_off_the_surface(controller, server, microscope, heard):
    """The software says that it is on: neither a move nor a stop takes that for tracking, nor whoever connects next."""
    for act in (lambda: controller.move_tip(Point(3.0, 0.0)), controller.stop):
        server.software.z.hold()
        assert controller.get_feedback()
        with pytest.raises(STMError, match="holds the feedback"):
            act()
        assert microscope.is_withdrawn()
        controller.approach()
    assert "FolMe.XYPosSet" not in {asked[0] for asked in heard}


def test_a_feedback_found_on_hold_is_withdrawn_on_connecting(connect, server, microscope):
    """Whoever held it may be gone."""
    server.software.z.hold()
    assert connect(timeout=0.5).is_withdrawn()
    assert microscope.is_withdrawn()
