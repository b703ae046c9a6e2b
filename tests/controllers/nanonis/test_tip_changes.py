"""The Nanonis wing says of a spectrum that the tip changed within it, by the rule of all wings."""

import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings


@pytest.fixture
def microscope():
    """Every spectrum has a jump of a quarter to 30 % of the current, at a random bias: now and then where current flows."""
    return SimulatedController(seed=3, profile="good_day:jump_rate=1,least_jump=0.25,jump=0.3")


def test_a_jump_within_a_sweep_marks_the_spectrum_and_a_good_one_stays_good(controller):
    """A third of the sweep carries a current that can be judged."""
    sweeps = [controller.sweep(SweepSettings(-1.5, 1.4, 117)) for _ in range(12)]
    changed = [bool(spectrum.quality & Quality.TIP_CHANGED) for spectrum in sweeps]
    assert 1 <= sum(changed) <= 8
