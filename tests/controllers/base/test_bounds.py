"""What no microscope can do is refused in a sentence, before anything moves, whatever microscope it is."""

import math
from dataclasses import replace

import pytest

from bluesky_stm.controllers import FakeController, RealClock, SimulatedController
from bluesky_stm.controllers.base import BOUNDS
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import controllers
from bluesky_stm.protocols import FeedbackGains, SweepSettings, TipShape

FRAME, SWEEP = Frame.square((0.0, 0.0), 10.0, 16), SweepSettings(-1.5, 1.0, 16, 0.001, 0.001)

ASKED = {
    "speed": lambda c, value: c.move_tip(Point(1.0, 1.0), speed=value),
    "line_time": lambda c, value: c.scan(FRAME, value),
    "settle": lambda c, value: c.sweep(replace(SWEEP, settle=value)),
    "integrate": lambda c, value: c.sweep(replace(SWEEP, integrate=value)),
    "averages": lambda c, value: c.sweep(replace(SWEEP, averages=value)),
    "points": lambda c, value: c.sweep(replace(SWEEP, points=value)),
    "z_offset": lambda c, value: c.sweep(replace(SWEEP, z_offset=value)),
    "width": lambda c, value: c.pulse(2.0, value),
    "depth": lambda c, value: c.shape_tip(TipShape(value)),
    "hold": lambda c, value: c.shape_tip(TipShape(0.5, hold=value)),
    "lift": lambda c, value: c.shape_tip(TipShape(0.5, lift=value)),
    "integral": lambda c, value: c.set_gains(FeedbackGains(0.01, value)),
    "proportional": lambda c, value: c.set_gains(FeedbackGains(value, 10.0)),
    "amplitude": lambda c, value: c.set_lockin(replace(c.get_lockin(), amplitude=value)),
    "frequency": lambda c, value: c.set_lockin(replace(c.get_lockin(), frequency=value)),
    "drift": lambda c, value: c.set_drift((value, 0.0)),
}


@pytest.fixture(params=[SimulatedController, FakeController])
def controller(request):
    return request.param()


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("value", [1e308, math.inf, math.nan])
def test_a_value_that_makes_no_sense_is_refused_at_once(controller, what, value):
    """A time of 1e308 s would never end; what is no number is no value."""
    before = controller.now(), controller.get_tip(), controller.get_gains(), controller.get_drift()
    with pytest.raises((LimitError, SettingsError)) as refusal:
        ASKED[what](controller, value)
    assert str(refusal.value).count(".") >= 2, "it says what was asked, and what happened"
    assert (controller.now(), controller.get_tip(), controller.get_gains(), controller.get_drift()) == before


@pytest.mark.parametrize("what", ["speed", "line_time", "width", "integral"])
def test_nothing_is_done_in_no_time_and_with_no_gain(controller, what):
    with pytest.raises(LimitError, match=f"{BOUNDS[what].what} has to be above 0"):
        ASKED[what](controller, 0.0)


def test_a_sweep_of_days_is_refused_though_each_of_its_points_is_short(controller):
    with pytest.raises(LimitError, match="86400 s"):
        controller.sweep(replace(SWEEP, settle=1.0, points=1000, averages=1000))


@pytest.mark.parametrize("speed", [1e308, math.inf, 1e-9])
def test_a_clock_that_runs_away_or_stands_still_is_refused(speed):
    """A simulated night of 1e308 s would have more changes of the tip than could ever be drawn."""
    with pytest.raises((LimitError, SettingsError)):
        controllers.make(f"simulated:speed={speed}").open()
    with pytest.raises(LimitError):
        RealClock(speed)
