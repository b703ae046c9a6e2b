"""What other clients send to the simulated software: hundreds of commands, with an effect on what is measured."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.controllers.nanonis_server._further import ANSWERED, FURTHER
from bluesky_stm.controllers.nanonis_wire._wire import defaults, encode_answer
from bluesky_stm.files import read

NAN, CURRENT, BIAS, Z, LOCKIN_X = float("nan"), 0, 24, 30, 86

BLOCKS = {
    "Scan.WaitEndOfScan",
    "Scan.WaitEndOfLine",
    "BiasSpectr.Start",
    "Pattern.ExpStart",
    "GenSwp.Start",
    "BiasSwp.Start",
    "ZSpectr.Start",
}


def test_at_least_250_commands_are_answered_with_an_effect():
    """As the source of the modules tells it; the ones that keep a value only are counted apart."""
    script = Path(__file__).parents[3] / "benchmarks" / "bench_nanonis_commands.py"
    told = subprocess.run([sys.executable, str(script), "--list"], check=True, capture_output=True, text=True).stdout
    kinds = dict(line.split()[::-1] for line in told.splitlines())
    assert {command for command, kind in kinds.items() if kind != "refused"} == set(ANSWERED)
    assert sum(kind == "effect" for kind in kinds.values()) >= 250
    assert kinds["Pattern.ExpStart"] == kinds["BiasSpectr.TimingGet"] == "effect"
    assert kinds["PLL.CenterFreqSet"] == "kept"
    assert kinds["Util.Lock"] == "empty"
    assert kinds["HSSwp.Start"] == "refused"


@pytest.mark.parametrize("command", sorted(set(FURTHER) - BLOCKS))
def test_every_further_command_answers_in_its_types(server, command):
    """Or is refused with a sentence; nothing fails inside."""
    types = FURTHER[command]
    values, error = server.software.answer(command, defaults(types.request))
    encode_answer(types.answer, values, error)


@pytest.fixture
def opened(ask):
    """The feedback stands open, the tip where it held."""
    ask("ZCtrl.SwitchOffDelaySet", 0.0)
    ask("ZCtrl.OnOffSet", 0)
    while ask("ZCtrl.OnOffGet")[0]:
        time.sleep(0.01)


def test_settings_that_are_kept_read_back_in_the_codes_of_get(ask):
    ask("APRFGen.FreqSwpPropsSet", 1, 0.25, 0.0, 2, 10, 0.0, 1)
    assert list(ask("APRFGen.FreqSwpPropsGet")) == [0, 0.25, 0.0, 1, 10, 0.0, 0]
    ask("PLL.OutOnOffSet", 2, 1)
    assert (ask("PLL.OutOnOffGet", 2), ask("PLL.OutOnOffGet", 1)) == ((1,), (0,))


def test_a_spectrum_of_the_bias_spectroscopy_example_holds_its_bias(client):
    """Timings that are not a number keep what stands; the row of the bias is the bias."""
    before = client.BiasSpectr_TimingGet()
    client.BiasSpectr_ChsSet([CURRENT, BIAS])
    client.BiasSpectr_TimingSet(0, 0, NAN, NAN, NAN, NAN, 0, 0)
    client.BiasSpectr_PropsSet(0, 0, 2, 64, NAN, 1, 2)
    client.BiasSpectr_AdvPropsSet(2, 0, 0, 0)
    client.BiasSpectr_LimitsSet(-2, 2)
    after = client.BiasSpectr_TimingGet()
    assert after[2:6] == before[2:6]
    assert after[0] == after[7] == 0
    data = client.BiasSpectr_Start(1, "example")[5]
    np.testing.assert_allclose(data[2], np.linspace(-2, 2, 64), atol=1e-6)
    assert data[1][0] < 0 < data[1][-1]


@pytest.mark.usefixtures("opened")
def test_the_current_falls_a_decade_for_each_angstrom_of_height(ask):
    """As every z sweep of an STM shows, by hand or by the module."""
    here = ask("ZCtrl.ZPosGet")[0]
    currents = []
    for lift in (0.0, 0.05e-9, 0.1e-9):
        ask("ZCtrl.ZPosSet", here + lift)
        assert ask("ZCtrl.ZPosGet")[0] == pytest.approx(here + lift, abs=1e-13)
        currents.append(abs(ask("Signals.ValGet", CURRENT, 1)[0]))
    assert 2 < currents[0] / currents[1] < 4.5
    assert 2 < currents[1] / currents[2] < 4.5
    ask("ZCtrl.ZPosSet", here)
    ask("ZSpectr.ChsSet", [CURRENT, Z])
    ask("ZSpectr.RangeSet", 0.0, 0.3e-9)
    names, rows, _ = ask("ZSpectr.Start", 1, "")
    assert names == ["Z (m)", "Current (A)", "Z (m)"]
    assert np.abs(rows[1][0]) > 100 * np.abs(rows[1][-1])


@pytest.mark.usefixtures("opened")
def test_a_tip_that_is_moved_into_the_sample_touches(server, ask, microscope):
    here = ask("ZCtrl.ZPosGet")[0]
    _, error = server.software.answer("ZCtrl.ZPosSet", [here - 5e-9])
    assert "touch" in error
    assert microscope.is_withdrawn()


@pytest.mark.usefixtures("opened")
def test_z_limits_hold_a_tip_that_is_moved_by_hand_once_they_are_enabled(server, ask):
    """Not enabled they are not taken: so the vendor's software of release 15632 says, in these words."""
    span = ask("Piezo.RangeGet")[2]
    ask("ZCtrl.LimitsEnabledSet", 0)
    _, error = server.software.answer("ZCtrl.LimitsSet", [1e-9, -1e-9])
    assert error == "The limits cannot be applied because the limitation of the Z position is not enabled yet"
    assert ask("ZCtrl.LimitsGet")[0] == pytest.approx(span / 2)
    ask("ZCtrl.LimitsEnabledSet", 1)
    ask("ZCtrl.LimitsSet", 3e-9, -3e-9)
    ask("ZCtrl.ZPosSet", 50e-9)
    assert ask("ZCtrl.ZPosGet")[0] == pytest.approx(3e-9)


