"""The simulated instrument: noise, clip, lock-in, cost, feedback and tip, each against what is known of it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import BAD_DAY, IDEAL, InstantClock, Profile, SimulatedController
from bluesky_stm.controllers.conformance import ControllerConformance
from bluesky_stm.errors import LimitError, STMError, TipCrashError, UnknownNameError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.parts import profiles
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Au111, Surface, SurfacePoints, sites

SWEEP = SweepSettings(-1.5, 1.5, 121)
BELOW = SweepSettings(-1.5, 1.2, 109)
"""Ends before the preamplifier is full."""

TERRACE = Point(60.0, 30.0)


@pytest.fixture
def ideal():
    stm = SimulatedController(seed=1, profile="ideal")
    stm.move_tip(TERRACE)
    return stm


@pytest.fixture
def good():
    stm = SimulatedController(seed=1)
    stm.move_tip(TERRACE)
    return stm


def test_a_measurement_is_the_same_whatever_was_read_beside_it():
    """Noise belongs to the n-th sweep or scan of a seed."""
    plain, busy = SimulatedController(seed=3), SimulatedController(seed=3)
    spectra = []
    for stm in (plain, busy):
        stm.sweep(SWEEP)
        if stm is busy:
            for _ in range(5):
                stm.read_current()
            stm.get_tip()
        spectra.append(stm.sweep(SWEEP))
    assert (spectra[0].current == spectra[1].current).all()
    assert (spectra[0].lockin_x == spectra[1].lockin_x).all()


def test_two_sweeps_at_one_place_differ_by_noise_alone(good):
    first, second = good.sweep(SWEEP), good.sweep(SWEEP)
    gap = np.abs(SWEEP.bias) < 0.2
    assert (first.current != second.current).any()
    assert (first.current - second.current)[gap].std() < 0.0005


def test_the_noise_in_the_gap_is_that_of_the_published_good_day(good):
    """Offset 1.2 pA; current rms 0.125 pA with a correlation of 0.8, lock-in 0.16 pA, white."""
    flat = SweepSettings(-0.3, 0.3, 400)
    reading = good.spectra(np.repeat([TERRACE], 50, axis=0), flat)
    quiet = reading.current[:, 100:300]
    assert quiet.mean() == pytest.approx(0.0012, abs=0.0001)
    assert quiet.std() == pytest.approx(0.000125, rel=0.1)
    centred = quiet - quiet.mean()
    assert (centred[:, 1:] * centred[:, :-1]).mean() / centred.var() == pytest.approx(0.8 * 0.12**2 / 0.125**2, abs=0.1)
    assert reading.lockin_x[:, 100:300].std() == pytest.approx(0.00016, rel=0.1)


def test_the_set_point_is_held_within_four_or_five_per_cent(good):
    """Standard deviation of the current at the first point, of 200 pA."""
    currents = good.spectra(np.repeat([TERRACE], 400, axis=0), SWEEP).current[:, 0]
    assert 0.035 < currents.std() / abs(currents.mean()) < 0.06
    assert currents.mean() == pytest.approx(-0.2, rel=0.02)


def test_an_overloaded_preamplifier_reads_its_end_and_the_lock_in_nothing(ideal):
    """10.0014 nA, and X and Y are 0 there; the spectrum says so."""
    spectrum = ideal.sweep(SweepSettings(-1.5, 2.4, 121))
    full = spectrum.current >= 10.0014
    assert full.any()
    assert spectrum.current.max() == pytest.approx(10.00144)
    assert (spectrum.lockin_x[full] == 0).all()
    assert (spectrum.lockin_y[full] == 0).all()
    assert spectrum.quality & Quality.CLIPPED


def test_the_lock_in_reads_the_slope_of_the_current(ideal):
    """For a small modulation dI/dV is the derivative of I(V)."""
    spectrum = ideal.sweep(SweepSettings(-1.5, 1.3, 281))
    slope = np.gradient(spectrum.current, spectrum.bias)
    clear = np.abs(slope) > 0.1
    assert spectrum.didv[clear] == pytest.approx(slope[clear], rel=0.05)


def test_a_larger_modulation_blurs_the_onset(ideal):
    """Modulation of 100 mV shows conductance up to that far inside the gap."""
    narrow = ideal.sweep(SWEEP)
    ideal.set_lockin(replace(ideal.get_lockin(), amplitude=0.1))
    wide = ideal.sweep(SWEEP)
    inside = narrow.didv < 1e-4
    assert wide.didv[inside].max() > 10 * narrow.didv[inside].max()


@pytest.mark.parametrize("phase", [0.0, 30.0, 90.0, -193.3])
def test_the_phase_of_the_lock_in_turns_conductance_and_displacement_current_into_each_other(ideal, phase):
    """X = dI/dV cos + C sin, Y = C cos - dI/dV sin, and what is inside them stays the same."""
    stm = SimulatedController(seed=1, profile=IDEAL.changed(capacitance=0.148))
    stm.move_tip(TERRACE)
    straight = stm.sweep(BELOW)
    displaced = 2 * np.pi * 977.1 * 0.148e-12 * 0.02 * 1e9
    assert straight.lockin_y == pytest.approx(np.full(BELOW.points, displaced))
    assert straight.lockin_x == pytest.approx(ideal.sweep(BELOW).lockin_x)
    stm.set_lockin(replace(stm.get_lockin(), phase=phase))
    turned = stm.sweep(BELOW)
    phasor = (straight.lockin_x + 1j * straight.lockin_y) * np.exp(-1j * np.radians(phase))
    assert turned.lockin_x == pytest.approx(phasor.real)
    assert turned.lockin_y == pytest.approx(phasor.imag)


@pytest.mark.parametrize(("profile", "picoampere"), [("good_day", 14.9), ("bad_day", 18.1)])
def test_the_displacement_current_is_the_published_one(profile, picoampere):
    """Lock-in Y in the gap; it grows with amplitude and frequency of the modulation."""
    stm = SimulatedController(seed=1, profile=profile)
    stm.move_tip(TERRACE)
    flat = SweepSettings(-0.3, 0.3, 61)
    assert 1e3 * stm.sweep(flat).lockin_y.mean() == pytest.approx(picoampere, rel=0.01)
    stm.set_lockin(replace(stm.get_lockin(), amplitude=2 * stm.get_lockin().amplitude))
    assert 1e3 * stm.sweep(flat).lockin_y.mean() == pytest.approx(2 * picoampere, rel=0.01)


def test_a_lock_in_that_is_off_reads_nothing(good):
    good.set_lockin(replace(good.get_lockin(), on=False))
    spectrum = good.sweep(SWEEP)
    assert not spectrum.lockin_x.any()
    assert not spectrum.lockin_y.any()


def test_a_sweep_back_is_another_measurement_and_the_spectrum_their_average(good):
    """Each way has its own noise, the average less."""
    both = good.sweep(replace(SWEEP, backward=True))
    forth = 2 * both.current - both.backward["current"]
    assert (forth != both.backward["current"]).any()
    gap = np.abs(SWEEP.bias) < 0.2
    assert np.std(both.current[gap]) < 1.2 * np.std(both.backward["current"][gap])
    assert not good.sweep(SWEEP).backward


def test_the_feedback_keeps_the_current_and_an_open_one_the_height(ideal):
    """Opened and moved closer by 0.1 nm, the current is about a decade higher."""
    before = ideal.sweep(SWEEP).current[0]
    closer = ideal.sweep(SweepSettings(-1.5, 1.5, 121, z_offset=-0.1)).current[0]
    assert before == pytest.approx(-0.2, rel=1e-3)
    assert math.log10(closer / before) == pytest.approx(1, rel=0.1)
    height = ideal.get_tip().z
    ideal.set_feedback(False)
    ideal.move_tip(Point(TERRACE.x + 0.5, TERRACE.y))
    assert ideal.get_tip().z == height


def test_a_higher_set_point_brings_the_tip_closer(ideal):
    """By ln(10) / 2 kappa for ten times the current, about 0.1 nm."""
    before = ideal.get_tip().z
    ideal.set_setpoint_current(2.0)
    assert before - ideal.get_tip().z == pytest.approx(math.log(10) / 21.7, rel=0.1)


def test_a_bias_inside_the_gap_drives_the_tip_into_the_surface(ideal):
    with pytest.raises(TipCrashError, match="withdrawn"):
        ideal.ramp_bias(-0.1)
    assert not ideal.get_feedback()
    assert abs(ideal.read_current()) < 0.001
    with pytest.raises(STMError, match="approach"):
        ideal.set_feedback(True)


def test_an_open_feedback_meets_the_next_step(ideal):
    """Uphill of the terrace there are nanometres of steps in the way."""
    ideal.set_feedback(False)
    with pytest.raises(TipCrashError):
        ideal.move_tip(Point(-150.0, 0.0))


def test_spectra_and_images_take_the_published_time():
    """2.63 s a spectrum, 4090 s an image of 512 lines, in simulated time."""
    stm = SimulatedController(seed=1, clock=InstantClock())
    before = stm.now()
    stm.sweep(SWEEP)
    assert stm.now() - before == pytest.approx(2.63, abs=0.01)
    before = stm.now()
    stm.scan(Frame.square(TERRACE, 5, 512))
    assert stm.now() - before == pytest.approx(4090, rel=0.001)


def test_an_ideal_image_is_the_surface_itself():
    stm = SimulatedController(seed=1, profile="ideal")
    frame = Frame.square(TERRACE, 20, 64)
    assert stm.scan(frame).height == pytest.approx(stm.surface.height(frame.points()), abs=1e-9)
    assert stm.scan(frame).height == pytest.approx(stm.truth_topograph(frame).height, abs=1e-9)


def test_the_grid_of_truth_is_what_a_perfect_sweep_measures(ideal):
    frame = Frame.square(TERRACE, 3, 4)
    grid = ideal.truth_grid(frame, SWEEP)
    x, y = frame.to_sample((2, 1))
    ideal.move_tip(Point(float(x), float(y)))
    assert ideal.sweep(SWEEP).current == pytest.approx(grid.current[2, 1], rel=1e-6, abs=1e-12)
    assert grid.height[2, 1] == pytest.approx(ideal.get_tip().z, abs=0.001)


def test_drift_moves_the_place_and_its_compensation_holds_it():
    """After a minute at 0.001 nm/s of drift the tip is over another place, unless that is compensated."""
    drifting = Profile(drift=(0.001, 0.0))
    left, held = (SimulatedController(seed=1, profile=drifting) for _ in range(2))
    held.set_drift((0.001, 0.0))
    frame = Frame.square(TERRACE, 10, 64)
    first, later = {}, {}
    for name, stm in (("left", left), ("held", held)):
        first[name] = stm.scan(frame).height
        later[name] = stm.scan(frame).height
    assert np.abs(later["held"] - first["held"]).max() < 1e-9
    assert np.abs(later["left"] - first["left"]).max() > 0.005


def test_another_set_point_for_a_sweep_is_given_back(ideal):
    spectrum = ideal.sweep(SweepSettings(-1.5, 1.5, 121, setpoint=Setpoint(-1.5, 0.5)))
    assert spectrum.current[0] == pytest.approx(-0.5, rel=1e-3)
    assert ideal.get_setpoint() == Setpoint(-1.5, 0.2)


def test_the_set_point_is_given_back_after_one_that_nothing_can_carry(ideal):
    """Inside the gap: the tip touches and is withdrawn, and the next approach is not made with that set point."""
    with pytest.raises(TipCrashError):
        ideal.sweep(SweepSettings(-1.5, 1.5, 121, setpoint=Setpoint(-0.1, 0.2)))
    assert ideal.get_setpoint() == Setpoint(-1.5, 0.2)
    ideal.approach()
    assert ideal.get_feedback()


def test_a_sweep_begins_at_its_set_point_where_the_tip_is_much_closer_than_elsewhere():
    """At 2.2 V the second region brings the tip half a nanometre nearer than the terrace does."""
    surface = Surface(seed=1)
    places, setpoint = sites(surface, "region", 40), Setpoint(2.2, 0.2)
    stm = SimulatedController(surface, profile="ideal")
    assert surface.terrace_gap(setpoint) - np.median(SurfacePoints(surface, places).gap(setpoint)) > 0.45
    currents = stm.spectra(places, SweepSettings(2.2, -1.5, 149, setpoint=setpoint)).current
    assert currents[:, 0] == pytest.approx(np.full(len(places), 0.2), rel=0.005)


def test_the_noise_of_a_reading_is_that_of_a_point_of_a_spectrum():
    """Of a withdrawn tip: offset 1.2 pA and 0.125 pA rms, as published for the gap."""
    stm = SimulatedController(seed=1)
    stm.withdraw()
    read = np.array([stm.read_current() for _ in range(2000)])
    assert read.mean() == pytest.approx(0.0012, abs=0.00002)
    assert read.std() == pytest.approx(0.000125, rel=0.1)


def test_a_controller_can_be_built_again_from_what_it_says():
    stm = SimulatedController(Surface("Au(111)", seed=4), seed=9, profile="bad_day")
    said = json.loads(json.dumps(stm.describe()))
    profile = profiles.make(said["profile"])
    again = SimulatedController(Surface(**said["surface"]), seed=said["seed"], profile=profile)
    assert profile == BAD_DAY
    assert (again.sweep(SWEEP).current == stm.sweep(SWEEP).current).all()


def test_an_unknown_profile_is_named_with_those_that_exist():
    with pytest.raises(UnknownNameError, match="good_day"):
        SimulatedController(profile="goodday")


def test_gold_shows_the_onset_of_its_surface_state():
    """At -0.48 V dI/dV rises: the reference on which tips are checked."""
    stm = SimulatedController(Surface("Au(111)", seed=1), profile="ideal")
    stm.move_tip(Point(50, 20))
    spectrum = stm.sweep(SweepSettings(-0.9, 0.2, 111))
    steepest = spectrum.bias[np.gradient(spectrum.didv, spectrum.bias)[5:90].argmax() + 5]
    assert steepest == pytest.approx(-0.48, abs=0.03)
    assert Au111().build().steps.layer == pytest.approx(0.4078 / math.sqrt(3), rel=0.01)


class TestOnGold(ControllerConformance):
    """Another sample behind the same protocol."""

    cycles = 50

    @pytest.fixture
    def controller(self):
        return SimulatedController(Surface("Au(111)", seed=1), seed=1, profile="bad_day")

    @pytest.fixture
    def frame(self):
        return Frame.square((0, 0), 10, 16)

    @pytest.fixture
    def relief(self):
        """Steps of 1.5 nm altogether: on such a day the tilt of an image outweighs what a smaller frame shows."""
        return Frame.square((0, 0), 600, 16)


@pytest.mark.parametrize(
    "ask",
    [
        lambda stm: stm.spectra(np.array([[0.0, 0.0], [2000.0, 0.0]]), SWEEP),
        lambda stm: stm.spectra(np.zeros((1, 2)), replace(SWEEP, stop=11.0)),
        lambda stm: stm.grid(Frame.square((0.0, 0.0), 4.0, 2), replace(SWEEP, start=-11.0)),
        lambda stm: stm.grid(Frame.square((999.0, 0.0), 4.0, 2), SWEEP),
        lambda stm: stm.grid(Frame.square((0.0, 0.0), 4.0, 2), replace(SWEEP, settle=math.inf)),
    ],
)
def test_many_spectra_at_once_have_the_ranges_of_a_single_one(good, ask):
    before = good.now()
    with pytest.raises(LimitError, match="Nothing has moved"):
        ask(good)
    assert good.now() == before
