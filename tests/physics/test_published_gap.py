"""The published slope fit, where a side of the spectrum has no onset: no value here, a number there, on request the same one.

Source: scalarizer.py of the public repository gnganesh99/DKL_on_STM, the code of the published runs
(doi:10.1038/s41524-025-01642-1). A side begins with an onset of 0 V, which stays where at most two samples lie below a fifth of
its largest one; a side whose best line does not rise gets -4 V.
"""

import numpy as np
import pytest

from bluesky_stm.files import read
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Setpoint, Spectrum
from bluesky_stm.protocols import Failed
from bluesky_stm.scalarizers import make_scalarizer

BIAS = np.linspace(-1.5, 1.5, 121)
ours = make_scalarizer("bandgap_slopefit")
theirs = make_scalarizer("bandgap_slopefit:failed=published")


def spectrum(lockin_x):
    return Spectrum(
        position=Point(0, 0), bias=BIAS, current=0 * BIAS, lockin_x=lockin_x, lockin_y=0 * BIAS, didv=lockin_x,
        setpoint=Setpoint(-1.5, 0.2),
    )  # fmt: skip


RISING = np.clip(BIAS - 0.5, 0, None)  # an onset at +0.5 V, nothing at negative bias


def test_where_both_sides_have_an_onset_both_give_the_same_gap():
    both = spectrum(RISING + np.clip(-0.8 - BIAS, 0, None))
    assert theirs(both) == ours(both) == pytest.approx(1.3, abs=0.04)


def test_a_side_that_exceeds_a_fifth_at_once_counts_as_0_v_there():
    noise = np.where(BIAS < 0, 0.01 + 0.002 * np.sin(40 * BIAS), 0.0)
    one_sided = spectrum(RISING + noise)
    assert isinstance(ours(one_sided), Failed)
    assert theirs(one_sided) == pytest.approx(0.5, abs=0.06)  # the trailing mean shifts an onset by 1.5 samples


def test_a_side_on_which_no_line_rises_counts_as_minus_4_v_there():
    falling = np.where(BIAS < 0, 0.02 * np.clip(BIAS + 0.4, 0, None), 0.0)  # falls away from zero, then stays at nothing
    falling[0] = 1.0
    one_sided = spectrum(RISING + falling)
    assert isinstance(ours(one_sided), Failed)
    assert theirs(one_sided) == pytest.approx(0.5 - 4.0, abs=0.06)


def test_in_the_wide_frame_28_spectra_of_267_have_no_gap_where_the_published_code_gives_one(data_file):
    """The same split as the public code run on the same file: 24 sides of 0 V and 4 of -4 V."""
    without = [s for s in read(data_file("Figure3_large_area_250nm.hf5")).spectra if isinstance(ours(s), Failed)]
    numbers = np.array([theirs(s) for s in without])
    assert len(without) == 28
    assert np.count_nonzero(numbers < -1) == 4
    assert np.count_nonzero(numbers > 0) == 24
