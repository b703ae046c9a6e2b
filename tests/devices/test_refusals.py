"""What would run the tip into the surface, or leave it there with nothing to hold it, is refused before anything moves."""

import math
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from ophyd.utils import ReadOnlyError

from bluesky_stm.devices import BiasPulse
from bluesky_stm.errors import LimitError, LostConnectionError, SettingsError, STMError, TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.plans import safely
from bluesky_stm.protocols import SweepSettings

ACTS = {"move_tip", "sweep", "scan", "ramp_bias", "approach", "set_drift", "set_gains", "set_lockin", "pulse"}


@pytest.fixture
def unmoved(fake):
    """``unmoved()``: the controller was asked to do nothing."""
    return lambda: not ACTS & set(fake.names_asked())


# ---- no current would hold the tip ----


def test_at_zero_volts_nothing_is_approached(stm, fake):
    stm.z.withdraw().wait(5)
    stm.bias.set(0.0).wait(5)
    with pytest.raises(LimitError, match="no current that would hold the tip"):
        stm.z.approach()
    assert fake.is_withdrawn()


def test_a_tip_found_in_the_air_at_zero_volts_is_left_so(RE, stm, fake):
    """With the tip at the surface no feedback could hold it at the bias that comes back."""
    stm.z.withdraw().wait(5)
    stm.bias.set(0.0).wait(5)

    def plan():
        yield from bps.mv(stm.bias, 1.0)
        yield from bps.mv(stm.z.contact, True)

    RE(safely(stm, plan()))
    assert fake.is_withdrawn() and not fake.get_feedback()
    assert fake.get_bias() == 0.0


def test_no_sweep_starts_from_zero_volts_or_from_the_other_side(stm, unmoved, check_limits):
    with pytest.raises(LimitError, match="no current that would hold the tip"):
        check_limits(bps.mv(stm.sweep, SweepSettings(setpoint=Setpoint(0.0, 0.1))))
    stm.sweep.set(SweepSettings(setpoint=Setpoint(0.5, 0.1)))  # the tip is at -1 V
    with pytest.raises(LimitError, match="beyond 0 V"):
        stm.sweep.trigger()
    assert unmoved()


def test_a_bias_at_which_the_tip_would_touch_is_refused(stm, unmoved):
    """0.1 nA at 1.3 uV is one quantum of conductance, 77.5 uS: that of an atom in contact."""
    for bias in (-1.2e-6, 1.2e-6, -1e-12):
        with pytest.raises(LimitError, match="no current that would hold the tip"):
            stm.bias.set(bias)
    assert unmoved()
    stm.bias.set(-1.4e-6).wait(5)


# ---- moves ----


@pytest.mark.parametrize("move", [lambda stm: stm.tip.set(Point(3, 0)), lambda stm: stm.tip.x.set(3)])
def test_the_tip_is_not_dragged_over_the_surface_with_the_feedback_open(stm, fake, unmoved, move):
    fake.set_feedback(False)
    with pytest.raises(LimitError, match="feedback is open"):
        move(stm).wait(5)
    assert unmoved()
    stm.z.withdraw().wait(5)
    stm.tip.set(Point(3, 0)).wait(5)
    assert stm.tip.position == Point(3, 0)


@pytest.mark.parametrize("velocity", [(math.nan, 0.0), (0.0, math.inf), (0.0, -1001.0)])
def test_a_drift_that_no_feedback_follows_is_not_compensated(stm, fake, velocity, check_limits):
    """The tip moves with it, without end."""
    with pytest.raises(LimitError, match="stm_drift"):
        check_limits(bps.mv(stm.drift, velocity))
    with pytest.raises(LimitError, match="stm_drift"):
        stm.drift.set(velocity)
    assert fake.get_drift() == (0.0, 0.0)


@pytest.mark.parametrize("velocity", [(0.0,), (1.0, 2.0, 3.0)])
def test_a_drift_without_two_components_is_none(stm, fake, velocity):
    with pytest.raises(SettingsError, match="stm_drift should be two speeds"):
        stm.drift.set(velocity)
    assert fake.get_drift() == (0.0, 0.0)


# ---- the bias that is really applied ----


