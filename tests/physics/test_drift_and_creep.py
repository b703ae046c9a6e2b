"""Nothing stands still: the sample drifts, and a piezo creeps after each move by the same part of it in each decade of time."""

import math

import numpy as np
import pytest

from bluesky_stm.controllers import BAD_DAY, GOOD_DAY
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import SweepSettings

HOUR = 3600.0


def wait(stm, seconds):
    stm._acts.clock.sleep(seconds)


@pytest.mark.parametrize("profile", [GOOD_DAY, BAD_DAY])
def test_the_rates_of_the_profiles_are_those_of_low_temperature_microscopes(profile):
    """Laterally 0.1 to 1 nm/h and 0.3 to 2 % per decade (data sheet, section 8); in z 0.05 to 0.5 nm/h."""
    assert 0.05 <= profile.z_drift * HOUR <= 0.5
    assert 0.1 <= math.hypot(*profile.drift) * HOUR <= 1.1
    assert 0.003 <= profile.creep <= 0.02
    assert 0 < profile.z_creep <= 0.02


def test_a_current_grows_exponentially_while_the_sample_rises_under_an_open_feedback(ideal_but):
    """By exp(2 kappa d), a factor of nine or ten for the 0.1 nm of an hour, and the tip stays where it is.

    The barrier lies between the work function of 4.5 eV and that plus half of the bias, and 2 kappa is 10.25 / nm times its
    square root in eV.
    """
    stm = ideal_but(z_drift=0.1 / HOUR)
    stm.set_feedback(False)
    before, height = stm.read_current(), stm.get_tip().z
    wait(stm, HOUR)
    assert stm.get_tip().z == height
    low, high = (math.exp(10.25 * math.sqrt(barrier) * 0.1) for barrier in (4.5, 4.5 + 0.75))
    assert low < stm.read_current() / before < high


def test_a_closed_feedback_follows_the_drift_and_an_image_is_tilted_by_it(ideal_but, terrace):
    """Along the slow direction, by drift times the time of the image."""
    stm = ideal_but(z_drift=0.1 / HOUR)
    frame = Frame.square(terrace, 5, 64)
    took = 64 * 2 * 10.0
    tilt = stm.scan(frame, line_time=10.0).height - stm.truth_topograph(frame).height
    assert (tilt[-1] - tilt[0]).mean() == pytest.approx(0.1 / HOUR * took * 63 / 64, rel=1e-3)


def test_a_piezo_creeps_by_the_same_part_in_each_decade(ideal_but):
    """x(t) = x0 (1 + g log10 t): H. Jung and D.-G. Gweon, Rev. Sci. Instrum. 71, 1896 (2000); here g = 1 %."""
    stm = ideal_but(creep=0.01)
    wait(stm, 20 * HOUR)  # the move to the first place is over
    stm.move_tip((160.0, 30.0))
    arrived = stm.now()
    places = [stm._junction.piezo.displacement(arrived + t)[0] for t in (3.0, 30.0, 300.0)]
    assert np.diff(places) == pytest.approx([1.0, 1.0], rel=0.15)


def test_a_piezo_creeps_in_a_scan_as_around_the_middle_of_its_lines(ideal_but):
    """A fast axis that goes to and fro stands in the middle on average; the slow one is late by g v tau (1 - exp(-t / tau)).

    These are summed over the relaxations tau of 1, 10, 100 and 1000 s, where the creep of g in a decade is the sum of them.
    """
    stm = ideal_but(creep=0.01)
    wait(stm, 20 * HOUR)
    frame = Frame.square((0, 0), 40, 32)
    stm.move_tip(frame.to_sample((0, 15.5)))
    wait(stm, 20 * HOUR)  # the move to the first line is over
    stm.scan(frame, line_time=0.01)
    quick = stm._scanning._scan.off
    assert quick[0].mean(axis=0) == pytest.approx((0, 0), abs=1e-3)
    stm.move_tip(frame.to_sample((0, 15.5)))
    wait(stm, 20 * HOUR)
    stm.scan(frame, line_time=5.0)
    off, times = stm._scanning._scan.off, 10.0 * np.arange(32)
    late = sum(0.01 * (40 / 32 / 10.0) * tau * (1 - np.exp(-times / tau)) for tau in (1.0, 10.0, 100.0, 1000.0))
    assert np.ptp(off[..., 0], axis=0) == pytest.approx(np.zeros(32), abs=1e-6)
    assert off[:, 0, 1] == pytest.approx(-late, abs=1e-3)
    wait(stm, 20 * HOUR)
    assert stm._junction.piezo.displacement(stm.now()) == pytest.approx((0, 0), abs=1e-3)


