"""Nothing closes the feedback near 0 V, no exception keeps the tip from its rest, and a fault is cleared by a person only."""

import threading
import time

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import FailedStatus, RunEngineInterrupted

from bluesky_stm.controllers import FakeController
from bluesky_stm.controllers.fake import FakeState
from bluesky_stm.devices import STM
from bluesky_stm.errors import LimitError, LostConnectionError, STMError, TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.plans import approach, with_bias
from bluesky_stm.protocols import FeedbackGains, SweepSettings
from bluesky_stm.settings import Limits

LOST = LostConnectionError("the cable is out")


class WatchedState(FakeState):
    """Remembers at which bias the feedback was closed, by whomever."""

    def __init__(self):
        self.closed_at = []
        super().__init__()
        self.closed_at.clear()

    @property
    def feedback(self):
        return self._closed

    @feedback.setter
    def feedback(self, on):
        if on:
            self.closed_at.append(self.bias)
        self._closed = on


class Witness(FakeController):
    def __init__(self):
        state = WatchedState()
        self.closed_at = state.closed_at
        super().__init__(state=state)


@pytest.fixture
def fake():
    return Witness()


@pytest.fixture
def crossing(stm, fake):
    """A ramp through 0 V that takes its time."""
    fake.delay("ramp_bias", 0.5)
    stm.bias.allow_crossing.put(True)
    return lambda: stm.bias.set(1.0)


def half_way(fake):
    while fake.get_feedback() or abs(fake.get_bias()) > 0.5:
        time.sleep(0.005)


# ---- through 0 V ----


@pytest.mark.parametrize("success", [True, False])
def test_stopped_in_the_middle_of_a_crossing_the_bias_arrives_before_the_feedback_closes(stm, fake, crossing, success):
    status = crossing()
    half_way(fake)
    stm.stop(success=success)
    status.wait(5)
    assert fake.closed_at == [pytest.approx(1.0)]


def test_a_crossing_that_somebody_else_stops_is_taken_back(stm, fake, crossing):
    status = crossing()
    half_way(fake)
    fake.stop()
    with pytest.raises(STMError, match="stopped"):
        status.wait(5)
    assert fake.get_feedback()
    assert fake.get_bias() == pytest.approx(-1.0)
    assert fake.closed_at[-1] == pytest.approx(-1.0)


def test_a_crossing_that_can_be_neither_ended_nor_taken_back_withdraws(stm, fake, crossing):
    status = crossing()
    half_way(fake)
    fake.fail("ramp_bias", LOST)
    fake.stop()
    with pytest.raises(LostConnectionError):
        status.wait(5)
    assert fake.is_withdrawn()


def test_a_fault_in_the_middle_of_a_crossing_withdraws(stm, fake, crossing):
    fake.fail("ramp_bias", TipCrashError("the tip touched"), part=0.5)
    with pytest.raises(TipCrashError):
        crossing().wait(5)
    assert fake.is_withdrawn()
    assert fake.closed_at == []


def test_a_crossing_that_never_ends_withdraws(stm, fake, crossing):
    fake.delay("ramp_bias", 30.0)
    with pytest.raises(TimeoutError):
        stm.bias.set(1.0, timeout=0.3).wait(5)
    fake.delay("ramp_bias", 0.0)
    time.sleep(0.3)
    assert fake.is_withdrawn()
    assert fake.closed_at == []


@pytest.mark.parametrize("way_out", ["abort", "stop", "halt", "resume"])
def test_a_pause_in_the_middle_of_a_crossing_never_closes_the_feedback_near_zero(RE, stm, fake, way_out):
    fake.delay("ramp_bias", 0.5)
    stm.bias.allow_crossing.put(True)

    def pause():
        half_way(fake)
        RE.request_pause(defer=False)

    threading.Thread(target=pause, daemon=True).start()

    def plan():
        yield from bps.checkpoint()
        yield from bps.sleep(0.01)

    with pytest.raises(RunEngineInterrupted):
        RE(guarded(stm, plan()))
    getattr(RE, way_out)()
    assert fake.get_feedback() and abs(fake.get_bias()) == pytest.approx(1.0)
    assert all(abs(bias) == pytest.approx(1.0) for bias in fake.closed_at)


def guarded(stm, plan):
    yield from bps.checkpoint()
    yield from with_bias(stm, 1.0, plan)


def test_zero_volts_are_refused_at_the_surface(stm, fake):
    stm.bias.allow_crossing.put(True)
    with pytest.raises(LimitError, match="no current that would hold the tip"):
        stm.bias.set(0.0)
    stm.z.withdraw().wait(5)
    stm.bias.set(0.0).wait(5)
    assert fake.get_bias() == 0.0


# ---- the way out ----


@pytest.mark.parametrize("error", [LOST, ZeroDivisionError("a bug in the controller"), OSError("no route")])
def test_a_rest_that_cannot_be_compared_is_restored(stm, fake, error):
    stm.stage()
    fake.ramp_bias(-2.0)
    fake.fail("get_setpoint", error)
    stm.unstage()
    assert fake.get_bias() == pytest.approx(-1.0)


