"""A set point that is reached only in contact, below 0.25 nm, crashes the tip wherever it comes over such a place."""

import numpy as np
import pytest

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.errors import TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import CONTACT, Surface, SurfacePoints

SEED, SIDE, PIXELS = 3, 4.0, 16
GAPPED = Setpoint(0.9, 1.0)
"""Near the conduction band of EuZn2As2: here and there hardly a state carries the current."""


def gaps(frame, setpoint):
    return SurfacePoints(Surface(seed=SEED), frame.points().reshape(-1, 2)).gap(setpoint).reshape(frame.pixels)


def frames():
    """Frames in whose lower and upper left corners the tip stands well, each with the gaps of its pixels."""
    for x, y in np.random.default_rng(0).uniform(-40, 40, (120, 2)):
        frame = Frame.square((float(x), float(y)), SIDE, PIXELS)
        found = gaps(frame, GAPPED)
        if min(found[0, 0], found[-1, 0]) > 0.3:
            yield frame, found


def microscope(place):
    """A tip that stands at a place, with the set point."""
    stm = SimulatedController(seed=SEED, profile=IDEAL)
    stm.move_tip(place, 1000.0)
    stm.ramp_bias(GAPPED.bias)
    stm.set_setpoint_current(GAPPED.current)
    return stm


def test_no_gap_is_found_between_contact_and_nothing():
    found = SurfacePoints(Surface(seed=SEED), np.random.default_rng(1).uniform(-40, 40, (4000, 2))).gap(GAPPED)
    kept = found[np.isfinite(found)]
    assert kept.min() >= CONTACT and 0.5 < len(kept) / len(found) < 0.95


def test_an_image_crashes_the_tip_where_its_set_point_is_reached_in_contact_only():
    ends = []
    for frame, found in frames():
        stm, bad = microscope(frame.to_sample((0.0, 0.0))), not np.isfinite(found).all()
        if bad in ends:
            continue
        ends.append(bad)
        if bad:
            with pytest.raises(TipCrashError, match="No states carry"):
                stm.scan(frame, line_time=10.0)
        else:
            stm.scan(frame, line_time=10.0)
    assert sorted(ends) == [False, True]


def test_a_move_to_such_a_place_and_a_set_point_there_crash_the_tip():
    frame, found = next((frame, found) for frame, found in frames() if not np.isfinite(found).all())
    good, bad = Point(*frame.to_sample((0.0, 0.0))), Point(*frame.to_sample(np.argwhere(~np.isfinite(found))[0]))
    with pytest.raises(TipCrashError):
        microscope(good).move_tip(bad, 5.0)
    with pytest.raises(TipCrashError, match="No states carry"):
        microscope(bad)  # which comes there at another set point, for which there are states


def test_a_sweep_from_such_a_set_point_crashes_the_tip():
    stm = SimulatedController(seed=SEED, profile=IDEAL)
    with pytest.raises(TipCrashError):
        stm.sweep(SweepSettings(setpoint=Setpoint(-0.1, 1.0)))
