"""The frequency sweep of the lock-in in the simulated software: what a slow preamplifier leaves at each frequency."""

import numpy as np

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_server._software import Software

QUIET = {"name": "ideal", "response": 7e-5}
"""No noise, and a preamplifier with a time constant of 70 us."""


def test_a_slow_preamplifier_shows_in_the_transfer_function():
    """Its low pass of the first order: at 1 / (2 pi tau) the amplitude is 1 / sqrt(2) of that at low frequencies."""
    microscope = SimulatedController(seed=3, profile=QUIET)
    software = Software(microscope)

    def ask(command, *values):
        answer, error = software.answer(command, list(values))
        assert not error, error
        return answer

    ask("LockIn.ModOnOffSet", 1, 1)
    corner = 1 / (2 * np.pi * microscope.get_lockin().preamplifier)
    before = microscope.get_lockin()
    ask("LockInFreqSwp.SignalSet", 0)
    ask("LockInFreqSwp.LimitsSet", corner / 30, corner)
    ask("LockInFreqSwp.PropsSet", 6, 10, 0.0, 1, 0.0, 0, 0, "")
    names, rows = ask("LockInFreqSwp.Start", 1, 1)
    assert names == ["Frequency (Hz)", "LI Demod 1 X (A)", "LI Demod 1 Y (A)"]
    np.testing.assert_allclose(rows[0], np.geomspace(corner / 30, corner, 7), rtol=1e-6)
    assert microscope.get_lockin() == before
    conductance = np.hypot(rows[1], rows[2])
    np.testing.assert_allclose(conductance / conductance[0], 1 / np.hypot(1, rows[0] / corner), rtol=0.03)
    down = ask("LockInFreqSwp.Start", 1, 0)[1]
    np.testing.assert_allclose(down[0], rows[0][::-1])
    software.close()


def test_without_a_signal_or_with_limits_the_wrong_way_round_it_is_refused(ask, refused):
    assert "select a sweep signal" in refused("LockInFreqSwp.Start", 1, 1)
    ask("LockInFreqSwp.SignalSet", 0)
    ask("LockInFreqSwp.LimitsSet", 100.0, 10.0)
    assert "limits above 0" in refused("LockInFreqSwp.Start", 1, 1)
