"""Gap, resonance and steps come back from spectra that were calculated by direct quadrature, within what is stated."""

from functools import cache

import numpy as np
import pytest
from junction import BOLTZMANN, calculated, trapezoid
from scipy.optimize import least_squares

from bluesky_stm import session as sessions
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum
from bluesky_stm.plans import explore
from bluesky_stm.protocols import Failed
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.surface import SurfacePoints, sites

COLD = {"temperature": 1.2, "modulation": 1e-4}
KELVIN_4 = {"temperature": 4.2, "modulation": 1e-3}


def spectrum_of(bias, current, didv, noise=0.0, seed=0, quality=Quality.GOOD):
    """A spectrum of a junction of 100 nS with this much white noise in dI/dV, in units of its mean."""
    scale, nothing = 100 / np.mean(didv), np.full(len(bias), np.nan)
    drawn = 100 * noise * np.random.default_rng(seed).standard_normal(len(bias))
    return Spectrum(
        position=Point(0, 0),
        bias=bias,
        current=scale * current,
        lockin_x=nothing,
        lockin_y=nothing,
        didv=scale * didv + drawn,
        setpoint=Setpoint(float(bias[0]), float(abs(scale * current[0]))),
        quality=quality,
    )


def dynes(gap, broadening):
    """R. C. Dynes et al., Phys. Rev. Lett. 41, 1509 (1978)."""
    return lambda e: np.abs(((e + 1j * broadening) / np.sqrt((e + 1j * broadening) ** 2 - gap**2)).real)


@cache
def superconductor(gap=1.1e-3, broadening=0.1e-3, temperature=1.2, modulation=1e-4, reach=5e-3, points=101):
    """Bias, current and dI/dV, by the trapezoidal rule, eight samples within the broadening."""
    bias = np.linspace(-reach, reach, points)
    energy = np.linspace(-1.6 * reach, 1.6 * reach, 1 + 2 * round(1.6 * reach / min(broadening / 8, 1e-5)))
    return bias, *calculated(trapezoid(dynes(gap, broadening), energy), energy, bias, temperature, modulation, phases=12)


def resonance(line):
    bias, energy = np.linspace(-0.04, 0.04, 81), np.linspace(-0.07, 0.07, 1401)
    return bias, *calculated(trapezoid(line, energy), energy, bias, 4.2, 1e-3, phases=12)


def fano(center=4e-3, width=6e-3, q=0.6, amplitude=0.3):
    """V. Madhavan et al., Science 280, 567 (1998), on a metal of 1."""
    return lambda e: 1 + amplitude * ((q + (e - center) / width) ** 2 / (1 + ((e - center) / width) ** 2) - 1)


def steps(energy=0.036, height=0.1, temperature=4.2, modulation=3e-3, reach=0.08, points=161):
    """Bias, current and dI/dV of elastic and inelastic electrons between constant densities of states.

    The inelastic current is the integral over the Fermi functions of both sides, in closed form; J. Lambe and R. C. Jaklevic,
    Phys. Rev. 165, 821 (1968). The lock-in is the first Fourier coefficient over a period.
    """
    bias, kt = np.linspace(-reach, reach, points), BOLTZMANN * temperature

    def one_way(x):
        return np.where(np.abs(x) < 1e-9, 1.0, x / -np.expm1(-np.where(np.abs(x) < 1e-9, 1.0, x)))

    def current(v):
        return v + height * kt * (one_way((v - energy) / kt) - one_way((-v - energy) / kt))

    angle = 2 * np.pi * (np.arange(400) + 0.5) / 400
    moved = [2 * np.sin(a) * current(bias + modulation * np.sin(a)) for a in angle]
    return bias, current(bias), np.mean(moved, axis=0) / modulation


