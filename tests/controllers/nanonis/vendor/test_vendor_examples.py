"""The vendor's 19 examples run unchanged, and what they find is what a tip over a surface shows."""

import numpy as np
import pytest

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

UPPER = 1.0e-6
"""Upper end of the z range of the simulated scanner, in m."""


def flat(values):
    return np.array(values, dtype=float).ravel()


def test_the_approach_brings_the_tip_from_the_end_of_its_range_to_the_surface(example, instrument):
    left, errors = example("AutoApproach")
    assert not errors
    assert left.Surface_Reached
    assert left.Piezo_RangeLimit_Upper > 100e-9
    assert abs(left.Piezo_Position_New) < 1e-9
    assert instrument.microscope.get_feedback()


def test_the_bias_spectroscopy_holds_its_bias_and_a_current_with_its_sign(example, instrument):
    """The feedback is off meanwhile, so that the current at the bias of before is still the set point, by its size."""
    left, errors = example("BiasSpectroscopy")
    assert not errors
    np.testing.assert_allclose(left.AcqSignal_Bias, np.linspace(-2, 2, 256), atol=1e-6)
    bias, current = flat(left.AcqSignal_Bias), flat(left.AcqSignal_Current)
    assert np.all(current[bias < -1.2] < 0)
    assert np.all(current[bias > 0.9] > 0)
    assert np.interp(1.0, bias, current) == pytest.approx(0.2e-9, rel=0.3)
    assert instrument.microscope.get_bias() == pytest.approx(1.0)
    assert instrument.microscope.get_feedback()


def test_the_segments_of_a_bias_spectroscopy_follow_one_another_with_their_points(example, instrument):
    left, errors = example("BiasSpectroscopy_MultiSegment")
    assert not errors
    ends = zip(left.Spectr_StartBias, left.Spectr_StopBias, left.Spectr_NrPoints, strict=True)
    np.testing.assert_allclose(left.AcqSignal_Bias, np.concatenate([np.linspace(*end) for end in ends]), atol=1e-6)
    gap = np.abs(left.AcqSignal_Bias) < 0.4
    assert np.abs(left.AcqSignal_Current)[gap].max() < 0.02e-9
    assert left.AcqSignal_Current[-1] > 0.2e-9
    assert instrument.microscope.get_feedback()


def test_the_two_dimensional_sweep_of_bias_and_output_repeats_the_bias_and_opens_the_feedback(example, instrument):
    left, errors = example("Custom2DSweep_GenSweeper")
    assert not errors
    bias, current = left.GenSweeper_Data_Total
    np.testing.assert_allclose(bias, np.tile(np.linspace(1, 2, 10), 2), atol=1e-6)
    assert [round(value, 6) for _, value in instrument.values_of("UserOut.ValSet")] == [3, 4]
    for line in (current[:10], current[10:]):
        assert line[0] == pytest.approx(0.2e-9, rel=0.3)
        assert line[-1] > 5 * line[0]  # with the feedback closed it would be the set point at each bias
    assert instrument.microscope.get_feedback()


def test_the_custom_bias_sweep_finds_more_current_at_each_bias(example, instrument):
    left, errors = example("CustomBiasSweep")
    assert not errors
    np.testing.assert_allclose(flat(left.AcqSignal_Bias), np.linspace(1, 2, 10), atol=1e-6)
    current = flat(left.AcqSignal_Current)
    assert current[0] == pytest.approx(0.2e-9, rel=0.3)
    assert np.all(np.diff(current) > 0)
    assert instrument.microscope.get_feedback()


def test_the_custom_z_sweep_goes_out_of_reach_of_the_surface(example, instrument):
    """It begins at the number of the set point, as it is written, 50 nm above: there no current is left but noise."""
    left, errors = example("CustomZSweep")
    assert not errors
    np.testing.assert_allclose(flat(left.AcqSignal_Z), 0.2e-9 + 50e-9 * np.arange(1, 10), rtol=1e-4)
    current = flat(left.AcqSignal_Current)
    assert np.isfinite(current).all()
    assert np.abs(current).max() < 0.02e-9
    assert instrument.microscope.get_feedback()


