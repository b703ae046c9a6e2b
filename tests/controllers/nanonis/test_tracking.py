"""Atom tracking and drift compensation of the simulated software, over a surface that drifts."""

import time

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_server._software import Software
from bluesky_stm.geometry import Frame, Point

MODULATION, CONTROLLER, DRIFT = 0, 1, 2
STEADY = {"name": "ideal", "drift": (0.0, 0.0)}


def software(**profile):
    """The software of a microscope without noise, its tip on what stands out most in 20 nm: an adsorbate or a defect."""
    microscope = SimulatedController(seed=3, profile={**STEADY, **profile})
    made = Software(microscope)
    frame = Frame.square((0.0, 0.0), 20.0, 96)
    inner = SimulatedController(seed=3, profile=STEADY).scan(frame).height[10:-10, 10:-10]
    row, column = np.unravel_index(np.argmax(inner), inner.shape)
    microscope.move_tip(Point(*frame.to_sample((row + 10, column + 10))))
    return made, microscope


def ask(made, command, *values):
    answer, error = made.answer(command, list(values))
    assert not error, error
    return answer


def test_the_tip_climbs_to_what_stands_out_and_stays_there():
    made, microscope = software()
    start = microscope.get_tip()
    microscope.move_tip(start.point._replace(x=start.x + 0.12))
    ask(made, "AtomTrack.PropsSet", 20.0, 20.0, 0.2e-9, 0.0, 0.0)
    lower = microscope.get_tip().z
    for _ in range(60):
        made.tracking.step()
    held = microscope.get_tip()
    assert held.z > lower
    assert held.z >= start.z - 1e-3
    for _ in range(20):
        made.tracking.step()
    assert np.hypot(microscope.get_tip().x - held.x, microscope.get_tip().y - held.y) < 0.05


def test_turned_by_half_a_turn_it_goes_down_instead():
    made, microscope = software()
    ask(made, "AtomTrack.PropsSet", 20.0, 20.0, 0.2e-9, 180.0, 0.0)
    start = microscope.get_tip()
    microscope.move_tip(start.point._replace(x=start.x + 0.05))
    for _ in range(60):
        made.tracking.step()
    assert microscope.get_tip().z < start.z


def test_what_is_tracked_tells_the_drift_which_is_then_compensated():
    """Within 3 %: after that what is tracked stands still, and the next measurement has nothing to add."""
    made, microscope = software(drift=(0.004, -0.002))
    ask(made, "AtomTrack.PropsSet", 20.0, 20.0, 0.2e-9, 0.0, 0.0)
    for _ in range(40):
        made.tracking.step()
    ask(made, "AtomTrack.CtrlSet", DRIFT, 1)
    for _ in range(60):
        microscope._bench.acts.clock.sleep(1.0)
        made.tracking.step()
    ask(made, "AtomTrack.DriftComp")
    on, vx, vy, *_ = ask(made, "Piezo.DriftCompGet")
    assert on
    np.testing.assert_allclose([1e9 * vx, 1e9 * vy], [0.004, -0.002], atol=1e-4)
    assert microscope.get_drift() == pytest.approx((1e9 * vx, 1e9 * vy))
    for _ in range(60):
        microscope._bench.acts.clock.sleep(1.0)
        made.tracking.step()
    np.testing.assert_allclose(made.tracking.drift()[:2], 0.0, atol=1e-4)
    made.close()


def test_tracking_runs_by_itself_as_long_as_its_controller_is_on():
    made, _ = software()
    ask(made, "AtomTrack.CtrlSet", CONTROLLER, 1)
    assert ask(made, "AtomTrack.StatusGet", MODULATION) == [True]
    end = time.monotonic() + 30
    while len(made.tracking.centers) < 3:
        assert time.monotonic() < end
    ask(made, "AtomTrack.CtrlSet", CONTROLLER, 0)
    assert not made.is_doing("tracking")
    made.close()


def test_drift_that_nobody_has_measured_is_not_compensated():
    made, _ = software()
    assert "off" in made.answer("AtomTrack.DriftComp", [])[1]
    ask(made, "AtomTrack.CtrlSet", DRIFT, 1)
    assert "long enough" in made.answer("AtomTrack.DriftComp", [])[1]
    made.close()


def test_without_feedback_nothing_is_tracked():
    made, microscope = software()
    microscope.set_feedback(False)
    assert "Z-Controller is off" in made.answer("AtomTrack.CtrlSet", [CONTROLLER, 1])[1]
    assert "Z-Controller is off" in made.answer("AtomTrack.QuickCompStart", [0])[1]
    made.close()


def test_a_compensation_stops_where_its_limit_is_along_that_axis_alone():
    """Ten per cent of the range, as it stands by default; the other axis goes on."""
    made, microscope = software()
    span = ask(made, "Piezo.RangeGet")[0]
    fast = 0.1 * span / 100.0  # its limit after 100 s
    ask(made, "Piezo.DriftCompSet", 1, fast, fast / 10, 0.0, 10.0)
    microscope._bench.acts.clock.sleep(90.0)
    assert ask(made, "Piezo.DriftCompGet")[4:7] == [False, False, False]
    microscope._bench.acts.clock.sleep(20.0)
    assert ask(made, "Piezo.DriftCompGet")[4:7] == [True, False, False]
    assert microscope.get_drift() == pytest.approx((0.0, 1e9 * fast / 10))
    made.close()
