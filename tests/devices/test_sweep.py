"""A spectrum is measured once for each trigger, and stands in the document as the controller gave it."""

import time
from dataclasses import fields, replace

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest

from bluesky_stm.devices import STM
from bluesky_stm.errors import LimitError, NotCapableError, SettingsError, TipCrashError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import Limits
from bluesky_stm.teaching import spectrum_from


def data(device):
    return {key: reading["value"] for key, reading in device.read().items()}


def test_the_document_gives_back_the_spectrum_of_the_controller(stm, fake):
    fake.move_tip(Point(3, 4))
    measured = fake.sweep(stm.sweep.settings)
    fake.answer("sweep", measured)
    stm.sweep.trigger().wait(5)
    stored = spectrum_from(data(stm.sweep) | data(stm.tip))
    for field in fields(measured):
        np.testing.assert_array_equal(getattr(stored, field.name), getattr(measured, field.name), field.name)


def test_the_arrays_of_two_readings_do_not_share_memory(stm):
    stm.sweep.trigger().wait(5)
    first = data(stm.sweep)["stm_sweep_current"]
    stm.sweep.trigger().wait(5)
    assert not np.shares_memory(first, data(stm.sweep)["stm_sweep_current"])


def test_signals_make_the_sweep(RE, stm, fake):
    asked = SweepSettings(-0.5, 0.25, 31, 0.001, 0.02, 3, True, Setpoint(-0.8, 0.2), -0.05)
    RE(
        bps.mv(
            *(stm.sweep.start, -0.5, stm.sweep.end, 0.25, stm.sweep.points, 31, stm.sweep.settle, 0.001),
            *(stm.sweep.integrate, 0.02, stm.sweep.averages, 3, stm.sweep.backward, True),
            *(stm.sweep.setpoint, Setpoint(-0.8, 0.2), stm.sweep.z_offset, -0.05),
        )
    )
    assert stm.sweep.settings == asked
    stm.sweep.trigger().wait(5)
    assert fake.asked[-1].args[0] == asked


def test_the_way_back_is_in_the_document_when_wanted(RE, stm, fake, docs):
    """The displacement current has the other sign on the way back: the average of both ways is the ohmic current."""
    back = ("current_backward", "lockin_x_backward", "lockin_y_backward", "didv_backward")
    for name in back:
        getattr(stm.sweep, name).kind = "normal"
    stm.sweep.set(SweepSettings(-0.5, 0.5, 11, backward=True))
    RE(bp.count([stm.sweep]))
    (event,) = docs.events()
    ohmic = 0.1 * np.linspace(-0.5, 0.5, 11)  # 0.1 nA at 1 V
    assert event["stm_sweep_current"] == pytest.approx(ohmic)
    assert event["stm_sweep_current_backward"] == pytest.approx(ohmic - 0.001)
    assert event["stm_sweep_didv_backward"] == pytest.approx(np.full(11, 0.1))
    assert np.array_equal(spectrum_from(event).backward["current"], event["stm_sweep_current_backward"])
    keys = docs.of("descriptor")[0]["data_keys"]
    assert [keys[f"stm_sweep_{name}"]["units"] for name in back] == ["nA", "nA", "nA", "nS"]


def test_a_way_back_that_is_to_be_kept_and_is_not_swept_is_refused_before_anything_is_measured(stm, fake):
    stm.sweep.current_backward.kind = "normal"
    with pytest.raises(SettingsError, match=r"keep current_backward.*Set stm_sweep_backward"):
        stm.sweep.trigger().wait(5)
    assert "sweep" not in fake.names_asked()


def test_a_way_back_that_the_controller_does_not_give_is_not_made_up(stm, fake):
    stm.sweep.current_backward.kind = "normal"
    stm.sweep.backward.put(True)
    fake.answer("sweep", replace(fake.sweep(replace(SweepSettings(), backward=True)), backward={}))
    with pytest.raises(NotCapableError, match="no current of the way back"):
        stm.sweep.trigger().wait(5)


def test_a_set_point_is_also_taken_as_a_pair_and_nothing_else(stm):
    stm.sweep.setpoint.set((-0.8, 0.2)).wait(1)
    assert stm.sweep.settings.setpoint == Setpoint(-0.8, 0.2)
    for wrong in (0.2, "-0.8", (0.2,), {"bias": 1}):
        with pytest.raises(SettingsError, match=r"stm_sweep_setpoint should be a Setpoint or a pair \(bias in V"):
            stm.sweep.setpoint.set(wrong)
    with pytest.raises(LimitError, match="stm_sweep_setpoint_after bias"):
        stm.sweep.setpoint_after.set((-11, 0.1))


def test_afterwards_the_feedback_is_left_where_it_was_or_where_asked(stm, fake):
    stm.sweep.setpoint.put(Setpoint(-0.8, 0.2))
    stm.sweep.trigger().wait(5)
    assert fake.get_setpoint() == Setpoint(-1.0, 0.1)
    stm.sweep.setpoint_after.put(Setpoint(-1.5, 0.05))
    stm.sweep.trigger().wait(5)
    assert (fake.get_bias(), fake.get_setpoint().current) == pytest.approx((-1.5, 0.05))
    assert fake.get_feedback()