def test_pulses_at_various_heights_are_given_one_nanometre_after_the_other(example, instrument):
    """Code 2 is an absolute pulse in the vendor's description, whatever the example calls it."""
    heights = []
    move = instrument.software.z.go_to
    instrument.software.z.go_to = lambda height: heights.append(height) or move(height)
    _, errors = example("BiasPulsesAtVariousZ")
    assert not errors
    np.testing.assert_allclose(np.diff(heights), 1.0, rtol=1e-3)
    assert [asked[1:3] for asked in instrument.values_of("Bias.Pulse")] == [(pytest.approx(0.1), 1.0)] * 10
    assert instrument.microscope.get_feedback()


def test_the_force_distance_curve_retracts_and_comes_back(example, instrument):
    _, errors = example("ForceDistanceCurve_OffsetComp")
    assert not errors
    z_spectroscopy = instrument.software.handlers["ZSpectr.Start"].__self__
    z, current = z_spectroscopy.rows[:2]
    assert z[-1] - z[0] == pytest.approx(1e-9, rel=1e-3)
    assert abs(current[-1]) < 1e-2 * abs(current[0])
    assert instrument.software.registers.get("PLL.FreqShift", 0) == (0.0,)
    assert instrument.microscope.get_feedback()


def test_several_generic_sweeps_have_their_own_ends_and_points(example):
    left, errors = example("GenSweeper_MultipleSweeps")
    assert not errors
    swept, current = left.GenSweeper_Data_Total
    np.testing.assert_allclose(swept, [1, 5, 2, 2.5, 3, -1, 2, -4, -1.5, 1])
    assert np.array_equal(np.sign(current), np.sign(swept))


def test_the_lock_in_sweep_shows_conductance_and_capacitance_behind_a_slow_preamplifier(example, instrument):
    """X + iY times (1 + i omega tau) is conductance plus i omega C: one part stays, the other grows with the frequency."""
    before = instrument.microscope.get_lockin()
    left, errors = example("LockInSweep")
    assert not errors
    frequencies = np.array(left.Sweep_Freq_Values)
    omega = 2 * np.pi * frequencies
    seen = np.array(left.Acq_Signal_1) + 1j * np.array(left.Acq_Signal_2)
    turned = seen * (1 + 1j * omega * before.preamplifier)
    rows = np.concatenate([np.stack([np.ones(5), 0 * omega], 1), np.stack([0 * omega, omega], 1)])
    best = np.inf
    for phase in np.radians(np.arange(0, 360, 0.5)):  # the phase of the demodulator turns all of it alike
        for sign in (1, -1):
            there = np.exp(1j * phase) * (turned if sign > 0 else np.conj(turned))
            both = np.concatenate([there.real, there.imag])
            found, *_ = np.linalg.lstsq(rows, both, rcond=None)
            best = min(best, float(np.linalg.norm(both - rows @ found) / np.linalg.norm(both)))
    assert best < 0.1
    assert np.abs(seen).min() > 0
    assert instrument.microscope.get_lockin().frequency == pytest.approx(10_000)


def test_the_frequency_sweep_of_the_generator_ends_at_its_upper_limit(example, instrument):
    _, errors = example("RFGen_FreqSweep")
    assert not errors
    generator = instrument.software.handlers["APRFGen.FreqSet"].__self__
    assert generator.frequency == 10e6
    assert instrument.software.registers.get("APRFGen.RFOutOnOff") == (1,)
    assert instrument.software.registers.get("APRFGen.FreqSwpProps")[4] == 10


def test_the_triggered_frequency_sweep_is_armed_again_at_each_key(example, instrument):
    def pressed(key, times):
        return times > 6 if key == " " else times in (1, 3)

    _, errors = example("RFGen_FreqSweep_Triggered", pressed)
    assert not errors
    generator = instrument.software.handlers["APRFGen.FreqSet"].__self__
    assert generator.armed == 2
    assert generator.frequency == 10e6


