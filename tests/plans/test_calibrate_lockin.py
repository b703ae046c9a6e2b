"""The lock-in of a microscope is calibrated by the current of its own sweeps, as that of a file is."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm import simulated
from bluesky_stm.calibration import calibrate
from bluesky_stm.errors import SettingsError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.plans import calibrate_lockin
from bluesky_stm.plans._lockin import recalibrated
from bluesky_stm.protocols import LockInSettings, SweepSettings


@pytest.fixture
def session(tmp_path):
    with simulated(seed=3, catalog=tmp_path, sample="Au(111)", profile="ideal") as opened:
        opened.stm.sweep.settings = SweepSettings(-0.8, 0.8, 161)
        opened.stm.lockin.on.set(True).wait()
        yield opened


def test_the_calibration_of_a_microscope_is_confirmed_by_its_own_spectra(session):
    before = session.stm.controller.get_lockin()
    session.RE(calibrate_lockin(session.stm, 2))
    after = session.stm.controller.get_lockin()
    assert after.response == pytest.approx(before.response, rel=0.01)
    assert len(list(session.catalog[-1].spectra)) == 2
    assert after.gain == pytest.approx(before.gain, rel=0.01)


@pytest.mark.parametrize("phase", [0.0, 71.0, -130.0])
def test_a_wrong_response_offset_and_phase_are_found_and_put_right(phase):
    """What a lock-in reads is made from settings that nobody knows; the wrong ones are put right by the current."""
    bias = np.linspace(-1, 1, 201)
    slope = 0.3 * (1 + 1.5 * bias**2)
    current = 0.3 * (bias + 0.5 * bias**3)
    true = LockInSettings(amplitude=0.01, frequency=763.0, phase=phase, on=True, response=0.7, offset=2e-4, preamplifier=2e-5)
    x, y = true.demodulated(1, slope)
    wrong = replace(true, response=1.3, offset=0.0, reference=0.0)
    found = calibrate(bias, current, x + true.offset, y)
    assert not found.refused
    assert recalibrated(wrong, found).didv(x + true.offset, y) == pytest.approx(slope, rel=0.01)


def test_a_lock_in_that_is_off_is_not_calibrated_and_nothing_is_changed(session):
    before = session.stm.controller.get_lockin()
    session.stm.lockin.on.set(False).wait()
    with pytest.raises(SettingsError, match="does not modulate"):
        session.RE(calibrate_lockin(session.stm))
    assert session.stm.controller.get_lockin().response == before.response
    assert len(session.catalog) == 0


def test_spectra_that_are_all_clipped_do_not_calibrate_it_and_that_is_said(session):
    before = session.stm.controller.get_lockin()
    session.stm.sweep.settings = SweepSettings(-0.8, 0.8, 41, setpoint=Setpoint(-0.05, 1.0))
    with pytest.raises(SettingsError, match="clipped or incomplete"):
        session.RE(calibrate_lockin(session.stm, 2))
    assert session.stm.controller.get_lockin().response == before.response