@pytest.mark.parametrize("broadening", [0.02e-3, 0.1e-3, 0.5e-3])
@pytest.mark.parametrize(("gap", "temperature", "modulation"), [(1.1e-3, 1.2, 1e-4), (1.4e-3, 4.2, 2e-4), (0.6e-3, 1.2, 1e-4)])
def test_gap_and_broadening_of_a_superconductor_come_back(gap, broadening, temperature, modulation):
    """Without noise: the gap within 1 %, the broadening within 3 % of the gap, from 1.2 to 4.2 K."""
    curve = spectrum_of(*superconductor(gap, broadening, temperature, modulation))
    known = {"name": "superconducting_gap", "temperature": temperature, "modulation": modulation}
    assert make_scalarizer(known)(curve) == pytest.approx(gap, rel=0.01)
    assert make_scalarizer({**known, "which": "broadening"})(curve) == pytest.approx(broadening, abs=0.03 * gap)


def test_the_stated_deviation_of_the_gap_is_that_of_repeated_spectra():
    clean, gap = superconductor(), make_scalarizer({"name": "superconducting_gap", **COLD})
    found = [gap.fit(spectrum_of(*clean, noise=0.03, seed=seed)) for seed in range(60)]
    ratios = np.array([(each.gap - 1.1e-3) / each.gap_std for each in found])
    assert abs(ratios.mean()) < 0.5 and 0.75 < ratios.std() < 1.25
    assert gap.deviation(spectrum_of(*clean, noise=0.03)) == found[0].gap_std


def test_a_normal_conductance_that_changes_with_the_bias_leaves_the_gap():
    bias, current, didv = superconductor()
    tilted = spectrum_of(bias, current, didv * (1 + 20 * bias + 2000 * bias**2))
    assert make_scalarizer({"name": "superconducting_gap", **COLD})(tilted) == pytest.approx(1.1e-3, rel=0.01)


def test_the_numerical_derivative_of_the_current_gives_the_same_gap():
    """There is no modulation then, but the step of the sweep."""
    bias, current, _ = superconductor()
    derived = spectrum_of(bias, current, np.gradient(current, bias), quality=Quality.DERIVED)
    assert make_scalarizer({"name": "superconducting_gap", **COLD})(derived) == pytest.approx(1.1e-3, rel=0.02)


def test_the_coherence_peaks_are_where_the_largest_conductance_is():
    bias, current, didv = superconductor(points=501)
    expected = 2 * abs(bias[np.argmax(didv)])
    assert make_scalarizer("coherence_peaks:smoothing=0.02")(spectrum_of(bias, current, didv)) == pytest.approx(
        expected, rel=0.02
    )
    noisy = spectrum_of(*superconductor(), noise=0.03)
    assert make_scalarizer("coherence_peaks")(noisy) == pytest.approx(expected, rel=0.1)
    peaks = make_scalarizer("coherence_peaks")
    again = [spectrum_of(*superconductor(), noise=0.02, seed=seed) for seed in range(60)]
    stated = np.median([peaks.deviation(spectrum) for spectrum in again])  # that of one depends on a few samples around a peak
    assert stated == pytest.approx(np.std([peaks(spectrum) for spectrum in again]), rel=0.4)


@pytest.mark.parametrize("q", [0.0, 0.6, 2.0, 20.0])
def test_a_kondo_resonance_gives_position_width_and_amplitude_back(q):
    """Dip, step or peak; the difference of its extremes is amplitude (1 + q**2), on a background of 1."""
    amplitude = 0.3 / (1 + q**2)
    curve = spectrum_of(*resonance(fano(q=q, amplitude=amplitude)))
    found = make_scalarizer({"name": "kondo", **KELVIN_4}).fit(curve)
    assert found.energy == pytest.approx(4e-3, abs=0.2e-3)
    assert found.width == pytest.approx(6e-3, rel=0.03)
    assert found.amplitude == pytest.approx(0.3, rel=0.05)
    assert found.phase == pytest.approx(2 * np.degrees(np.arctan2(1, q)), abs=3)