@pytest.mark.usefixtures("opened")
def test_coarse_steps_towards_the_sample_crash_a_tip_that_stands_at_it(server, microscope):
    """Safe Tip, a thread of its own, may read the current before the tip is withdrawn: no more than contact carries."""
    assert "touch" in server.software.answer("Motor.StartMove", [5, 1000, 0, 1])[1]
    assert microscope.is_withdrawn()


def test_a_dip_of_the_tip_shaper_changes_the_tip_and_the_surface(ask, microscope):
    before = len(microscope.tip_changes)
    ask("TipShaper.PropsSet", 0.05, 1, 0.1, -5e-9, 0.1, 0.1, 0.1, 10e-9, 0.1, 0.1, 1)
    ask("TipShaper.Start", 1, -1)
    assert len(microscope.tip_changes) > before


def test_the_lock_in_reads_as_long_as_it_modulates(ask, microscope):
    ask("LockIn.ModOnOffSet", 1, 1)
    on = ask("Signals.ValsGet", [LOCKIN_X, LOCKIN_X + 1], 1)[0]
    assert abs(on[0]) > 0
    ask("LockIn.ModOnOffSet", 1, 0)
    assert list(ask("Signals.ValsGet", [LOCKIN_X, LOCKIN_X + 1], 1)[0]) == [0.0, 0.0]


@pytest.mark.parametrize("change", [("LockIn.DemodSignalSet", 1, Z), ("LockIn.ModSignalSet", 1, Z)])
def test_a_lock_in_on_another_signal_sees_no_modulation(ask, change):
    ask("BiasSpectr.ChsSet", [LOCKIN_X])
    assert np.abs(ask("BiasSpectr.Start", 1, "")[1][1]).max() > 0
    ask(*change)
    assert not np.abs(ask("BiasSpectr.Start", 1, "")[1][1]).max()