def test_a_modulation_that_takes_the_bias_beyond_its_interlock_is_refused(stm, fake, unmoved, check_limits):
    """At -1 V, of -10 V to 10 V."""
    with pytest.raises(LimitError, match="stm_lockin_amplitude"):
        check_limits(bps.mv(stm.lockin.amplitude, 9.5))
    assert unmoved()
    stm.lockin.amplitude.set(0.02).wait(5)
    assert fake.get_lockin().amplitude == 0.02


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_everywhere(stm, unmoved, value):
    for signal in (
        stm.z.integral,
        stm.z.proportional,
        stm.lockin.response,
        stm.lockin.phase,
        stm.lockin.offset,
        stm.sweep.settle,
    ):
        with pytest.raises(LimitError, match=signal.name):
            signal.set(value)
    assert unmoved()


def test_a_lock_in_without_response_is_refused(stm, fake):
    """Its dI/dV would be infinite."""
    with pytest.raises(SettingsError, match="response"):
        stm.lockin.response.set(0.0).wait(5)


def test_the_gain_of_the_lock_in_follows_from_its_settings(stm, fake):
    """It cannot be set; a response of 0.7 makes 0.7 times the amplitude of it."""
    with pytest.raises(ReadOnlyError):
        stm.lockin.gain.set(0.007)
    stm.lockin.amplitude.set(0.02).wait(5)
    assert stm.lockin.gain.get() == pytest.approx(0.014)


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan])
def test_a_pulse_has_a_width(width):
    with pytest.raises(SettingsError, match="width"):
        BiasPulse(3.0, width)


@pytest.mark.parametrize("times", [{"settle": math.nan}, {"integrate": math.nan}, {"settle": -1.0}])
def test_a_sweep_has_times(times):
    with pytest.raises(SettingsError, match="no negative time"):
        SweepSettings(**times)


# ---- a whole plan, a whole setting ----


def test_what_is_refused_in_part_is_refused_as_a_whole(stm):
    before = stm.sweep.settings, stm.scanner.frame
    with pytest.raises(LimitError, match="stm_sweep_z_offset"):
        stm.sweep.set(SweepSettings(start=-0.7, z_offset=5.0))
    with pytest.raises(LimitError, match="stm_scanner_rows"):
        stm.scanner.set(Frame(Point(1, 1), (50, 50), (20_000, 10)))
    assert (stm.sweep.settings, stm.scanner.frame) == before


@pytest.mark.parametrize(
    "plan",
    [
        lambda stm: bps.mv(stm.bias, 11.0),
        lambda stm: bps.mv(stm.tip, Point(0, 501)),
        lambda stm: bps.mv(stm.tip.speed, 20_000.0),
        lambda stm: bps.mv(stm.z.setpoint, 51.0),
        lambda stm: bps.mv(stm.sweep, SweepSettings(stop=11.0)),
        lambda stm: bps.mv(stm.sweep, SweepSettings(points=100_001)),
        lambda stm: bps.mv(stm.sweep, SweepSettings(z_offset=2.0)),
        lambda stm: bps.mv(stm.sweep, SweepSettings(setpoint=Setpoint(-1.0, 51.0))),
        lambda stm: bps.mv(stm.scanner, Frame.square((450, 0), 200, 16)),
        lambda stm: bps.mv(stm.scanner.center_x, 501.0),
        lambda stm: bps.mv(stm.scanner.width, 1415.0),  # the diagonal of 1000 nm x 1000 nm is 1414.2 nm
        lambda stm: bps.mv(stm.grid, Frame.square((0, 0), 20, 20_000)),
        lambda stm: bps.mv(stm.pulse, BiasPulse(11.0, 0.1)),
        lambda stm: bps.mv(stm.pulse, BiasPulse(3.0, 61.0)),
    ],
)
def test_each_interlock_refuses_a_plan_before_its_first_message(stm, unmoved, plan, check_limits):
    def whole():
        yield from bps.mv(stm.tip, Point(1, 1))
        yield from bp.count([stm.sweep])
        yield from plan(stm)

    with pytest.raises(LimitError):
        check_limits(whole())
    assert unmoved()


# ---- what outlives a plan ----


def test_a_feedback_opened_by_a_plan_does_not_stay_open_after_it(RE, stm, fake):
    def plan():
        yield from bps.mv(stm.z.feedback, False)
        assert not fake.get_feedback()
        raise ZeroDivisionError("a bug in the plan")

    with pytest.raises(ZeroDivisionError):
        RE(plan())
    assert fake.get_feedback()


def test_the_bias_comes_back_to_a_tip_that_was_withdrawn_on_the_way(RE, stm, fake):
    def plan():
        yield from bps.mv(stm.bias, -2.0, stm.z.setpoint, 0.3)
        yield from bps.mv(stm.z.contact, False)

    RE(safely(stm, plan()))
    assert fake.is_withdrawn() and not fake.get_feedback()
    assert fake.get_bias() == pytest.approx(-1.0)
    assert fake.get_setpoint().current == pytest.approx(0.1)