def test_the_line_of_frota_has_the_half_width_at_which_a_peak_falls_to_half():
    """Re sqrt(i G / (E + i G)); it falls to half at 2.54 G."""
    width = 2e-3
    curve = spectrum_of(*resonance(lambda e: 1 + 0.4 * np.sqrt(1j * width / (e + 1j * width)).real))
    found = make_scalarizer({"name": "kondo", "line": "frota", **KELVIN_4}).fit(curve)
    assert found.width == pytest.approx(2.54 * width, rel=0.04)
    assert found.amplitude == pytest.approx(0.4, rel=0.05)


def test_a_dip_at_zero_bias_is_its_depth_and_a_flat_curve_is_nothing():
    dip, flat = (spectrum_of(*resonance(lambda e, a=a: 1 - a * np.exp(-((e / 6e-3) ** 2)))) for a in (0.3, 0.0))
    anomaly = make_scalarizer({"name": "zero_bias_anomaly", "width": 0.002})
    assert anomaly(dip) == pytest.approx(-0.3, abs=0.02)
    assert anomaly(flat) == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize(("energy", "height"), [(0.036, 0.1), (0.02, -0.05), (0.06, 0.3)])
def test_inelastic_steps_give_height_and_energy_back(energy, height):
    curve = spectrum_of(*steps(energy, height))
    scalarizer = {"name": "inelastic_step", "temperature": 4.2, "modulation": 3e-3}
    found = make_scalarizer(scalarizer).fit(curve)
    assert found.energy == pytest.approx(energy, abs=0.2e-3)
    assert found.height == pytest.approx(height, rel=0.02)
    assert make_scalarizer({**scalarizer, "energy": energy})(curve) == pytest.approx(height, rel=0.02)


def test_steps_of_a_given_energy_have_a_value_where_there_are_none():
    given = make_scalarizer({"name": "inelastic_step", "temperature": 4.2, "modulation": 3e-3, "energy": 0.036})
    ratios = [given(s) / given.deviation(s) for s in (spectrum_of(*steps(height=0.0), noise=0.01, seed=k) for k in range(60))]
    assert abs(np.mean(ratios)) < 0.5 and 0.75 < np.std(ratios) < 1.25


LINES = (
    {"name": "superconducting_gap", **COLD},
    "coherence_peaks",
    {"name": "kondo", **COLD},
    {"name": "inelastic_step", **COLD},
)


@pytest.mark.parametrize("choice", LINES, ids=str)
def test_a_metal_with_noise_has_no_line(choice):
    bias, scalarizer = np.linspace(-5e-3, 5e-3, 101), make_scalarizer(choice)
    metal = [spectrum_of(bias, bias, 1 + 4 * bias, noise=0.03, seed=seed) for seed in range(60)]
    answers = [scalarizer(spectrum) for spectrum in metal]
    assert sum(isinstance(answer, Failed) for answer in answers) >= 58
    assert all("noise" in answer.reason or "gap" in answer.reason for answer in answers if isinstance(answer, Failed))


@pytest.mark.parametrize("choice", LINES, ids=str)
@pytest.mark.parametrize("window", [(0.0, 5e-3), (-5e-4, 5e-4), (1e-3, 5e-3)])
def test_a_window_that_is_too_narrow_or_beside_the_line_has_a_reason(choice, window):
    """Half a gap, the inside of a gap, and one edge."""
    bias, current, didv = superconductor(points=1001)
    inside = (bias >= window[0] - 1e-9) & (bias <= window[1] + 1e-9)
    answer = make_scalarizer(choice)(spectrum_of(bias[inside], current[inside], didv[inside], noise=0.02))
    assert isinstance(answer, Failed)
    assert any(word in answer.reason for word in ("zero bias", "stands out", "not determined", "not that of", "gap left"))


def test_one_thing_is_not_taken_for_the_other():
    superconducting, kondo = spectrum_of(*superconductor()), spectrum_of(*resonance(fano(q=0.1)))
    assert "not that of one resonance" in make_scalarizer({"name": "kondo", **COLD})(superconducting).reason
    assert isinstance(make_scalarizer({"name": "superconducting_gap", **KELVIN_4})(kondo), Failed)