def test_a_slow_filter_leaves_the_bias_of_before_in_the_lock_in(ask):
    ask("BiasSpectr.ChsSet", [LOCKIN_X])
    sharp = ask("BiasSpectr.Start", 1, "")[1][1]
    ask("LockIn.DemodLPFilterSet", 1, 1, 1.0)
    blunt = ask("BiasSpectr.Start", 1, "")[1][1]
    assert np.abs(np.diff(blunt)).max() < 0.5 * np.abs(np.diff(sharp)).max()


def test_outputs_are_signals_and_the_generic_sweeper_sweeps_them(ask):
    ask("UserOut.ValSet", 3, 3.5)
    names = ask("Signals.NamesGet")[0]
    output = names.index("Output 3 (V)")
    assert ask("Signals.ValGet", output, 1)[0] == 3.5
    ask("GenSwp.SwpSignalSet", "Output 3 (V)")
    ask("GenSwp.AcqChsSet", [output, CURRENT], ["", ""])
    ask("GenSwp.PropsSet", 300.0, 20.0, 5, 100, 0, 0, 200.0)
    ask("GenSwp.LimitsSet", 1.0, 2.0)
    swept, rows = ask("GenSwp.Start", 1, 1, "", 0, 0)
    assert swept[:2] == ["Output 3 (V)", "Output 3 (V)"]
    np.testing.assert_allclose(rows[0], np.linspace(1, 2, 5))
    np.testing.assert_allclose(rows[1], rows[0])


def test_marks_stand_until_they_are_erased(server, ask):
    marks = server.software.handlers["Marks.PointDraw"].__self__
    ask("Marks.PointDraw", 1e-9, 2e-9, "decided", 255)
    ask("Marks.LineDraw", 0.0, 0.0, 1e-9, 1e-9, 0)
    assert ask("Marks.PointsGet") == [1, (1e-9,), (2e-9,), 11, ["decided"], (255,), (1,)]
    ask("Marks.PointsVisibleSet", 0, 0)
    assert ask("Marks.PointsGet")[-1] == (0,)
    ask("Marks.PointsErase", -1)
    assert not marks.points
    assert len(marks.lines) == 1


def test_a_drift_compensation_stops_at_its_limit():
    """With the time of the instrument; the flag says where."""
    microscope = SimulatedController(seed=3)
    with NanonisServer(microscope, (0, 0)) as server:
        server.software.answer("Piezo.DriftCompSet", [1, 1e-9, 0.0, 0.0, 10.0])
        assert microscope.get_drift() == pytest.approx((1.0, 0.0))
        microscope._bench.acts.clock.sleep(250.0)  # 250 nm, and a tenth of the range is 200 nm
        assert list(server.software.answer("Piezo.DriftCompGet", [])[0][4:7]) == [True, False, False]
        assert microscope.get_drift() == (0.0, 0.0)


def test_older_releases_speak_as_they_did():
    """13742 sends names without their number, and switches the drift compensation off with 0."""
    with NanonisServer(SimulatedController(seed=3), (0, 0), release=13742) as server:
        body = server._answer("BiasSpectr.ChsGet", b"", None)
        assert body[:4] == (3).to_bytes(4, "big")
        assert body[16:20] != (3).to_bytes(4, "big")
        server.software.answer("Piezo.DriftCompSet", [1, 1e-12, 0.0, 0.0, 10.0])
        server.software.answer("Piezo.DriftCompSet", [0, 0.0, 0.0, 0.0, 10.0])
        assert server.software.answer("Piezo.DriftCompGet", [])[0][0] == 0


def test_properties_of_scans_name_the_files(ask, server):
    ask("Scan.FrameSet", 0.0, 0.0, 8e-9, 8e-9, 0.0)
    ask("Scan.BufferSet", [Z, CURRENT], 16, 16)
    ask("Scan.PropsSet", 2, 0, 1, "night", "no comment", [], 0)
    assert ask("Scan.PropsGet")[3:5] == ["night", "no comment"]
    ask("Scan.Action", 0, 1)
    timed_out, path = ask("Scan.WaitEndOfScan", -1)
    assert not timed_out
    assert "night" in path
    assert np.isfinite(read(path).height).all()


