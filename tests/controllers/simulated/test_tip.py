"""The end of the simulated tip: two apexes, changes by itself, by crashes, pulses and dips, each known to the truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import BAD_DAY, GOOD_DAY, IDEAL, SimulatedController
from bluesky_stm.controllers.simulated._tips import Tip
from bluesky_stm.errors import LimitError, STMError, TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings, TipShape
from bluesky_stm.surface import EuZn2As2, Surface

SWEEP = SweepSettings(-1.5, 1.5, 121)
TERRACE = Point(60.0, 30.0)
TREATED = {"tip_length": 0.1, "tip_slope": 0.4, "tip_bending": 0.06, "tip_double": 0.3, "debris": 1.0}


def microscope(seed=1, surface=None, **changes):
    """Nothing but its tip can go wrong."""
    stm = SimulatedController(surface or Surface(seed=1), seed=seed, profile=IDEAL.changed(**changes))
    stm.move_tip(TERRACE)
    return stm


def with_tip(stm, **state):
    stm._junction.tips.tip = Tip(**state)
    return stm


# ---- what a tip makes of images and spectra ----


def test_a_double_tip_shows_everything_twice():
    """A single adsorbate appears again at the distance of the apexes, on the other side, lower."""
    sample = EuZn2As2(area="figure 4").build()
    only = tuple(replace(s, density=0.02, in_region=1.0) for s in sample.species if s.name == "adsorbate")
    surface = Surface(replace(sample, species=only, puddles=()), seed=4)
    found = surface.defects((40, -150), (150, 150))
    one = max(found, key=lambda d: min(np.hypot(d.x - e.x, d.y - e.y) for e in found if e is not d))
    stm = with_tip(microscope(surface=surface), second=(4.0, 0.0), weight=0.3)
    frame = Frame.square((one.x - 2.0, one.y), 16, 129)
    line = stm.scan(frame).height[64]
    x = frame.points()[64, :, 0]
    flat = np.median(line)
    own, ghost = (line[np.abs(x - place).argmin()] - flat for place in (one.x, one.x - 4.0))
    assert own > ghost > 0.05
    decay = surface.barrier.mean_decay
    height = surface.height(np.array([one.x, one.y])) - surface.height(np.array([one.x - 4.0, one.y]))
    assert ghost == pytest.approx(np.log((1 + 0.3 * np.exp(decay * height)) / 1.3) / decay, abs=0.01)


def test_a_double_tip_mixes_spectra_of_both_places_and_keeps_the_set_point():
    """The current at the set point is the set point, and elsewhere between those of the two places."""
    single, double = microscope(), with_tip(microscope(), second=(3.0, 1.0), weight=0.5)
    mixed = double.sweep(SWEEP).current
    assert mixed[0] == pytest.approx(-0.2, rel=1e-3)
    places = np.array([TERRACE, (TERRACE.x + 3.0, TERRACE.y + 1.0)])
    both = np.abs(single.spectra(places, SWEEP).current)
    assert (np.abs(mixed) >= both.min(axis=0) * 0.999).all()
    assert (np.abs(mixed) <= both.max(axis=0) * 1.001).all()


def test_a_tip_that_bends_the_bands_moves_both_edges():
    """By its bending, as the onsets of tunneling show at one height of the tip."""
    onsets = []
    for bending in (0.0, 0.05):
        stm = microscope()
        stm.set_feedback(False)
        spectrum = with_tip(stm, bending=bending).sweep(SweepSettings(-1.5, 1.2, 1081))
        onsets.append([np.interp(0.01, spectrum.current, spectrum.bias), np.interp(-0.01, spectrum.current, spectrum.bias)])
    assert np.diff(onsets, axis=0)[0] == pytest.approx([0.05, 0.05], abs=0.01)


def test_a_tip_with_states_of_its_own_changes_the_ratio_of_both_polarities():
    """Its density grows with energy: at positive bias electrons come from below its Fermi level, at negative they go above."""
    ratio = []
    for slope in (0.0, 0.5):
        current = with_tip(microscope(), slope=slope).sweep(SWEEP).current
        ratio.append(abs(current[-20] / current[0]))
    assert ratio[1] < 0.9 * ratio[0]


def test_facets_draw_risers_within_the_published_angles():
    """6 to 14 nm wide, 20 to 29 degrees."""
    surface = Surface(seed=2)
    edges, layers = surface.staircase.edges(0)
    stm = microscope(surface=surface, flank=25.0)
    x = np.arange(edges[-1] - 3.0, edges[-1] + 25.0, 0.05)
    places = np.column_stack([x, np.zeros_like(x)])
    height = stm._junction.instrument.image(places, Setpoint(-1.5, 0.2), Tip(25.0))
    steepest = np.degrees(np.arctan(-np.gradient(height, x)))
    riser = steepest[(steepest > 15) & (steepest < 35)]
    assert 20 < np.median(riser) < 29
    assert len(riser) * 0.05 == pytest.approx(layers[-1] * 0.7181 / math.tan(math.radians(25)), rel=0.25)


# ---- how it changes ----


def test_the_tip_changes_by_itself_as_often_as_its_rate_says():
    """Poisson: in 400 hours at 2.5 an hour, 1000 within four standard deviations."""
    stm = microscope(tip_changes=2.5, tip_length=0.1)
    stm._junction.tips.at(400 * 3600.0)
    changes = stm.tip_changes
    assert len(changes) == pytest.approx(1000, abs=4 * math.sqrt(1000))
    assert {change.cause for change in changes} == {"by itself"}
    waits = np.diff([change.time for change in changes])
    assert waits.std() / waits.mean() == pytest.approx(1, abs=0.15)
    assert np.diff([change.tip.length for change in changes]).std() == pytest.approx(0.1, rel=0.15)


def test_a_change_within_a_scan_is_a_jump_between_two_lines_and_stands_in_the_log():
    """A longer tip is held higher by as much, from the line on that begins after the change."""
    stm = microscope(seed=3, tip_changes=3.0, tip_length=0.2)
    frame, started = Frame.square(TERRACE, 10, 128), stm.now()
    image = stm.scan(frame, line_time=10.0).height - stm.truth_topograph(frame).height
    lines = [math.ceil((change.time - started) / 20.0) for change in stm.tip_changes]
    lengths = [0.0, *(change.tip.length for change in stm.tip_changes)]
    expected = np.zeros(127)
    np.add.at(expected, np.array(lines) - 1, np.diff(lengths))
    assert len(lines) >= 1
    assert np.diff(image[:, 64]) == pytest.approx(expected, abs=1e-6)


def test_good_days_have_hardly_a_change_and_bad_days_several_a_frame():
    """Published: two or three in the 4090 s of a 250 nm frame, none in those of the good days."""
    assert 1 < BAD_DAY.tip_changes * 4090 / 3600 < 4
    assert GOOD_DAY.tip_changes * 4090 / 3600 < 0.1


def test_the_same_seed_has_the_same_changes_whatever_is_read_beside():
    plain, busy = (microscope(seed=5, tip_changes=20.0, **TREATED, treatment_change=1.0) for _ in range(2))
    for stm in (plain, busy):
        for _ in range(50):
            stm.sweep(SWEEP)
            if stm is busy:
                stm.read_current()
        stm.pulse(4.0, 0.05)
    assert plain.tip_changes == busy.tip_changes


# ---- treatment ----


def test_pulses_change_the_tip_with_their_chance_and_heal_with_theirs():
    """Of 400 pulses 60 %, of the changes half to a good tip, within four standard deviations."""
    stm = microscope(treatment_change=0.6, treatment_heals=0.5, tip_slope=0.4, tip_length=0.1)
    for _ in range(400):
        stm.pulse(4.0, 0.05)
    changes = stm.tip_changes
    assert len(changes) == pytest.approx(240, abs=4 * math.sqrt(400 * 0.24))
    healed = sum(change.tip.slope == 0 and change.tip.weight == 0 for change in changes)
    assert healed == pytest.approx(len(changes) / 2, abs=4 * math.sqrt(len(changes) / 4))
    assert {change.cause for change in changes} == {"pulse"}


def test_a_weak_pulse_does_nothing():
    stm = microscope(treatment_change=1.0, debris=1.0)
    stm.pulse(1.0, 0.05)
    assert not stm.tip_changes
    assert not stm.surface.population.added


def test_a_pulse_leaves_a_mark_where_it_was_done():
    """A bump as high as the debris of the sample, seen in images and in spectra, and only there."""
    stm = microscope(debris=1.0)
    frame = Frame.square(TERRACE, 30, 61)
    before = stm.scan(frame).height
    stm.move_tip(TERRACE)
    spectrum = stm.sweep(SWEEP).current
    stm.pulse(4.0, 0.05)
    marked = stm.sweep(SWEEP).current
    added = stm.scan(frame).height - before
    assert added[30, 30] == pytest.approx(0.5, abs=0.1)
    assert np.abs(added[:5]).max() < 1e-6
    clear = np.abs(spectrum) > 0.05
    assert np.abs(np.log(np.abs(marked[clear] / spectrum[clear]))).max() > 0.5
    assert stm.surface.defects(np.array(TERRACE) - 0.01, np.array(TERRACE) + 0.01)[-1].species == "cluster"


def test_a_dip_that_does_not_reach_the_surface_changes_nothing_and_a_deeper_one_does():
    stm = microscope(treatment_change=1.0, tip_length=0.1, debris=1.0)
    before = stm.get_bias(), stm.get_feedback()
    stm.shape_tip(TipShape(depth=0.3))
    assert not stm.tip_changes
    stm.shape_tip(TipShape(depth=2.0))
    assert [change.cause for change in stm.tip_changes] == ["dip"]
    assert len(stm.surface.population.added) == 1
    assert (stm.get_bias(), stm.get_feedback()) == before


def test_a_crash_changes_the_tip_and_leaves_a_mark():
    stm = microscope(crash_change=1.0, **TREATED)
    with pytest.raises(TipCrashError):
        stm.ramp_bias(-0.1)
    assert [change.cause for change in stm.tip_changes] == ["crash"]
    assert len(stm.surface.population.added) == 1


def test_a_withdrawn_tip_can_be_neither_pulsed_nor_dipped():
    stm = microscope()
    stm.home()
    assert stm.is_withdrawn() and not stm.get_feedback()
    with pytest.raises(STMError, match="withdrawn"):
        stm.pulse(4.0, 0.05)
    with pytest.raises(STMError, match="withdrawn"):
        stm.shape_tip(TipShape(depth=1.0))


def test_home_is_nearer_than_withdrawn():
    stm = microscope()
    held = stm.get_tip().z
    stm.home()
    assert 40 < stm.get_tip().z - held < 60
    stm.withdraw()
    with pytest.raises(LimitError, match="Approach first"):
        stm.home()
    stm.approach()
    assert stm.get_tip().z == pytest.approx(held, abs=0.01)


def test_an_ideal_tip_stays_as_it_is():
    stm = SimulatedController(seed=1, profile="ideal")
    for _ in range(20):
        stm.pulse(5.0, 0.1)
    stm.scan(Frame.square(TERRACE, 5, 16), line_time=1000.0)
    assert not stm.tip_changes
    assert stm.surface.height(np.array(TERRACE)) == Surface(seed=1).height(np.array(TERRACE))
