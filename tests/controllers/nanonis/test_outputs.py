"""The user outputs of the simulated software: set, monitoring, calculated, calibrated, limited."""

import pytest

CURRENT, BIAS, Z, OUTPUT = 0, 24, 30, 33
"""Signals; the last one is what output 2 puts out."""


def test_an_output_is_calculated_of_two_signals(ask):
    ask("UserOut.ModeSet", 2, 2)
    ask("UserOut.CalcSignalConfigSet", 2, BIAS, 3, BIAS)
    assert ask("Signals.ValGet", OUTPUT, 1)[0] == pytest.approx(2.25)
    ask("UserOut.CalcSignalConfigSet", 2, BIAS, 2, BIAS)
    assert ask("Signals.ValGet", OUTPUT, 1)[0] == 0.0
    ask("UserOut.CalcSignalConfigSet", 2, CURRENT, 6, CURRENT)
    assert ask("Signals.ValGet", OUTPUT, 1)[0] == pytest.approx(-9.7, abs=0.2)  # log10 of 0.2 nA


def test_an_output_stays_within_its_limits_and_its_voltage(ask, refused):
    ask("UserOut.LimitsSet", 2, 1.0, -2.0, 0)
    ask("UserOut.ValSet", 2, 5.0)
    assert ask("Signals.ValGet", OUTPUT, 1)[0] == 1.0
    ask("UserOut.CalibrSet", 2, 0.05, 0.0)  # 0.05 units a volt: 10 V are 0.5
    assert ask("Signals.ValGet", OUTPUT, 1)[0] == 0.5
    assert ask("UserOut.LimitsGet", 2, 0) == [0.5, -0.5]
    assert ask("UserOut.LimitsGet", 2, 1) == [10.0, -10.0]
    assert "above the upper" in refused("UserOut.LimitsSet", 2, -1.0, 1.0, 0)


@pytest.mark.parametrize("asked", [("UserOut.ValSet", 0, 1.0), ("UserOut.ModeSet", 0, 1), ("UserOut.CalibrSet", 0, 1.0, 0.0)])
def test_an_output_of_the_software_itself_is_refused_in_its_words(refused, asked):
    assert refused(*asked).startswith("Cannot access the output channel 0. Please make sure this output is not reserved")


def test_an_output_does_not_follow_itself(ask):
    ask("UserOut.MonitorChSet", 2, OUTPUT)
    ask("UserOut.ModeSet", 2, 1)
    assert ask("Signals.ValGet", OUTPUT, 1)[0] == 0.0