def test_an_alternate_set_point_holds_the_tip_before_a_sweep(ask):
    """Ten times the current at the bias of the set point, since the tip is nearer."""
    ask("BiasSpectr.ChsSet", [CURRENT])
    before = ask("BiasSpectr.Start", 1, "")[1][1]
    ask("BiasSpectr.AltZCtrlSet", 1, 2e-9, 0.1)
    after = ask("BiasSpectr.Start", 1, "")[1][1]
    assert after[0] / before[0] == pytest.approx(10.0, rel=0.1)
    assert ask("ZCtrl.SetpntGet")[0] == pytest.approx(0.2e-9)


@pytest.mark.parametrize("change", [("LockIn.DemodPhasRegSet", 1, 2), ("LockIn.ModPhasRegSet", 1, 3)])
def test_a_demodulator_in_another_phase_register_sees_no_modulation(ask, change):
    ask("BiasSpectr.ChsSet", [LOCKIN_X])
    ask(*change)
    assert not np.abs(ask("BiasSpectr.Start", 1, "")[1][1]).max()


def test_the_phase_of_the_modulator_turns_x_into_y(ask):
    ask("BiasSpectr.ChsSet", [LOCKIN_X, LOCKIN_X + 1])
    _, x, y = ask("BiasSpectr.Start", 1, "")[1]
    ask("LockIn.ModPhasSet", 1, 90.0)
    _, turned_x, turned_y = ask("BiasSpectr.Start", 1, "")[1]
    scale = np.abs(x).max()
    np.testing.assert_allclose(turned_y, x, atol=0.1 * scale)
    np.testing.assert_allclose(turned_x, -y, atol=0.1 * scale)


def test_an_output_that_monitors_puts_out_what_another_signal_reads(ask):
    output = ask("Signals.NamesGet")[0].index("Output 2 (V)")
    ask("UserOut.ValSet", 2, 5.0)
    ask("UserOut.MonitorChSet", 2, BIAS)
    assert ask("Signals.ValGet", output, 1)[0] == 5.0
    ask("UserOut.ModeSet", 2, 1)
    assert ask("Signals.ValGet", output, 1)[0] == pytest.approx(-1.5)


def test_a_tilt_that_is_corrected_leaves_its_slope_in_the_image(ask):
    ask("Scan.FrameSet", 0.0, 0.0, 8e-9, 8e-9, 0.0)
    ask("Scan.BufferSet", [Z], 16, 16)
    ask("Scan.Action", 0, 1)
    ask("Scan.WaitEndOfScan", -1)
    flat = ask("Scan.FrameDataGrab", Z, 1)[1]
    ask("Piezo.TiltSet", 1.0, 0.0)
    tilted = ask("Scan.FrameDataGrab", Z, 1)[1]
    step = np.diff(tilted - flat, axis=1)
    np.testing.assert_allclose(step, -np.tan(np.radians(1.0)) * 0.5e-9, rtol=1e-3)
    ask("Scan.BufferSet", [Z], 32, 8)  # another shape than that of the last scan
    assert ask("Scan.FrameDataGrab", Z, 1)[1].shape == (8, 32)


def test_a_z_spectroscopy_ends_where_its_auto_retract_says(ask):
    """The current falls below a tenth of the set point after about 1 Angstrom."""
    ask("ZSpectr.ChsSet", [Z])
    ask("ZSpectr.RangeSet", 0.0, 0.5e-9)
    whole = ask("ZSpectr.Start", 1, "")[1]
    ask("ZSpectr.RetractSet", 1, -0.02e-9, CURRENT, 0)
    cut = ask("ZSpectr.Start", 1, "")[1]
    assert len(whole[0]) == 64
    assert 0.06e-9 < cut[0][-1] - cut[0][0] < 0.2e-9


def test_what_nobody_simulates_is_refused(client):
    with pytest.raises(RuntimeError, match="not a command"):
        client.HSSwp_Stop()
