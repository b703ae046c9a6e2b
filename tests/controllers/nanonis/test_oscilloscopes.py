"""Oscilloscopes and spectrum analyzers of the simulated software: traces, triggers, and the noise of a signal."""

import numpy as np
import pytest

from bluesky_stm.controllers.nanonis_server._oscilloscopes import SAMPLES, triggered

CURRENT, BIAS, Z, OUTPUT = 0, 24, 30, 32


def test_a_trace_is_the_signal_with_its_noise(ask):
    ask("Osci1T.ChSet", CURRENT)
    ask("Osci1T.Run")
    _, step, trace = ask("Osci1T.DataGet", 0)
    assert len(trace) == SAMPLES
    assert np.mean(trace) == pytest.approx(-0.2e-9, rel=0.1)
    assert 0 < np.std(trace) < 0.1e-9
    index, bases = ask("Osci1T.TimebaseGet")
    assert step == pytest.approx(bases[index] / SAMPLES)
    ask("Osci1T.TimebaseSet", 3)
    assert ask("Osci1T.DataGet", 0)[1] == pytest.approx(bases[3] / SAMPLES)


def test_an_oscilloscope_that_was_not_started_has_no_data(refused):
    assert "does not run" in refused("Osci1T.DataGet", 0)
    assert "make sure it is running" in refused("SpectrumAnlzr.DataGet", 1)


def test_a_trigger_waits_for_a_crossing_beyond_its_hysteresis():
    saw = np.array([0.0, 0.2, 0.9, 1.1, 0.9, 1.1, 0.2, 1.2])
    assert triggered(saw, 1.0, 0.5, rising=True) == 3
    assert triggered(saw[3:], 1.0, 0.5, rising=True) == 4  # 0.9 is not below 1.0 - 0.5
    assert triggered(saw, 1.0, 0.05, rising=False) == 4
    assert triggered(saw, 2.0, 0.1, rising=True) is None


def test_a_trace_begins_where_it_was_triggered(ask):
    ask("Osci1T.ChSet", CURRENT)
    ask("Osci1T.Run")
    level = float(np.mean(ask("Osci1T.DataGet", 0)[2]))
    ask("Osci1T.TrigSet", 1, 1, level, 0.0)
    for _ in range(3):
        trace = ask("Osci1T.DataGet", 1)[2]
        assert trace[0] >= level
        assert len(trace) == SAMPLES


def test_a_level_that_nothing_crosses_is_said_and_auto_shows_what_is_there(ask, refused):
    ask("Osci1T.ChSet", BIAS)
    ask("Osci1T.Run")
    ask("Osci1T.TrigSet", 1, 1, 5.0, 0.1)
    assert "nothing was triggered" in refused("Osci1T.DataGet", 1)
    ask("Osci1T.TrigSet", 2, 1, 5.0, 0.1)
    np.testing.assert_allclose(ask("Osci1T.DataGet", 1)[2], -1.5, atol=1e-6)


def test_two_traces_are_of_the_same_moments_and_averaging_lowers_their_noise(client):
    client.quick("Osci2T.ChsSet", [BIAS, CURRENT], ["i", "i"])
    client.Osci2T_Run()
    _, _, _, bias, _, current = client.Osci2T_DataGet(0)
    assert len(bias) == len(current) == SAMPLES
    np.testing.assert_allclose(bias, -1.5, atol=1e-6)
    client.Osci2T_OversamplSet(1)  # 20 readings a sample
    averaged = client.Osci2T_DataGet(0)[5]
    assert np.std(averaged) < 0.5 * np.std(current)


def test_the_spectrum_of_a_signal_holds_all_of_its_noise(server, ask, monkeypatch):
    """By Parseval's theorem: the density, summed over all frequencies, is the variance; a sine stands at its frequency."""
    number, rate = 256, 10_000.0
    rng = np.random.default_rng(1)
    times = iter(range(10**9))

    def fresh(index):
        return 2.0 + 0.5 * np.sqrt(2) * np.sin(2 * np.pi * 1250.0 * next(times) / rate) + 0.1 * rng.standard_normal()

    monkeypatch.setattr(server.software.signals, "fresh", fresh)
    ask("SpectrumAnlzr.Run", 1)
    ask("SpectrumAnlzr.ACCouplingSet", 1, 1)
    ask("SpectrumAnlzr.AveragSet", 1, 2, 0, 20)
    first, step, density = ask("SpectrumAnlzr.DataGet", 1)
    assert (first, step) == (0.0, rate / number)
    assert np.argmax(density) * step == pytest.approx(1250.0)
    assert np.sum(density**2) * step == pytest.approx(0.25 + 0.01, rel=0.1)
    ask("SpectrumAnlzr.CursorPosSet", 1, 4, 1000.0, 1500.0)
    band, low, high = ask("SpectrumAnlzr.BandRMSGet", 1)
    assert (low, high) == (1000.0, 1500.0)
    assert band == pytest.approx(0.5, rel=0.1)
    assert ask("SpectrumAnlzr.DCGet", 1)[0] == pytest.approx(2.0, rel=0.01)


def test_range_and_resolution_of_a_spectrum_are_chosen_from_their_lists(ask, refused):
    ask("SpectrumAnlzr.ChSet", 2, BIAS)
    ask("SpectrumAnlzr.Run", 2)
    ranges = ask("SpectrumAnlzr.FreqRangeGet", 2)[1]
    ask("SpectrumAnlzr.FreqRangeSet", 2, 2)
    ask("SpectrumAnlzr.FreqResSet", 2, 0)
    _, step, density = ask("SpectrumAnlzr.DataGet", 2)
    assert step * (len(density) - 1) == pytest.approx(ranges[2])
    assert step == pytest.approx(ask("SpectrumAnlzr.FreqResGet", 2)[1][0])
    assert "only 1 and 2" in refused("SpectrumAnlzr.ChSet", 3, BIAS)
    assert "choice" in refused("SpectrumAnlzr.FreqRangeSet", 1, 99)