def test_the_power_of_the_generator_is_swept_by_the_generic_sweeper(example, instrument):
    left, errors = example("RFGen_GenSweeper")
    assert not errors
    ends = zip(left.Sweep_Start, left.Sweep_Stop, left.Sweep_NrPoints, strict=True)
    np.testing.assert_allclose(left.GenSweeper_Data_Total[0], np.concatenate([np.linspace(*end) for end in ends]), atol=1e-6)
    assert instrument.microscope.get_bias() == pytest.approx(1.0)


@pytest.mark.parametrize("instrument", [{"release": 13742}], indirect=True)
@pytest.mark.usefixtures("client_of_before")
def test_scans_at_different_bias_leave_an_image_of_each_bias(example, instrument):
    """It fits the client 1.0.0 and the release of its time: 1.0.9 wants one argument more than it gives."""
    from bluesky_stm.files import read

    instrument.software.answer("Scan.FrameSet", [0.0, 0.0, 10e-9, 10e-9, 0.0])
    instrument.software.answer("Scan.BufferSet", [[30, 0], 16, 16])
    _, errors = example("ScansAtDifferentBias")
    assert not errors
    images = sorted(instrument.server.folder.glob("Example_ScanAtDiffBias*.sxm"))
    np.testing.assert_allclose([read(path).setpoint.bias for path in images], 1.0 + 0.1 * np.arange(10), atol=1e-5)
    assert instrument.microscope.get_bias() == pytest.approx(1.0)


def test_the_signal_acquisition_reads_the_height_of_the_tip_two_thousand_times(example, instrument):
    left, errors = example("SimpleSignalAcquisition")
    assert not errors
    assert left.Acq_Finished
    heights = np.array(left.Channel_Values)
    assert len(heights) == 2000
    np.testing.assert_allclose(heights, 1e-9 * instrument.microscope.get_tip().z, atol=1e-12)


def test_the_switch_to_the_other_controller_leaves_it_on_without_bias_and_the_tip_whole(example, instrument):
    _, errors = example("SwitchMode_STM_AFM")
    assert not errors
    software = instrument.software
    assert software.z.active == 2
    assert software.answer("ZCtrl.OnOffGet", [])[0] == [True]
    assert instrument.microscope.get_bias() == 0
    assert [software.registers.get(f"PLL.{what}", 1) for what in ("OutOnOff", "AmpCtrlOnOff", "PhasCtrlOnOff")] == [
        (1,),
        (1,),
        (0,),
    ]
    assert not instrument.microscope.is_withdrawn()


def test_the_tip_cleaner_pulses_elsewhere_and_comes_back(example, instrument):
    before = instrument.microscope.get_tip()
    places = []
    pulse = instrument.microscope.pulse
    instrument.microscope.pulse = lambda *asked: places.append(instrument.microscope.get_tip()) or pulse(*asked)
    _, errors = example("TipCleaner")
    assert not errors
    assert [(round(tip.x, 2), round(tip.y, 2)) for tip in places] == [(-1.3, 3.5)] * 5
    after = instrument.microscope.get_tip()
    assert np.hypot(after.x - before.x, after.y - before.y) < 0.01
    assert instrument.microscope.get_bias() == pytest.approx(1.0)


def test_the_tip_shaper_example_drives_the_tip_into_the_surface_and_comes_back(example, instrument):
    """It is written with the whole lift at each of 40 steps: 78 nm down. The tip touches, which is said, and is another one."""
    before = len(instrument.microscope.tip_changes)
    _, errors = example("TipShaper")
    assert "touch" in errors[0]
    assert len(instrument.microscope.tip_changes) > before
    assert instrument.microscope.get_bias() == pytest.approx(1.0)


def test_the_z_drift_is_measured_as_the_sample_rises(example, instrument):
    """It is known from the profile of the instrument, less what is left of the creep after ten minutes."""
    left, errors = example("ZDriftMeasurement")
    assert not errors
    assert left.Z_Drift_Finished
    rate = instrument.microscope.profile.z_drift
    assert left.Z_Drift_Value[0] * 1e9 == pytest.approx(rate, rel=0.3)
    assert instrument.software.registers.get("Piezo.DriftComp")[3] == pytest.approx(left.Z_Drift_Comp_Vz, rel=1e-5)
