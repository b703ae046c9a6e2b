"""The Nanonis wing says of a spectrum that the tip changed within it, by the rule of all wings."""

import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings


@pytest.fixture
def microscope():
    """In about every second spectrum the current jumps by a quarter to a half, up or down."""
    return SimulatedController(seed=3, profile="good_day:wear_field=0.6,jump=[0.25,0.4]")


def test_a_jump_within_a_sweep_marks_the_spectrum_and_a_good_one_stays_good(controller):
    sweeps = [controller.sweep(SweepSettings(-1.5, 1.4, 117)) for _ in range(12)]
    changed = [bool(spectrum.quality & Quality.TIP_CHANGED) for spectrum in sweeps]
    assert 1 <= sum(changed) < 12
