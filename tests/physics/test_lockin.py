"""The dI/dV of a place belongs to the place: neither the modulation of the bias nor the electronics leave a trace in it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import IDEAL, FakeController, RecordedController, SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.errors import SettingsError
from bluesky_stm.files import write
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import Failed, LockInCalibration, LockInSettings, SweepSettings
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.surface import Au111, Surface

AMPLITUDES = (0.005, 0.010, 0.0164)
"""Peak amplitudes, in V; the largest is that of the published spectra."""

SWEEP = SweepSettings(-1.0, 1.0, 41)

ELECTRONICS = IDEAL.changed(response=7e-5, lockin_response=0.95, lockin_offset=-0.0002, capacitance=0.156, modulation=0.0164)
"""Preamplifier and lock-in of the published spectra, without any noise."""


@pytest.fixture
def gold_but():
    """``gold_but(lockin_time=5e-4)``: gold seen by an ideal instrument but for what is named."""

    def make(**imperfections):
        stm = SimulatedController(Surface(Au111().build(), seed=1), profile=IDEAL.changed(**imperfections))
        stm.move_tip(Point(3.0, 2.0))
        return stm

    return make


@pytest.fixture
def gold():
    """Gold, whose density of states is smooth but for the onset of its surface state: a modulation of 20 mV blurs nothing."""
    stm = SimulatedController(Surface(Au111().build(), seed=1), profile=ELECTRONICS)
    stm.move_tip(Point(3.0, 2.0))
    return stm


@pytest.fixture
def over_tcp(gold):
    """``over_tcp(calibration)``: the same over the wire of Nanonis, with a calibration or without."""
    nanonis = pytest.importorskip("bluesky_stm.controllers.nanonis")
    pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")
    with NanonisServer(gold, (0, 0)) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        made = []

        def connect(*calibration):
            made.append(nanonis.NanonisController(ports=server.ports, **dict(zip(["lockin"], calibration, strict=False))))
            return made[-1]

        yield connect
        for controller in made:
            controller.close()


def at(controller, **changes):
    """Spectrum with another modulation."""
    controller.set_lockin(replace(controller.get_lockin(), **changes))
    return controller.sweep(SWEEP)


def smooth(spectrum):
    """Samples away from the onset at -0.5 V, where the curvature is small."""
    return np.abs(spectrum.bias + 0.5) > 0.15


def same_conductance(spectra, within):
    first = spectra[0]
    for spectrum in spectra:
        assert spectrum.quality == Quality.GOOD
        assert spectrum.didv[smooth(first)] == pytest.approx(first.didv[smooth(first)], rel=within)


def test_the_conductance_of_a_place_is_the_slope_of_its_current(gold):
    """dI/dV = lim (I(V + dV) - I(V)) / dV, by definition; 2 % are left for the step of 2 mV and the broadening of 5 mV."""
    gold.set_lockin(replace(gold.get_lockin(), amplitude=0.005))
    fine = gold.sweep(SweepSettings(0.2, 0.6, 201))
    slope = np.gradient(fine.current, fine.bias)
    assert fine.didv[5:-5] == pytest.approx(slope[5:-5], rel=0.02)


def test_it_does_not_depend_on_the_amplitude(gold):
    """X is amplitude times dI/dV for a small modulation (J. Klein et al., Phys. Rev. B 7, 2336 (1973))."""
    same_conductance([at(gold, amplitude=amplitude) for amplitude in AMPLITUDES], within=0.02)


@pytest.mark.parametrize("frequency", [377.0, 977.1, 2000.0, 5000.0])
def test_it_does_not_depend_on_the_frequency(gold, frequency):
    """A low-pass filter of first order passes 1 / (1 + i w tau); the displacement current w C A stays out of dI/dV, too."""
    same_conductance([gold.sweep(SWEEP), at(gold, frequency=frequency)], within=0.001)


@pytest.mark.parametrize("phase", [-193.3, 30.0, 90.0])
def test_it_does_not_depend_on_the_phase_of_the_demodulator(gold, phase):
    """X and Y are one vector: turned back, it shows the same component in phase with the bias."""
    same_conductance([gold.sweep(SWEEP), at(gold, phase=phase)], within=0.001)


def test_it_does_not_depend_on_the_preamplifier():
    """The raw lock-in does: at 977 Hz a time constant of 160 us takes 29 % of it."""
    reads = []
    for response in (0.0, 7e-5, 1.6e-4):
        stm = SimulatedController(Surface(Au111().build(), seed=1), profile=IDEAL.changed(response=response))
        stm.move_tip(Point(3.0, 2.0))
        reads.append(at(stm, frequency=5000.0))
    same_conductance(reads, within=0.001)
    lengths = [np.hypot(spectrum.lockin_x, spectrum.lockin_y).max() for spectrum in reads]
    for response, length in zip((0.0, 7e-5, 1.6e-4), lengths, strict=True):
        passed = 1 / math.hypot(1, 2 * math.pi * 5000 * response) / (1 / math.hypot(1, 2 * math.pi * 977.1 * response))
        assert length / lengths[0] == pytest.approx(passed, rel=1e-3)


@pytest.mark.parametrize(("tau", "share", "lag"), [(7e-5, 0.919, 23.3), (1.6e-4, 0.713, 44.5)])
def test_a_preamplifier_makes_the_modulated_current_smaller_and_late(tau, share, lag):
    """1 / sqrt(1 + (w tau)^2) and arctan(w tau) at 977.1 Hz: Horowitz and Hill, The Art of Electronics, section 1.7."""
    calibration = LockInCalibration(preamplifier=tau)
    assert calibration.passed(977.1) == pytest.approx(share, abs=5e-4)
    assert calibration.lag(977.1) == pytest.approx(lag, abs=0.05)


def test_the_gain_is_response_times_amplitude_times_preamplifier_times_cosine_of_the_phase():
    """By hand: 0.95 * 10 mV / sqrt(2) * cos(60 degrees), the frequency such that the preamplifier lags by 45 degrees."""
    tau = 1e-4
    lockin = LockInSettings(
        response=0.95, preamplifier=tau, amplitude=0.01, frequency=1 / (2 * math.pi * tau), phase=15.0, reference=0.0
    )
    assert lockin.gain == pytest.approx(0.95 * 0.01 / math.sqrt(2) / 2)


@pytest.mark.parametrize("phase", [0.0, 25.0, -193.3])
@pytest.mark.parametrize("harmonic", [1, 2, 3])
def test_the_nth_harmonic_of_the_current_measures_its_nth_derivative(harmonic, phase):
    """A current that is a polynomial, by the integral of the demodulator, (2 / T) int I(V + A sin wt) exp(-i n wt) dt.

    Expanded in the amplitude the first two harmonics are A I' and A^2 I'' / 4 (J. Klein et al., Phys. Rev. B 7, 2336 (1973)).
    """
    lockin = LockInSettings(amplitude=0.01, frequency=977.1, phase=phase, response=0.9, preamplifier=7e-5, reference=12.0)
    current = np.polynomial.Polynomial([0.1, 0.7, -0.4, 0.3])
    turns = 2 * np.pi * (np.arange(64) + 0.5) / 64
    vector = 2 * np.mean(current(0.01 * np.sin(turns)) * 1j * np.exp(-1j * harmonic * turns))
    tau = 2 * np.pi * harmonic * 977.1 * 7e-5
    read = 0.9 * vector / (1 + 1j * tau) * np.exp(-1j * np.radians(phase - 12.0))
    derived = lockin.derivative(harmonic, read.real, read.imag)
    assert derived == pytest.approx(current.deriv(harmonic)(0.0), rel=1e-4)
    assert lockin.demodulated(harmonic, derived) == pytest.approx((read.real, read.imag))


# ---- the other wings ----


@pytest.mark.parametrize("calibration", [None, LockInCalibration(response=0.95 / 0.9189, offset=-0.0002, preamplifier=7e-5)])
def test_it_does_not_depend_on_the_amplitude_over_the_wire_of_nanonis(over_tcp, calibration):
    """With none, a response of 1 stands for it, and the offset that nobody gave is the same for all biases."""
    controller = over_tcp(*([calibration] if calibration else []))
    spectra = [at(controller, amplitude=amplitude) for amplitude in AMPLITUDES]
    assert all(spectrum.quality == Quality.GOOD for spectrum in spectra)
    rising = [spectrum.didv - (0 if calibration else spectrum.didv[20]) for spectrum in spectra]
    clear = smooth(spectra[0]) & (np.abs(rising[0]) > 0.1 * np.ptp(rising[0]))
    assert clear.sum() >= 15
    for curve in rising[1:]:
        assert curve[clear] == pytest.approx(rising[0][clear], rel=0.02)


def test_a_calibrated_nanonis_measures_what_the_microscope_behind_it_measures(over_tcp, gold):
    """At another frequency as well: amplitude, frequency and phase are read from the instrument, whoever changed them."""
    direct = gold.sweep(SWEEP)
    lockin = gold.get_lockin()
    controller = over_tcp(lockin.calibration)
    assert controller.sweep(SWEEP).didv == pytest.approx(direct.didv, rel=1e-3)
    gold.set_lockin(replace(lockin, frequency=3000.0, amplitude=0.008))
    assert controller.sweep(SWEEP).didv[smooth(direct)] == pytest.approx(direct.didv[smooth(direct)], rel=0.02)


@pytest.mark.parametrize("suffix", [".3ds", ".nxs", ".hf5"])
def test_it_does_not_depend_on_the_amplitude_in_a_recording(gold, tmp_path, suffix):
    """A grid that is measured three times, stored, and asked again."""
    frame, answers = Frame.square((3.0, 2.0), 2.0, 4), []
    for amplitude in AMPLITUDES:
        gold.set_lockin(replace(gold.get_lockin(), amplitude=amplitude))
        path = tmp_path / f"{amplitude * 1e3:g}mV{suffix}"
        write(path, gold.grid(frame, SWEEP))
        recorded = RecordedController(path)
        recorded.move_tip(Point(3.25, 2.25))
        answers.append(recorded.sweep(recorded.sweep_settings))
    for answer in answers[1:]:
        assert answer.didv[smooth(answer)] == pytest.approx(answers[0].didv[smooth(answer)], rel=0.02)


def test_it_does_not_depend_on_amplitude_frequency_or_phase_at_the_scripted_microscope():
    """An ohmic junction of 0.1 nA at 1 V has 0.1 nS."""
    fake = FakeController()
    for changes in ({}, {"amplitude": 0.005}, {"frequency": 3000.0}, {"phase": 40.0}, {"response": 0.3}):
        assert at(fake, **changes).didv == pytest.approx(np.full(SWEEP.points, 0.1))


# ---- off ----


@pytest.mark.parametrize("changes", [{"on": False}, {"amplitude": 0.0}])
@pytest.mark.parametrize("wing", ["simulated", "nanonis", "fake"])
def test_without_a_modulation_there_is_no_conductance(request, wing, changes):
    """A lock-in that is off reads its offset, which is no dI/dV: it is NaN, and the spectrum is not good."""
    gold = request.getfixturevalue("gold")
    controller = {"simulated": lambda: gold, "nanonis": request.getfixturevalue("over_tcp"), "fake": FakeController}[wing]()
    spectrum = at(controller, **changes)
    assert np.isnan(spectrum.didv).all()
    assert spectrum.quality == Quality.UNMODULATED
    assert np.isfinite(spectrum.current).all()
    assert at(controller, on=True, amplitude=0.01).quality == Quality.GOOD


def test_without_a_modulation_the_current_is_not_blurred(gold):
    """The current of a sweep with and without modulation is the same: the preamplifier averages the modulation away.

    Single precision is left, 1e-6. Where the surface state begins within 10 meV the bins of 12.5 meV of a sweep that
    resolves no more than its steps of 50 mV are too wide for their second order: 5e-6 were found, 1e-5 are allowed.
    """
    on, off = gold.sweep(SWEEP).current, at(gold, on=False).current
    clear = np.abs(SWEEP.bias + 0.48) > 0.05
    assert off[clear] == pytest.approx(on[clear], rel=1e-6)
    assert off == pytest.approx(on, rel=1e-5)


NEEDS_CONDUCTANCE = (
    "gap",
    "valence_edge",
    "conduction_edge",
    "conductance",
    "bandgap_slopefit",
    "area_ratio",
    {"name": "integral", "between": (0, 1)},
    {"name": "peak_height", "between": (-1, 1)},
    {"name": "in_gap_weight", "between": (-0.2, 0.2), "of": (-1, 1)},
)


@pytest.mark.parametrize("scalarizer", NEEDS_CONDUCTANCE, ids=str)
def test_without_a_modulation_what_needs_a_conductance_has_no_value(gold, scalarizer):
    """It says why; the offset of the lock-in divided by itself would be a number, and look like one."""
    value = make_scalarizer(scalarizer)(at(gold, on=False))
    assert isinstance(value, Failed)
    assert "unmodulated" in value.reason


def test_without_a_modulation_the_current_still_has_a_value(gold):
    assert make_scalarizer("positive_channel_area")(at(gold, on=False)) > 0


def test_a_grid_without_a_modulation_says_so_of_each_of_its_spectra(gold):
    gold.set_lockin(replace(gold.get_lockin(), on=False))
    grid = gold.grid(Frame.square((3.0, 2.0), 2.0, 2), SWEEP)
    assert np.isnan(grid.didv).all()
    assert grid.spectrum(0, 0).quality == Quality.UNMODULATED


@pytest.mark.parametrize("suffix", [".3ds", ".nxs", ".hf5"])
def test_without_a_modulation_no_recording_is_good(gold, tmp_path, suffix):
    """What stores no flags has the numerical derivative of the current, and says that it is one."""
    gold.set_lockin(replace(gold.get_lockin(), on=False))
    write(tmp_path / f"off{suffix}", gold.grid(Frame.square((3.0, 2.0), 2.0, 4), SWEEP))
    recorded = RecordedController(tmp_path / f"off{suffix}")
    recorded.move_tip(Point(3.25, 2.25))
    spectrum = recorded.sweep(recorded.sweep_settings)
    assert spectrum.quality in {Quality.UNMODULATED, Quality.DERIVED}
    if spectrum.quality == Quality.UNMODULATED:
        assert np.isnan(spectrum.didv).all()
    else:
        assert spectrum.didv == pytest.approx(np.gradient(spectrum.current, spectrum.bias))


def test_a_sweep_that_runs_the_lock_in_itself_has_a_conductance(over_tcp, gold):
    """ "Lock-in run" of the bias spectroscopy module: the modulator is off, on during the sweep, and off again behind it."""
    controller = over_tcp()
    gold.set_lockin(replace(gold.get_lockin(), on=False))
    spectrum = controller.sweep(SWEEP)
    assert spectrum.quality == Quality.GOOD
    assert np.isfinite(spectrum.didv).all()
    assert not gold.get_lockin().on


# ---- too fast ----


@pytest.mark.parametrize("wing", ["simulated", "nanonis"])
def test_a_dwell_time_shorter_than_a_period_of_the_modulation_is_refused(request, wing):
    """10 us hold 1 % of a period at 977 Hz: nothing can be demodulated. The tip has not moved, and nothing was swept."""
    controller = request.getfixturevalue("gold") if wing == "simulated" else request.getfixturevalue("over_tcp")()
    hurried = replace(SWEEP, settle=0.0, integrate=1e-5)
    with pytest.raises(SettingsError, match="period"):
        controller.sweep(hurried)
    controller.set_lockin(replace(controller.get_lockin(), on=False))
    assert controller.sweep(hurried).quality & Quality.UNMODULATED


# ---- late ----

HURRIED = SweepSettings(0.2, 0.6, 41, settle=0.0, integrate=2e-3, backward=True)


def test_a_slow_lock_in_lags_behind_the_bias_by_its_time_constant(gold_but):
    """A filter of first order follows a ramp late by its time constant (Horowitz and Hill, section 1.7)."""
    spectrum = gold_but(lockin_time=5e-4).sweep(HURRIED)
    forth, back = 2 * spectrum.didv - spectrum.backward["didv"], spectrum.backward["didv"]
    still = gold_but().sweep(HURRIED).didv
    step = np.gradient(still)
    middle = slice(5, -5)
    assert ((still - forth) / step)[middle] == pytest.approx(np.full(31, 5e-4 / 2e-3), rel=0.05)
    assert ((back - still) / step)[middle] == pytest.approx(np.full(31, 5e-4 / 2e-3), rel=0.05)


def test_a_lock_in_that_settles_does_not_lag(gold_but):
    """After 8 time constants 0.03 % of a step are left."""
    slow = gold_but(lockin_time=5e-4).sweep(replace(HURRIED, settle=4e-3))
    assert slow.didv == pytest.approx(slow.backward["didv"], rel=1e-4)


def test_a_dwell_time_shorter_than_the_time_constant_of_the_lock_in_is_refused(gold_but):
    with pytest.raises(SettingsError, match="time constants"):
        gold_but(lockin_time=1e-3).sweep(HURRIED)


@pytest.mark.parametrize("response", [0.0, 7e-5])
def test_each_step_of_the_bias_charges_the_junction(gold_but, response):
    """C dV/dt: 10 pF and steps of 10 mV in 2 ms are 50 pA, forth, and as much the other way back."""
    charged = gold_but(capacitance=10.0, response=response).sweep(HURRIED)
    bare = gold_but(response=response).sweep(HURRIED)
    forth, back = 2 * charged.current - charged.backward["current"], charged.backward["current"]
    middle = slice(2, -2)
    assert (forth - 2 * bare.current + bare.backward["current"])[middle] == pytest.approx(np.full(37, 0.05), rel=1e-3)
    assert (back - bare.backward["current"])[middle] == pytest.approx(np.full(37, -0.05), rel=1e-3)
    settled = replace(HURRIED, settle=4e-3)
    assert gold_but(capacitance=10.0, response=response).sweep(settled).current == pytest.approx(
        gold_but(response=response).sweep(settled).current, abs=1e-6
    )