def test_the_bias_comes_back_after_a_crash_too(RE, stm, fake):
    fake.fail("sweep", TipCrashError("the tip touched"), part=0.5)

    def plan():
        yield from bps.mv(stm.bias, -2.0)
        yield from bps.trigger(stm.sweep, wait=True)

    with pytest.raises(Exception, match="touched"):
        RE(safely(stm, plan()))
    assert fake.is_withdrawn()
    assert fake.get_bias() == pytest.approx(-1.0)


def test_the_first_fault_is_the_one_that_is_told(stm):
    stm.latch(TipCrashError("the tip touched"))
    stm.latch(LostConnectionError("the cable is out"))
    assert isinstance(stm.fault, TipCrashError)


def test_a_grid_stopped_between_a_move_and_its_sweep_sweeps_no_more(stm, fake):
    stm.sweep.set(SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001))
    stm.grid.set(Frame.square((0, 0), 10, 2))
    move = fake.move_tip

    def stopped_on_arrival(*asked):
        here = move(*asked)
        stm.stop()
        return here

    fake.move_tip = stopped_on_arrival
    stm.grid.kickoff().wait(1)
    with pytest.raises(Exception, match="stopped"):
        stm.grid.complete().wait(5)
    assert "sweep" not in fake.names_asked()


def test_a_suspender_goes_on_looking_after_a_bug_in_the_controller(stm, fake):
    seen = []
    fake.fail("read_current", ZeroDivisionError("a bug in the controller"), at=2)
    stm.watch.current.subscribe(lambda value, **_: seen.append(value), run=False)
    asked = fake.counts["read_current"]
    deadline = time.monotonic() + 5
    while fake.counts["read_current"] < asked + 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    stm.watch.current.unsubscribe_all()
    assert len(seen) >= 2


def test_a_current_that_is_no_number_is_a_lost_contact(stm, fake):
    fake.answer("read_current", math.nan)
    assert stm.watch.lost_contact.get()


# ---- documents ----


def test_a_drift_is_described_as_it_is(RE, stm, docs):
    RE(bp.count([stm.drift]))
    (descriptor,) = docs.of("descriptor")
    assert descriptor["data_keys"]["stm_drift"]["shape"] == [2]
    assert list(docs.events()[0]["stm_drift"]) == [0.0, 0.0]


# ---- what is of another kind than is wanted ----

WRONG = ["x", "1", "False", None, float("nan"), (1,), [1, 2, 3], {}, object(), BiasPulse]
FITS = {"feedback", "contact", "on", "allow_crossing", "backward", "native"}
"""Signals of truth values."""


def settable(stm):
    """Every device and signal that a plan can set, by its name."""
    devices = [stm.tip, stm.tip.x, stm.bias, stm.sweep, stm.scanner, stm.grid, stm.pulse, stm.shaper, stm.drift, stm.conditions]
    parts = [
        getattr(device, name)
        for device in (stm.sweep, stm.scanner, stm.grid, stm.tip, stm.bias, stm.z, stm.lockin)
        for name in device.component_names
    ]
    return {one.name: one for one in [*devices, *(part for part in parts if getattr(part, "write_access", True))]}


def test_what_is_of_another_kind_is_refused_by_its_name_in_one_sentence(RE, stm, unmoved):
    """A text "False" would open an interlock, as every text counts as true."""
    taken = []
    for name, one in settable(stm).items():
        number = not any(name.endswith(f"_{fits}") for fits in FITS)
        for wrong in [*WRONG, *([True] if number else [2, 1.0])]:
            if wrong is None and name.endswith(("_setpoint", "_setpoint_after")) and name.startswith("stm_sweep"):
                continue  # what stands
            try:
                RE(bps.mv(one, wrong))
                taken.append((name, wrong))
            except STMError as refused:
                assert name in str(refused) and "Nothing has moved" in str(refused)
    assert not taken
    assert unmoved() and stm.fault is None


def test_numbers_of_numpy_are_numbers(RE, stm):
    RE(bps.mv(stm.tip.x, np.float32(1.5), stm.sweep.points, np.int64(7), stm.bias.allow_crossing, np.bool_(True)))
    RE(bps.mv(stm.tip, np.array([1.0, 2.0]), stm.drift, np.array([0.0, 0.01])))
    assert stm.tip.position == Point(1.0, 2.0) and stm.sweep.settings.points == 7