def test_what_a_piezo_does_late_is_missing_in_a_quick_image(ideal_but):
    """A line in 10 ms, to and fro: what takes a second and longer does not follow, and the width falls short by 1 % for each.

    In lines of an hour nearly all of it follows, later than the tip by the velocity times the sum of the relaxations.
    """
    stm, frame = ideal_but(creep=0.01), Frame.square((0, 0), 40, 4)
    wait(stm, 20 * HOUR)
    stm.scan(frame, line_time=0.01)
    across = stm._scanning._scan.off[0, :, 0]
    assert across[-1] - across[0] == pytest.approx(-0.04 * 30, rel=1e-2)  # from the first pixel to the last: 30 of 40 nm
    stm.scan(frame, line_time=HOUR)
    last = stm._scanning._scan.off[-1, -1, 0]
    assert last == pytest.approx(-0.01 * 30 / HOUR * 1111.0, rel=0.06)  # exp(-3.6) of the slowest is left from the turn


@pytest.mark.parametrize("line_time", [0.01, 1.0, 20.0])
def test_a_tip_that_is_sent_where_an_image_has_left_it_stays_there(ideal_but, line_time):
    """A piezo moves through every place between two: what it does late does not come at once because a scan has ended."""
    stm, frame = ideal_but(creep=0.01), Frame.square((10.0, -5.0), 40, 64)
    wait(stm, 20 * HOUR)
    stm.scan(frame, line_time=line_time)
    piezo, begun = stm._junction.piezo, stm._scanning._scan.off[:, 0]
    following = begun[-1] + (begun[-1] - begun[-2])  # where a next line would begin, 0.6 nm from the last one
    assert piezo.displacement(stm.now()) == pytest.approx(following, abs=0.03)


@pytest.mark.parametrize("pixel", [(63, 0), (63, 63), (40, 10)])
def test_a_tip_that_is_sent_to_a_place_of_a_quick_image_stands_there_and_creeps_on(ideal_but, pixel):
    """Onwards in the direction of the move, as H. Jung and D.-G. Gweon, Rev. Sci. Instrum. 71, 1896 (2000) measured it.

    What takes a second comes while the tip is on its way, 1 % of 20 nm; the three slower parts come later.
    """
    stm, frame = ideal_but(creep=0.01), Frame.square((10.0, -5.0), 40, 64)
    stm.move_tip(frame.center)
    wait(stm, 20 * HOUR)
    stm.scan(frame, line_time=0.01)
    there, piezo = stm._scanning._scan.off[pixel], stm._junction.piezo
    stm.move_tip(frame.to_sample(pixel))
    assert piezo.displacement(stm.now()) == pytest.approx(there, abs=0.25)
    wait(stm, 20 * HOUR)
    assert piezo.displacement(stm.now()) - there == pytest.approx(0.04 * (frame.to_sample(pixel) - frame.center), abs=0.05)


def test_after_an_approach_the_height_creeps_less_and_less(ideal_but):
    """The z piezo has come 450 nm or more: a thousandth of that in each decade, with the feedback following."""
    stm = ideal_but(z_creep=0.001)
    wait(stm, HOUR)
    away = stm.get_tip().z
    stm.withdraw()
    wait(stm, 20 * HOUR)  # the creep of the withdrawal is over
    stm.approach()
    heights = []
    for pause in (3.0, 27.0, 270.0):
        wait(stm, pause)
        stm.set_feedback(True)
        heights.append(stm.get_tip().z)
    assert np.diff(heights) == pytest.approx([0.5, 0.5], rel=0.2)
    wait(stm, 20 * HOUR)
    stm.set_feedback(True)
    assert stm.get_tip().z == pytest.approx(away, abs=0.01)


def test_a_spectrum_right_after_an_approach_is_spoilt_and_an_hour_later_it_is_not(ideal_but):
    """While the feedback is open the creep goes on: after a sweep forth and back the current is another one."""
    both = SweepSettings(-1.5, 1.2, 109, backward=True)
    stm = ideal_but(z_creep=0.002)
    stm.withdraw()
    wait(stm, HOUR)
    stm.approach()
    changes = []
    for pause in (0.0, HOUR):
        wait(stm, pause)
        spectrum = stm.sweep(both)
        forth, back = 2 * spectrum.current - spectrum.backward["current"], spectrum.backward["current"]
        changes.append(abs(math.log(back[0] / forth[0])))
    assert changes[0] > 0.1
    assert changes[1] < 0.03
