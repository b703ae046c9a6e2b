"""The bias is ramped inside its limits, and never through 0 V with the feedback closed."""

import bluesky.plan_stubs as bps
import pytest

from bluesky_stm.devices import STM
from bluesky_stm.errors import LimitError, STMError, TipCrashError
from bluesky_stm.plans import approach, with_bias
from bluesky_stm.settings import Limits


def nothing():
    yield from bps.null()


def test_it_is_set_and_read_in_volts(RE, stm):
    RE(bps.mv(stm.bias, -1.5))
    assert stm.bias.position == pytest.approx(-1.5)
    assert stm.bias.describe()["stm_bias"]["units"] == "V"
    assert stm.read()["stm_bias_setpoint"]["value"] == -1.5


def test_through_zero_with_the_feedback_closed_is_refused(stm, fake):
    with pytest.raises(LimitError, match="tip would touch"):
        stm.bias.set(1.0)
    assert "ramp_bias" not in fake.names_asked()


def test_allowed_to_cross_it_holds_the_feedback_open_on_the_way(stm, fake):
    stm.bias.allow_crossing.put(True)
    stm.bias.set(1.0).wait(5)
    assert fake.names_asked() == ["set_feedback", "ramp_bias", "set_feedback"]
    assert fake.get_bias() == pytest.approx(1.0)
    assert fake.get_feedback()


def test_the_narrower_of_interlock_and_hardware_holds(fake):
    stm = STM(controller=fake, limits=Limits(bias=(-2.0, 50.0)))
    assert stm.bias.limits == (-2.0, 10.0)
    for value in (-2.5, 10.5, float("nan")):
        with pytest.raises(LimitError, match="Nothing has moved"):
            stm.bias.check_value(value)


def test_another_bias_comes_back_whatever_happens(RE, stm, fake):
    def fails():
        yield from bps.null()
        raise RuntimeError("the plan has a bug")

    with pytest.raises(RuntimeError, match="bug"):
        RE(with_bias(stm, -2.0, fails()))
    assert [call.args[0] for call in fake.asked if call.name == "ramp_bias"] == [-2.0, -1.0]
    assert fake.get_feedback()


def test_a_ramp_that_fails_is_taken_back_too(RE, stm, fake):
    fake.fail("ramp_bias", LimitError("not today"), part=0.5)
    with pytest.raises(Exception, match="not today"):
        RE(with_bias(stm, -2.0, nothing()))
    assert fake.get_bias() == pytest.approx(-1.0)


def test_after_a_crash_the_tip_is_withdrawn_instead(RE, stm, fake):
    fake.fail("ramp_bias", TipCrashError("the tip touched"), part=0.5)
    with pytest.raises(Exception, match="touched"):
        RE(with_bias(stm, -2.0, nothing()))
    assert "withdraw" in fake.names_asked()
    assert not fake.get_feedback()
    with pytest.raises(STMError, match="out of use after TipCrashError: the tip touched"):
        stm.sweep.trigger()
    stm.clear_fault()
    RE(approach(stm))
    stm.sweep.trigger().wait(5)


def test_limits_of_a_plan_at_another_bias_are_checked(stm, check_limits):
    with pytest.raises(LimitError, match="stm_bias"):
        check_limits(with_bias(stm, -20.0, nothing()))