@pytest.mark.parametrize("part", ["scanner", "sweep"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_exception_while_unstaging_does_not_keep_the_tip_from_its_rest(stm, fake, monkeypatch, part, whole):
    staged = stm if whole else getattr(stm, part)
    staged.stage()
    fake.ramp_bias(-2.0)
    fake.delay("sweep", 5.0)
    swept = stm.sweep.trigger()

    def fails():
        raise ZeroDivisionError("a bug while files are closed")

    monkeypatch.setattr(stm.images, "close", fails)
    if whole or part == "scanner":
        with pytest.raises(ZeroDivisionError):
            staged.unstage()
    else:
        staged.unstage()
    assert fake.get_bias() == pytest.approx(-1.0)
    assert fake.get_feedback()
    stm.stop(success=True)
    swept.wait(2)


def test_a_sweep_that_cannot_be_stopped_is_a_fault_and_ends_withdrawn(stm, fake):
    stm.sweep.stage()
    fake.delay("sweep", 1.0)
    swept = stm.sweep.trigger()
    time.sleep(0.1)
    fake.fail("stop", ZeroDivisionError("a bug in the controller"))
    stm.sweep.unstage()
    assert fake.is_withdrawn()
    assert isinstance(stm.fault, ZeroDivisionError)
    swept.wait(2)


def test_a_controller_that_cannot_be_stopped_is_withdrawn_all_the_same(stm, fake):
    fake.fail("stop", OSError("no route"))
    stm.z.withdraw().wait(5)
    assert stm.withdrawn


# ---- after a fault ----


def crashed(stm, fake):
    fake.fail("sweep", TipCrashError("the tip touched"), part=0.5)
    stm.stage()
    with pytest.raises(TipCrashError):
        stm.sweep.trigger().wait(5)
    stm.unstage()


def test_after_a_crash_nothing_is_measured_or_approached_until_a_person_says_so(RE, stm, fake):
    crashed(stm, fake)
    assert fake.is_withdrawn()
    for act in (stm.sweep.trigger, stm.scanner.trigger, stm.grid.kickoff, stm.z.approach):
        with pytest.raises(STMError, match=r"TipCrashError: the tip touched .*stm.clear_fault"):
            act()
    with pytest.raises(STMError):
        RE(approach(stm))
    assert "approach" not in fake.names_asked()
    stm.clear_fault()
    RE(approach(stm))
    stm.sweep.trigger().wait(5)


def test_the_tip_is_withdrawn_if_the_controller_says_so_whoever_did_it(stm, fake):
    fake.withdraw()
    assert stm.withdrawn and not stm.z.contact.get()
    with pytest.raises(STMError, match="is withdrawn"):
        stm.sweep.trigger()
    fake.approach()
    assert not stm.withdrawn
    stm.sweep.trigger().wait(5)


def test_home_lifts_the_tip_and_approach_brings_it_back(stm, fake):
    z = fake.get_tip().z
    stm.z.home().wait(5)
    assert fake.get_tip().z > z + 1
    assert stm.withdrawn and not fake.get_feedback()
    stm.stop()
    assert not fake.get_feedback()
    stm.z.approach().wait(5)
    assert fake.get_tip().z == pytest.approx(z)
    stm.z.withdraw().wait(5)
    with pytest.raises(LimitError, match="lies below"):
        stm.z.home().wait(5)


# ---- interlocks ----


def test_a_grid_refuses_the_pixel_where_its_offset_leaves_the_limits_of_z(fake):
    """The wave is highest, 0.1 nm, at (5, 0) nm."""
    stm = STM(controller=fake, limits=Limits(z=(-1.0, 0.15)))
    stm.sweep.set(SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001, z_offset=0.08))
    stm.grid.set(Frame((0.0, 0.0), (20.0, 1.0), (1, 4)))  # pixels at -7.5, -2.5, 2.5 and 7.5 nm
    stm.grid.kickoff().wait(1)
    with pytest.raises(LimitError, match="stm_sweep z with its offset"):
        stm.grid.complete().wait(5)
    assert [event["data"]["stm_grid_column"] for event in stm.grid.collect()] == [0, 1]
    stm.worker.close()


def test_no_way_of_moving_is_faster_than_the_feedback_follows(stm, fake, check_limits):
    fake.set_gains(FeedbackGains(0.01, 50.0))  # the fake's own speed is 100 nm/s
    for plan in (bps.mv(stm.tip, Point(1, 0)), bps.mv(stm.tip.x, 1), bps.mv(stm.tip.speed, 60.0)):
        with pytest.raises(LimitError, match="faster than the 50 nm/s"):
            check_limits(plan)
    stm.scanner.line_time.put(0.2)
    with pytest.raises(LimitError, match="stm_scanner speed = 100 nm/s is faster than the 50 nm/s"):
        check_limits(bps.mv(stm.scanner, Frame.square((0, 0), 20, 8)))
    with pytest.raises(LimitError, match="faster than the 50 nm/s"):
        stm.grid.kickoff()
    stm.tip.speed.put(40.0)
    check_limits(bps.mv(stm.tip.x, 1))
    assert "move_tip" not in fake.names_asked()


def test_a_bare_plan_that_fails_says_the_fault(RE, stm, fake):
    fake.fail("move_tip", LOST)
    with pytest.raises(FailedStatus, match="the cable is out"):
        RE(bps.mv(stm.tip, Point(1, 0)))