def test_constants_of_wide_sweeps_follow_a_narrow_one():
    """0.1 V of 3 V is 0.33 mV of 10 mV; inside a gap the normalised conductance is small, if broadened by its width."""
    curve = spectrum_of(*superconductor())
    near = np.abs(curve.bias) < 0.17e-3
    assert make_scalarizer("conductance")(curve) == pytest.approx(curve.didv[near].mean())
    assert make_scalarizer("conductance:normalized=true,broadening=0.002")(curve) < 0.5
    metal = spectrum_of(curve.bias, curve.bias, np.ones(len(curve.bias)))
    assert make_scalarizer("conductance:normalized=true,bias=0.003")(metal) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("choice", "curve"),
    [
        (LINES[0], spectrum_of(*superconductor(), noise=0.03)),
        ({"name": "kondo", **KELVIN_4}, spectrum_of(*resonance(fano()), noise=0.01)),
    ],
    ids=["superconductor", "kondo"],
)
def test_value_and_deviation_come_from_one_fit_that_tries_a_few_dozen_curves(choice, curve, monkeypatch):
    tried = []

    def counted(*args, **kwargs):
        found = least_squares(*args, **kwargs)
        tried.append(found.nfev)
        return found

    monkeypatch.setattr("scipy.optimize.least_squares", counted)
    scalarizer = make_scalarizer(choice)
    assert isinstance(scalarizer(curve), float) and scalarizer.deviation(curve) >= 0
    assert len(tried) == 2, "the second round of the same fit knows the noise"
    assert sum(tried) <= 60


def explored(session, scale, choice, frame=None):
    """Values, stated deviations and parameters of the surface, at the places of an exploration that have a value."""
    session.RE(
        explore(session.stm, session.agent(scale.changed(budget=40, seeds=20, pixels=64, scalarizer=choice)), frame=frame)
    )
    scalarizer, surface = make_scalarizer(choice), session.stm.controller.surface
    answers = [(s, scalarizer(s), scalarizer.deviation(s)) for s in session.catalog[-1].spectra]
    values, deviations = np.array([(v, d) for _, v, d in answers if not isinstance(v, Failed)]).T
    places = np.array([s.position for s, v, _ in answers if not isinstance(v, Failed)])
    rows = SurfacePoints(surface, places).parameters.T
    return values, deviations, dict(zip(surface.sample.model.names, rows, strict=True))


def test_an_exploration_of_a_superconductor_on_a_good_day_maps_its_gap(tmp_path):
    """Nearly every place has a value; the gap of the surface lies within two stated deviations in 90 % of them."""
    with sessions.open("simulated", sample="NbSe2", seed=3, catalog=tmp_path) as session:
        gaps, deviations, known = explored(session, session.scales["terrace"], {"name": "superconducting_gap", **COLD})
    assert len(gaps) >= 36
    assert np.mean(np.abs(gaps - known["gap"]) < 2 * deviations) >= 0.9
    assert np.median(deviations) < 0.01 * 1.1e-3


def test_an_exploration_of_a_cobalt_atom_on_a_good_day_maps_its_resonance(tmp_path):
    """The height of the line follows the envelope of the atom within two stated deviations in 90 % of the places with a value.

    Creep is left out: it moves the tip by 0.3 nm, over which the height changes by more than its deviation.
    """
    day = "good_day:creep=0,hysteresis=0,drift=[0,0]"
    with sessions.open("simulated", sample="Co/Au(111)", seed=3, profile=day, catalog=tmp_path) as session:
        scale = session.scales["cobalt"].changed(frame=2.4, patch=0.6, step=0.15)
        around = sites(session.stm.controller.surface, "cobalt", 1, reach=30.0)[0]
        choice = {"name": "kondo", "temperature": 4.2, "modulation": 2e-3}
        heights, deviations, known = explored(session, scale, choice, Frame.square(tuple(around), 2.4, 64))
    assert len(heights) >= 15
    line = (1 + 0.6**2) * known["kondo"] / (known["metal"] + known["state"])
    assert np.mean(np.abs(heights - line) < 2 * deviations) >= 0.9
    assert np.corrcoef(heights, line)[0, 1] > 0.95