def test_a_set_point_after_the_sweep_passes_the_interlocks_too(stm, fake, check_limits):
    with pytest.raises(LimitError, match="stm_sweep_setpoint_after bias"):
        check_limits(bps.mv(stm.sweep.setpoint_after, Setpoint(-11.0, 0.1)))
    stm.sweep.setpoint_after.put(Setpoint(1.0, 0.1))
    with pytest.raises(LimitError, match="the tip would touch"):
        stm.sweep.trigger()
    assert "sweep" not in fake.names_asked()


def test_it_is_set_as_a_whole_too(RE, stm):
    asked = SweepSettings(-0.5, 0.25, 31, setpoint=Setpoint(-0.8, 0.2))
    RE(bps.mv(stm.sweep, asked))
    assert stm.sweep.settings == asked


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        ("start", -11.0),
        ("end", float("nan")),
        ("points", 1),
        ("averages", 0),
        ("settle", -0.1),
        ("setpoint", Setpoint(-1.0, 60.0)),
        ("setpoint", Setpoint(-11.0, 0.1)),
        ("z_offset", -5.0),
    ],
)
def test_check_limits_sees_every_setting(stm, signal, value, check_limits):
    with pytest.raises(LimitError, match=f"stm_sweep_{signal}"):
        check_limits(bps.mv(getattr(stm.sweep, signal), value))


def test_a_dose_that_is_too_large_is_refused(fake):
    stm = STM(controller=fake, limits=Limits(current=(0, 1.0), dose=1.0))
    long_at_high_current = SweepSettings(points=101, integrate=0.02, setpoint=Setpoint(-1.0, 0.6))
    with pytest.raises(LimitError, match="more than half of 1 nA, for 2"):
        stm.sweep.set(long_at_high_current)


def test_a_tip_pushed_beyond_its_range_is_refused(fake):
    stm = STM(controller=fake, limits=Limits(z=(-0.2, 100.0)))
    stm.sweep.z_offset.put(-0.5)
    with pytest.raises(LimitError, match="z with its offset"):
        stm.sweep.trigger()
    assert "sweep" not in fake.names_asked()


def test_the_shape_is_declared_before_anything_is_measured(stm):
    stm.sweep.points.put(51)
    declared = stm.sweep.describe()
    assert declared["stm_sweep_didv"]["shape"] == [51]
    assert declared["stm_sweep_didv"]["dtype_numpy"] == "<f8"
    assert declared["stm_sweep_didv"]["units"] == "nS"
    assert list(declared) == list(stm.sweep.read())


def test_before_the_first_sweep_nothing_is_known(stm):
    reading = data(stm.sweep)
    assert np.isnan(reading["stm_sweep_current"]).all()
    assert Quality(reading["stm_sweep_quality"]) is Quality.INCOMPLETE


def test_a_second_trigger_does_not_start_a_second_sweep(stm, fake):
    fake.delay("sweep", 0.3)
    first = stm.sweep.trigger()
    assert stm.sweep.trigger() is first
    first.wait(5)
    assert fake.names_asked().count("sweep") == 1
    stm.sweep.trigger().wait(5)
    assert fake.names_asked().count("sweep") == 2


def test_progress_reaches_those_who_watch(stm, fake):
    fake.delay("sweep", 0.2)
    told = []
    status = stm.sweep.trigger()
    status.watch(lambda **kwargs: told.append(kwargs))
    status.wait(5)
    points = [t["current"] for t in told if "current" in t]
    assert points == sorted(points)
    assert points[-1] == 121
    assert told[0]["name"] == "stm_sweep"
    assert told[0]["unit"] == "point"


def test_a_fault_of_the_controller_fails_the_status(stm, fake):
    fake.fail("sweep", TipCrashError("the tip touched"), part=0.3)
    with pytest.raises(TipCrashError):
        stm.sweep.trigger().wait(5)
    assert fake.safe


def test_a_controller_with_fewer_points_is_not_believed(stm, fake):
    fake.answer("sweep", fake.sweep(SweepSettings(points=50)))
    with pytest.raises(NotCapableError, match="50 points of the 121"):
        stm.sweep.trigger().wait(5)


def test_unstaging_ends_a_sweep_under_way(stm, fake):
    fake.delay("sweep", 5.0)
    stm.sweep.stage()
    status = stm.sweep.trigger()
    time.sleep(0.1)
    stm.sweep.unstage()
    status.wait(2)
    assert fake.get_feedback()
    assert fake.get_bias() == -1.0


def test_a_count_of_sweeps_counts_sweeps(RE, stm, docs):
    RE(bp.count([stm.sweep, stm.tip, stm.current], 3))
    assert docs.streams() == {"primary": 3}
