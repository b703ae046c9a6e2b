"""Sweeps of several segments in the simulated software: each has its own ends, points, times and lock-in."""

import numpy as np
import pytest

CURRENT, LOCKIN_X = 0, 86

SEGMENTS = [3, [-1.5, -0.2, 0.9], [-1.0, 0.2, 1.5], [0.0] * 3, [0.001] * 3, [0.001, 0.01, 0.001], [6, 3, 4], [1, 0, 1]]


def test_segments_follow_one_another_each_with_its_own_ends_and_points(client):
    client.BiasSpectr_MLSModeSet("MLS")
    client.quick("BiasSpectr.MLSValsSet", SEGMENTS, ["i", "*f", "*f", "*f", "*f", "*f", "*i", "*I"])
    client.BiasSpectr_ChsSet([CURRENT])
    bias, current = client.BiasSpectr_Start(1, "")[5]
    ends = [np.linspace(-1.5, -1.0, 6), np.linspace(-0.2, 0.2, 3), np.linspace(0.9, 1.5, 4)]
    np.testing.assert_allclose(bias, np.concatenate(ends), atol=1e-6)
    assert abs(current[0]) == pytest.approx(0.2e-9, rel=0.3)
    assert np.abs(current[6:9]).max() < 0.02e-9  # in the gap
    assert current[-1] > 0.2e-9


def test_each_segment_runs_the_lock_in_by_its_own_switch_once_that_is_asked_for(ask):
    ask("LockIn.ModOnOffSet", 1, 0)
    ask("BiasSpectr.ChsSet", [LOCKIN_X])
    ask("BiasSpectr.MLSModeSet", "MLS")
    ask("BiasSpectr.MLSValsSet", *SEGMENTS)
    together = ask("BiasSpectr.Start", 1, "")[1][1]
    assert np.all(np.isfinite(together))
    ask("BiasSpectr.MLSLockinPerSegSet", 1)
    apart = ask("BiasSpectr.Start", 1, "")[1][1]
    read = np.isfinite(apart) & (apart != 0)
    assert read.tolist() == [True] * 6 + [False] * 3 + [True] * 4


def test_outside_their_mode_segments_are_refused_in_the_words_of_the_vendors_software(ask, refused):
    assert ask("BiasSpectr.MLSModeGet") == ("Linear",)
    text = "Bias spectroscopy module is not in multi segment mode.  It must be explicitly set before calling this command"
    assert refused("BiasSpectr.MLSLockinPerSegGet").replace(".  ", ". ") == text.replace(".  ", ". ")
    assert "multi segment mode" in refused("BiasSpectr.MLSValsSet", *SEGMENTS)
    assert "no sweep mode" in refused("BiasSpectr.MLSModeSet", "both")


def test_more_than_sixteen_segments_are_ignored(ask):
    ask("BiasSpectr.MLSModeSet", "MLS")
    many = [[-1.5] * 20, [1.0] * 20, [0.0] * 20, [0.001] * 20, [0.001] * 20, [2] * 20, [0] * 20]
    ask("BiasSpectr.MLSValsSet", 20, *many)
    count, starts, *_ = ask("BiasSpectr.MLSValsGet")
    assert (count, len(starts)) == (16, 16)
