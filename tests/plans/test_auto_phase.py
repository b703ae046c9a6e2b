"""The demodulator is turned to where X holds all of dI/dV, and stays as it was where the data do not say where that is."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm import simulated
from bluesky_stm.errors import SettingsError
from bluesky_stm.plans import _lockin as plan
from bluesky_stm.plans import auto_phase
from bluesky_stm.protocols import SweepSettings


@pytest.fixture
def session(tmp_path):
    with simulated(seed=3, catalog=tmp_path, profile="good_day:lockin_growth=0") as opened:
        opened.stm.sweep.settings = SweepSettings(-1.5, 1.0, 126)
        opened.stm.lockin.on.set(True).wait()
        yield opened


@pytest.mark.parametrize("wrong", [0.0, 60.0, 170.0, -110.0])
def test_a_demodulator_that_is_turned_away_is_turned_back(session, wrong):
    """The phase at which it is right is known of a simulated microscope: the reference less the lag of the preamplifier."""
    lockin = session.stm.controller.get_lockin()
    right = lockin.reference - lockin.lag(lockin.frequency)
    session.stm.lockin.phase.set(right + wrong).wait()
    session.RE(auto_phase(session.stm, 2))
    after = session.stm.controller.get_lockin()
    assert abs((after.phase - right + 180) % 360 - 180) < 3
    assert abs(after.turned()) < 3
    assert after.response == pytest.approx(lockin.response, rel=0.02)
    assert len(session.catalog) == 2


def test_the_displacement_current_is_left_in_y(session):
    session.stm.lockin.phase.set(45.0).wait()
    session.RE(auto_phase(session.stm, 2))
    last = list(session.catalog[-1].spectra)[-1]
    slope = np.gradient(last.current, last.bias)
    in_x, in_y = (np.polyfit(slope[2:-2], channel[2:-2], 1) for channel in (last.lockin_x, last.lockin_y))
    assert abs(in_y[0]) < 0.1 * in_x[0]
    lockin, capacitance = session.stm.controller.get_lockin(), session.stm.controller.profile.capacitance
    displaced = 2 * np.pi * lockin.frequency * capacitance * 1e-3  # in nS
    assert in_y[1] == pytest.approx(displaced * lockin.length(), rel=0.1)


def test_a_phase_that_the_second_look_does_not_confirm_is_put_back(session, monkeypatch):
    """As when somebody turns the lock-in meanwhile."""
    before = session.stm.controller.get_lockin()
    calibrated, count = plan.calibrate_lockin, []

    def meddled(stm, times, *, md=None):
        count.append(times)
        if len(count) == 2:
            stm.controller.set_lockin(replace(stm.controller.get_lockin(), phase=77.0))
        return calibrated(stm, times, md=md)

    monkeypatch.setattr(plan, "calibrate_lockin", meddled)
    with pytest.raises(SettingsError, match="still"):
        session.RE(auto_phase(session.stm, 2))
    after = session.stm.controller.get_lockin()
    assert (after.phase, after.response, after.offset, after.reference) == (
        before.phase,
        before.response,
        before.offset,
        before.reference,
    )


def test_a_lock_in_that_is_off_is_not_turned(session):
    session.stm.lockin.on.set(False).wait()
    with pytest.raises(SettingsError, match="does not modulate"):
        session.RE(auto_phase(session.stm))
