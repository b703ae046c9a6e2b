"""The tip goes where it is asked, in one straight line, or not at all."""

import math
import time

import bluesky.plan_stubs as bps
import pytest

from bluesky_stm.errors import LimitError, LostConnectionError, MotionStoppedError, STMError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import FeedbackGains, TipState


def moves(fake):
    return [call.args[0] for call in fake.asked if call.name == "move_tip"]


def test_a_point_is_one_straight_move(RE, stm, fake):
    RE(bps.mv(stm.tip, Point(3, 4)))
    assert moves(fake) == [Point(3, 4)]
    assert stm.tip.position == Point(3, 4)


def test_two_single_axes_are_two_moves_one_after_the_other(RE, stm, fake):
    RE(bps.mv(stm.tip, Point(1, 1)))
    RE(bps.mv(stm.tip.x, 5, stm.tip.y, -7))
    assert moves(fake)[1:] == [Point(5, 1), Point(5, -7)]


def test_a_single_axis_starts_from_where_the_tip_was_taken_by_others(stm, fake):
    stm.tip.set(Point(1, 1)).wait(5)
    fake.move_tip(Point(-20, 30))
    stm.tip.x.set(0).wait(5)
    assert stm.tip.position == Point(0, 30)


def test_readings_tell_where_it_is_and_where_it_was_asked_to_be(stm, fake):
    stm.tip.tolerance.put(0.5)
    stm.tip.set(Point(2, 3)).wait(5)
    fake.answer("get_tip", TipState(2.25, 3.0, 0.1))
    read = {key: value["value"] for key, value in stm.tip.read().items()}
    assert read == {"stm_tip_x": 2.25, "stm_tip_x_setpoint": 2.0, "stm_tip_y": 3.0, "stm_tip_y_setpoint": 3.0, "stm_tip_z": 0.1}


def test_a_plan_asks_where_the_tip_and_the_bias_were_sent_and_where_they_are(RE, stm, fake):
    """As ``bps.locate`` of bluesky asks it of a motor, of one device or of several."""
    found = []

    def plan():
        yield from bps.mv(stm.tip, Point(3, 4), stm.bias, -0.5)
        fake.move_tip(Point(3.01, 4))
        found.append((yield from bps.locate(stm.tip)))
        found.append((yield from bps.locate(stm.tip.x, stm.tip.y, stm.bias)))

    RE(plan())
    assert found[0] == {"setpoint": Point(3, 4), "readback": Point(3.01, 4)}
    asked, reached = ([one[key] for one in found[1]] for key in ("setpoint", "readback"))
    assert (asked, reached) == ([3, 4, -0.5], [3.01, 4, -0.5])


@pytest.mark.parametrize("place", [(501, 0), (0, -501), (math.nan, 0), (0, math.inf)])
def test_a_place_outside_the_limits_is_refused_before_it_moves(stm, fake, place):
    with pytest.raises(LimitError, match="Nothing has moved"):
        stm.tip.set(place)
    assert moves(fake) == []


def test_a_whole_plan_is_refused_before_its_first_move(stm, fake, check_limits):
    def plan():
        yield from bps.mv(stm.tip, Point(1, 1))
        yield from bps.mv(stm.tip.x, 900)

    with pytest.raises(LimitError, match="stm_tip_x"):
        check_limits(plan())
    assert moves(fake) == []


def test_a_tip_that_does_not_arrive_is_a_fault(stm, fake):
    fake.answer("get_tip", TipState(1.9, 0.0, 0.0))
    with pytest.raises(STMError, match=r"0\.1 nm from"):
        stm.tip.set(Point(2, 0)).wait(5)


def test_the_status_carries_the_fault_of_the_controller(stm, fake):
    fake.fail("move_tip", LostConnectionError("the cable is out"))
    with pytest.raises(LostConnectionError, match="the cable is out"):
        stm.tip.set(Point(2, 0)).wait(5)


def test_a_move_that_takes_too_long_is_stopped(stm, fake):
    fake.delay("move_tip", 5.0)
    status = stm.tip.set(Point(100, 0), timeout=0.2)
    with pytest.raises(TimeoutError):
        status.wait(5)
    time.sleep(0.1)
    assert "stop" in fake.names_asked()


def test_stop_ends_the_move_and_what_waits_behind_it(stm, fake):
    fake.delay("move_tip", 1.0)
    first, second = stm.tip.set(Point(100, 0)), stm.tip.set(Point(0, 100))
    time.sleep(0.25)
    stm.tip.stop()
    for status in (first, second):
        with pytest.raises(MotionStoppedError):
            status.wait(5)
    assert 0 < stm.tip.position.x < 100
    assert stm.tip.position.y == 0
    assert "withdraw" not in fake.names_asked()


def test_stopped_by_a_pause_the_move_has_not_failed(stm, fake):
    fake.delay("move_tip", 1.0)
    first, second = stm.tip.set(Point(100, 0)), stm.tip.set(Point(0, 100))
    time.sleep(0.25)
    stm.tip.stop(success=True)
    first.wait(5)
    second.wait(5)
    assert 0 < stm.tip.position.x < 100


def test_a_speed_that_the_feedback_cannot_follow_is_refused(stm, fake):
    stm.tip.speed.put(51.0)
    stm.tip.set(Point(1, 0)).wait(5)
    fake.set_gains(FeedbackGains(0.01, 50.0))
    with pytest.raises(LimitError, match="faster than the 50 nm/s"):
        stm.tip.set(Point(2, 0))
    fake.withdraw()  # withdrawn, there is nothing to follow
    stm.tip.set(Point(2, 0)).wait(5)


def test_the_speed_asked_for_reaches_the_controller(stm, fake):
    stm.tip.speed.put(20.0)
    stm.tip.set(Point(1, 0)).wait(5)
    assert fake.asked[-1].args == (Point(1, 0), 20.0)
