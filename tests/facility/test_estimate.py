"""The time of an exploration, known before it begins."""

import pytest

from bluesky_stm import simulated
from bluesky_stm.facility import estimate
from bluesky_stm.plans import explore_multiscale
from bluesky_stm.settings import LengthScale

SCALES = [
    LengthScale(name="large", frame=50, pixels=64, patch=8, step=4, budget=12, seeds=12, agent="random"),
    LengthScale(name="small", frame=10, pixels=32, patch=2, step=1, budget=20, seeds=20, agent="random"),
]


def test_the_estimate_is_what_the_clock_of_the_microscope_says_afterwards(tmp_path):
    """Within a tenth."""
    with simulated(seed=2, catalog=tmp_path) as session:
        expected = estimate(session.stm, SCALES)
        began = session.stm.controller.now()
        session.RE(explore_multiscale(session.stm, SCALES, session.agent))
        took = session.stm.controller.now() - began
    assert expected.topographs + expected.spectra == pytest.approx(took, rel=0.1)


def test_slower_lines_and_more_averages_take_longer(tmp_path):
    with simulated(catalog=tmp_path) as session:
        session.stm.scanner.line_time.put(1.0)
        one = estimate(session.stm, SCALES)
        session.stm.scanner.line_time.put(3.0)
        session.stm.sweep.averages.put(5)
        session.stm.sweep.backward.put(True)
        other = estimate(session.stm, SCALES)
    assert one.topographs == 2 * (64 + 32 + 64) * 1.0, "two topographs, and the overview that finds the child again"
    assert other.topographs == 3 * one.topographs
    assert other.spectra - one.spectra == pytest.approx(9 * 32 * 121 * 0.014), "32 sweeps of 121 points, 14 ms each, ten ways"
    assert other.decisions == one.decisions
    assert "topographs 0:16:00" in str(other)
