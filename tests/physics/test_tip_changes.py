"""A tip that changes within a spectrum multiplies current and slope by the same factor from one bias to the next."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bluesky_stm.controllers import FakeController, RecordedController, SimulatedController
from bluesky_stm.files import RecordedRun, read
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.tip_changes import largest_step, tip_changed

LABELS = json.loads((Path(__file__).parent / "published_jumps.json").read_text())


def diode(onset=0.5, points=121, noise=0.0, seed=0):
    """Spectrum of a semiconductor without a microscope: the current grows with the square of the bias beyond each edge."""
    bias = np.linspace(-1.5, 1.5, points)
    beyond = np.maximum(bias - onset, 0) ** 2 - np.maximum(-onset - bias, 0) ** 2
    slope = 2 * np.maximum(bias - onset, 0) + 2 * np.maximum(-onset - bias, 0)
    factor = 1 + noise * np.random.default_rng(seed).standard_normal(points)
    current = 0.2 * beyond * factor
    return Spectrum(
        position=Point(0, 0), bias=bias, current=current, lockin_x=0.02 * 0.2 * slope, lockin_y=0 * bias, didv=0.2 * slope,
        setpoint=Setpoint(-1.5, 0.2),
    )  # fmt: skip


def jumped(spectrum, at, factor):
    """The same with another tip from the bias ``at`` (V) on: current and slope are both changed by the factor."""
    after = np.where(spectrum.bias >= at, factor, 1.0)
    names = ("current", "lockin_x", "didv")
    return replace(spectrum, **{name: getattr(spectrum, name) * after for name in names})


@pytest.mark.parametrize("factor", [0.7, 0.85, 1.2, 1.5])
@pytest.mark.parametrize("at", [-1.3, 1.0])
def test_a_jump_is_found_with_its_place_and_its_size(at, factor):
    """Its size is the logarithm of the factor, its place the bias where it happened (definition of a jump)."""
    step = largest_step(jumped(diode(noise=0.005), at, factor))
    assert step.significance > 1
    assert step.size == pytest.approx(np.log(factor), abs=0.04)
    assert diode().bias[step.index] == pytest.approx(at, abs=0.06)


@pytest.mark.parametrize("seed", range(20))
def test_one_tip_is_never_called_two(seed):
    """Vibration of the gap by 2 % of the current, as in the published spectra of the worst days (data sheet, section 7)."""
    assert not tip_changed(diode(noise=0.02, seed=seed))


def test_an_edge_of_a_band_is_no_jump():
    """The current of a narrow level rises by a factor of three within 50 mV, and its slope says so."""
    bias = np.linspace(-1.0, 1.0, 101)
    level = 1 / (1 + np.exp(-(bias - 0.4) / 0.02))
    current = 0.1 * bias + 0.3 * level
    slope = np.gradient(current, bias)
    spectrum = replace(diode(), bias=bias, current=current, lockin_x=slope, lockin_y=0 * bias, didv=slope)
    assert not tip_changed(spectrum)


def test_vibration_of_the_gap_is_no_jump():
    """The current of one junction in seven of the published ones swings by 5 to 10 % with a period of some samples."""
    quiet = diode(noise=0.005)
    swinging = replace(quiet, current=quiet.current * (1 + 0.08 * np.sin(2 * np.pi * np.arange(121) / 5.3)))
    assert not tip_changed(swinging)


def test_without_a_lock_in_large_jumps_are_found_from_the_current_alone():
    """The slope of the current before and after is all that is known then."""
    unknown = np.full(121, np.nan)
    quiet = replace(diode(noise=0.005), lockin_x=unknown, didv=unknown)
    assert not tip_changed(quiet)
    after = np.where(quiet.bias >= 1.2, 0.7, 1.0)
    assert tip_changed(replace(quiet, current=quiet.current * after))


def test_what_lies_in_the_noise_or_above_the_range_is_not_judged():
    """Nobody can tell a jump of a current that is not there, or that the preamplifier has cut off."""
    rng = np.random.default_rng(1)
    nothing = replace(diode(), current=1e-4 * rng.standard_normal(121), didv=1e-3 * rng.standard_normal(121))
    assert largest_step(nothing) is None
    full = replace(diode(), current=np.full(121, 10.0), didv=np.zeros(121), quality=Quality.CLIPPED)
    assert largest_step(full) is None


def test_a_change_in_the_gap_is_seen_by_the_way_back():
    """Where no current flows nobody sees it happen, but the current is another one when the sweep comes back."""
    forth = diode(noise=0.005)
    factor = np.where(forth.bias > 0, 0.8, 1.0)  # the tip changes at 0 V on the way forth, and stays changed
    there = {name: getattr(forth, name) * factor for name in ("current", "lockin_x", "didv")}
    back = {name: getattr(forth, name) * 0.8 for name in ("current", "lockin_x", "didv")}
    both = {name: (there[name] + back[name]) / 2 for name in there}
    assert not tip_changed(replace(forth, **there))
    assert tip_changed(replace(forth, **both, backward=back))


# ---- the bar: 80 % of the jumps above 10 % at less than 2 % false


@pytest.mark.parametrize("name", LABELS)
def test_jumps_of_the_published_spectra_are_found(data_file, name):
    """Spectra of G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), each labelled by hand from its picture."""
    flags = np.array([tip_changed(spectrum) for spectrum in read(data_file(name)).spectra])
    labels = LABELS[name]
    quiet = np.setdiff1d(np.arange(len(flags)), labels["jumped"] + labels["doubtful"])
    assert flags[labels["jumped"]].mean() >= 0.8
    assert flags[quiet].mean() < 0.02


def test_jumps_of_the_simulated_instrument_are_found():
    """The simulated instrument knows its jumps; those in the gap and above the range of the preamplifier are left out."""
    seen = found = quiet = false = 0
    for profile in ("good_day", "bad_day"):
        stm = SimulatedController(seed=5, profile=f"{profile}:wear_field=0.5,jump=[0.05,0.36]")
        settings = SweepSettings(-1.5, 1.5, 121)
        reading = stm.spectra(np.random.default_rng(1).uniform(-100, 100, (300, 2)), settings)
        for n, factor in enumerate(reading.jumped):
            spectrum = replace(
                diode(), bias=settings.bias, current=reading.current[n], lockin_x=reading.lockin_x[n],
                didv=stm.get_lockin().didv(reading.lockin_x[n]), quality=reading.quality,
            )  # fmt: skip
            step, size = np.abs(np.diff(factor)) / factor[:-1], np.abs(reading.current[n])
            visible = (np.minimum(size[1:], size[:-1]) > 0.02) & (np.maximum(size[1:], size[:-1]) < 10)
            if (factor == 1).all():
                quiet, false = quiet + 1, false + tip_changed(spectrum)
            elif (step[visible] > 0.1).any():
                seen, found = seen + 1, found + tip_changed(spectrum)
    assert seen > 50
    assert found / seen >= 0.8
    assert false / quiet < 0.02


# ---- every microscope says so, and nothing is learned from such a spectrum


def simulated_jump(**settings):
    """A spectrum in which the tip of the simulated microscope jumps at a bias where a current flows."""
    for seed in range(40):
        stm = SimulatedController(seed=seed, profile="good_day:wear_field=1.0,jump=[0.25,0.4]")
        stm.move_tip((60.0, 30.0))
        spectrum = stm.sweep(SweepSettings(-1.5, 1.4, 117, **settings))
        if spectrum.quality & Quality.TIP_CHANGED:
            return spectrum
    raise AssertionError("none of 40 microscopes reported a jump")


def test_the_simulated_microscope_marks_the_spectrum():
    simulated_jump()
    stm = SimulatedController(seed=1, profile="ideal")
    assert stm.sweep(SweepSettings()).quality == Quality.CLIPPED


def test_a_recorded_microscope_marks_what_was_not_marked_when_it_was_recorded():
    """A file of others has no such flags."""
    frame, spectrum = Frame.square((0, 0), 2.0, 3), jumped(diode(noise=0.005), 1.0, 0.7)
    places = [Point(float(x), float(y)) for x, y in frame.points().reshape(-1, 2)]
    run = RecordedRun(
        Topograph(frame, np.zeros((3, 3)), setpoint=spectrum.setpoint), tuple(spectrum.at(place) for place in places)
    )
    stm = RecordedController(run)
    stm.move_tip(places[0])
    assert stm.sweep(stm.sweep_settings).quality == Quality.TIP_CHANGED


def test_the_scripted_microscope_is_judged_as_the_others_are():
    """Its ohmic junction never jumps."""
    assert FakeController().sweep(SweepSettings(-1.0, 1.0, 101, backward=True)).quality == Quality.GOOD


@pytest.mark.parametrize("name", ["gap", "conductance", "positive_channel_area"])
def test_such_a_spectrum_has_no_value(name):
    """Before and after are two tips: what the sum of both says is a property of neither."""
    value = make_scalarizer(name)(simulated_jump())
    assert "tip changed" in value.reason
