"""Streaks of a scan are told from features of the surface, and images of a bad day are registered in spite of them."""

import numpy as np
import pytest

from bluesky_stm.controllers import BAD_DAY, IDEAL, SimulatedController
from bluesky_stm.controllers.simulated._instrument import Instrument
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.imaging import register_features
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.streaks import streaks, with_lines_aligned, without_streaks

FRAME = Frame.square((0.0, 0.0), 50.0, 96)
STILL = {"drift": (0.0, 0.0), "creep": 0.0, "hysteresis": 0.0, "wear_field": 0.0, "wear_current": 0.0}


def image(height):
    frame = Frame(Point(0.0, 0.0), (float(height.shape[1]), float(height.shape[0])), height.shape)
    return Topograph(frame, height, setpoint=Setpoint(-1.0, 0.1))


def bump(width, side=41):
    """A round bump of height 1, ``width`` pixels wide at half of it."""
    rows, columns = np.indices((side, side)) - side // 2
    return np.exp(-4 * np.log(2) * (rows**2 + columns**2) / width**2)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_bump_of_less_than_five_pixels_keeps_its_height_even_without_noise(width):
    for high in (bump(width), -bump(width)):
        assert without_streaks(image(high)).height == pytest.approx(high, abs=1e-6)


@pytest.mark.parametrize("width", [5, 6, 8, 16])
def test_a_wider_bump_loses_a_tenth_of_its_height_at_most(width):
    assert without_streaks(image(bump(width))).height == pytest.approx(bump(width), abs=0.105)


def test_a_streak_is_replaced_by_what_lies_above_and_below_and_nothing_else_is():
    rng = np.random.default_rng(2)
    before = np.add.outer(0.3 * np.arange(40), 0.1 * np.arange(60)) + 0.01 * rng.standard_normal((40, 60))
    after = before.copy()
    after[10, 20:35] += 1.0
    after[25, 5:12] -= 1.0
    after[26, 5:12] -= 1.0
    mended = without_streaks(image(after)).height
    changed = after != before
    assert (streaks(after) == changed).all()
    assert mended[changed] == pytest.approx(before[changed], abs=0.05) and (mended[~changed] == before[~changed]).all()


def test_most_pixels_of_the_streaks_of_a_bad_day_are_found_and_no_defect_is_taken_for_one():
    """The same noise with and without streaks: they are drawn last but for hum, so that the difference is theirs alone."""
    for seed in (15, 37, 40):
        none, all_of_them = (
            SimulatedController(seed=seed, profile=BAD_DAY.changed(**STILL, streaks=rate)).scan(FRAME).height
            for rate in (0.0, BAD_DAY.streaks)
        )
        there, found = all_of_them - none > 0.01, streaks(all_of_them)
        assert found[there].mean() > 0.5 and there[found].mean() > 0.7
        ideal = SimulatedController(seed=seed, profile=IDEAL).scan(FRAME)
        assert np.std(without_streaks(ideal).height - ideal.height) < 0.05 * np.std(ideal.height), "a surface has none"


def test_lines_that_crept_or_jumped_are_as_high_as_the_ones_before_them():
    rows, columns = np.indices((30, 40))
    flat = np.where((rows - 15) ** 2 + (columns - 20) ** 2 < 25, 1.0, 0.0)
    crept = flat - np.log1p(np.arange(30))[:, None] + np.where(np.arange(30) > 11, 5.0, 0.0)[:, None]
    assert with_lines_aligned(image(crept)).height == pytest.approx(flat, abs=1e-9)


def test_lines_with_a_hole_and_an_image_of_few_lines_are_left_as_they_are():
    rng = np.random.default_rng(1)
    half = rng.standard_normal((20, 20))
    half[12:] = np.nan
    half[3, 4] = np.nan
    for mend in (without_streaks, with_lines_aligned):
        assert np.isnan(mend(image(half)).height[12:]).all()
        np.testing.assert_array_equal(mend(image(half)).height[3], half[3])
    few = image(half[:1])
    assert without_streaks(few) is few and with_lines_aligned(few) is few


@pytest.mark.parametrize("seed", [2, 15, 37])
def test_an_image_taken_after_an_approach_is_registered_while_z_still_creeps(seed):
    """The first lines lie 2 nm below the last ones; the features are a hundredth as high."""
    microscope = SimulatedController(seed=seed, profile=BAD_DAY.changed(**STILL))
    before = microscope.scan(FRAME)
    microscope.withdraw()
    microscope.approach()
    after = microscope.scan(Frame.square((0.3, -0.2), 50.0, 96))
    assert np.ptp(np.median(after.height, axis=1)) > 1.0
    found = register_features(before, after, (0.0, 0.0), 0.9)
    assert found.trusted and found.shift == pytest.approx((0.0, 0.0), abs=0.15)


@pytest.mark.parametrize("seed", [36, 40, 81])
def test_an_adsorbate_that_the_tip_dragged_along_is_no_drift(seed):
    """It is ten times as high as all that stood still."""
    microscope = SimulatedController(seed=seed, profile=BAD_DAY.changed(**STILL))
    before = microscope.scan(FRAME)
    instrument = microscope._junction.instrument
    inside = instrument.surface.defects(np.array([-22.0, -22.0]), np.array([22.0, 22.0]))
    highest = max((one for one in inside if one.species in ("adsorbate", "cluster")), key=lambda one: one.size)
    moved = instrument.surface.with_moved(highest, Point(highest.x + 0.7, highest.y + 0.4))
    microscope._junction.instrument = Instrument(moved, instrument.profile)
    found = register_features(before, microscope.scan(FRAME), (0.0, 0.0), 0.9)
    assert found.trusted and found.shift == pytest.approx((0.0, 0.0), abs=0.25), "half a pixel; it was moved by 0.8 nm"
