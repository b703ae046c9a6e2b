"""What was put into an image on purpose is taken out again; what was moved by a known amount is found there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from bluesky_stm import files, imaging
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.imaging import LEAST_CORRELATION, fill_holes, level, register, register_features, resample, small_features
from bluesky_stm.measurements import Setpoint, Topograph

PIXEL = 0.1


def surface(seed=0, roughness=2.0):
    """A rough surface of 400 x 400 pixels of unit standard deviation."""
    rough = gaussian_filter(np.random.default_rng(seed).normal(size=(400, 400)), roughness)
    return rough / rough.std()


def view(image, row=100, column=100, size=128, angle=0.0):
    """A window of a surface, as a topograph around 0, 0."""
    frame = Frame.square((0.0, 0.0), size * PIXEL, size, angle)
    return Topograph(frame, image[row : row + size, column : column + size], setpoint=Setpoint(-1.0, 0.1))


def test_the_real_pair_has_drifted_by_11_nm(data_file):
    """(10.9, -2.1) nm as (row, column) of the correction, by phase correlation elsewhere: the surface went the other way."""
    before, after = (files.read_sxm(data_file(f"Si_7x7_0{n}.sxm")) for n in (28, 32))
    found = register(before, after)
    assert found.shift == pytest.approx((2.1, -10.9), abs=0.1)
    assert found.trusted
    assert register(after, before).shift == pytest.approx((-2.1, 10.9), abs=0.1)


@settings(max_examples=25, deadline=None)
@given(st.integers(-40, 40), st.integers(-40, 40), st.integers(0, 5), st.sampled_from([1.0, 2.0]))
def test_a_known_shift_is_found_in_noise(rows, columns, seed, roughness):
    """A window that looks further up shows everything further down."""
    rough, noise = surface(seed, roughness), np.random.default_rng(seed + 100).normal(0, 0.5, (2, 128, 128))
    before, after = view(rough), view(rough, 100 + rows, 100 + columns)
    found = register(
        Topograph(before.frame, before.height + noise[0], setpoint=before.setpoint),
        Topograph(after.frame, after.height + noise[1], setpoint=after.setpoint),
    )
    assert found.trusted
    assert found.shift == pytest.approx((-columns * PIXEL, -rows * PIXEL), abs=0.5 * PIXEL)


@settings(max_examples=15, deadline=None)
@given(st.floats(-180, 180))
def test_the_shift_is_told_in_the_frame_of_the_sample(angle):
    rough = surface()
    found = register(view(rough, angle=angle), view(rough, 110, 100, angle=angle))
    turn = np.radians(angle)
    assert found.shift == pytest.approx((np.sin(turn), -np.cos(turn)), abs=0.05)


@pytest.mark.parametrize("roughness", [1.0, 2.0, 4.0])
def test_images_of_different_places_are_not_trusted(roughness):
    rough = surface(3, roughness)
    assert not register(view(rough, 10, 10), view(rough, 250, 250)).trusted


def test_what_phase_correlation_does_not_find_is_found_by_the_fallback():
    """A smooth surface under much noise: the phases of all but the lowest frequencies are noise."""
    rough, noise = surface(1, 4.0), np.random.default_rng(5).normal(0, 0.5, (2, 128, 128))
    before, after = view(rough), view(rough, 115, 75)
    found = register(
        Topograph(before.frame, before.height + noise[0], setpoint=before.setpoint),
        Topograph(after.frame, after.height + noise[1], setpoint=after.setpoint),
    )
    assert found.method == "masked correlation"
    assert found.trusted
    assert found.shift == pytest.approx((2.5, -1.5), abs=PIXEL)


def test_an_overview_is_found_in_the_image_of_its_parent():
    """Half as large, twice as fine, turned, and off by what the piezo crept."""
    parent = Topograph(Frame.square((0.0, 0.0), 40.0, 400), surface(2, 4.0), setpoint=Setpoint(-1.0, 0.1))
    creep = np.array([0.7, -0.4])
    asked = Frame.square((3.0, 2.0), 20.0, 400, angle=15.0)
    reached = Frame.square(Point(*(np.array(asked.center) + creep)), 20.0, 400, angle=15.0)
    overview = Topograph(asked, resample(parent, reached), setpoint=parent.setpoint)
    found = register(parent, overview)
    assert found.trusted
    assert found.shift == pytest.approx(tuple(-creep), abs=0.02)


def test_an_image_that_ended_early_is_registered_by_what_it_has():
    rough = surface(4)
    short = view(rough, 105, 100)
    short.height[70:] = np.nan
    found = register(view(rough), short)
    assert found.trusted
    assert found.shift == pytest.approx((0.0, -5 * PIXEL), abs=0.05)


def test_images_of_separate_places_cannot_be_registered():
    here = view(surface())
    there = Topograph(Frame.square((500.0, 0.0), 12.8, 128), here.height, setpoint=here.setpoint)
    with pytest.raises(SettingsError, match="covers 0% of the frame"):
        register(here, there)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-100, 100))
def test_levelling_takes_out_a_plane_and_nothing_else(up, along, height):
    rows, columns = np.indices((20, 30))
    image = surface()[:20, :30].copy()
    image[3, 4] = np.nan
    tilted = image + up * rows + along * columns + height
    assert level(tilted) == pytest.approx(level(image), abs=1e-6, nan_ok=True)
    assert np.diff(level(tilted), n=2) == pytest.approx(np.diff(image, n=2), abs=1e-6, nan_ok=True)


def test_a_hole_is_filled_with_its_nearest_neighbour_and_the_image_stays_as_it_was():
    image = np.arange(30.0).reshape(5, 6)
    image[2, 2:4] = np.nan
    filled = fill_holes(image)
    assert filled[2, 2] in (image[2, 1], image[1, 2], image[3, 2]) and filled[2, 3] in (image[2, 4], image[1, 3], image[3, 3])
    assert np.isnan(image[2, 2]) and (filled[np.isfinite(image)] == image[np.isfinite(image)]).all()
    assert (fill_holes(np.full((3, 3), np.nan)) == 0).all()


def test_resampling_a_plane_gives_the_plane():
    frame = Frame(Point(5.0, 5.0), (10.0, 8.0), (16, 20), angle=20.0)
    inside = Frame(Point(5.0, 5.0), (4.0, 3.0), (7, 9), angle=-40.0)
    image = Topograph(frame, frame.points() @ [0.3, -0.1], setpoint=Setpoint(-1.0, 0.1))
    assert resample(image, inside) == pytest.approx(inside.points() @ [0.3, -0.1])
    assert np.isnan(resample(image, Frame.square((50.0, 50.0), 1.0, 4))).all()


def test_a_match_farther_off_than_is_possible_is_not_looked_for():
    """A pattern that repeats every 40 pixels fits in many places; told how far it may be, the right one is taken."""
    cell = surface()[:40, :40]
    image = np.tile(cell, (10, 10)) + 0.3 * surface(seed=1)
    for rows, expected in ((6, 0.1), (22, 1.5)):
        found = register_features(view(image), view(image, row=100 - rows), (0.0, expected), 1.5)
        assert found.trusted and found.shift == pytest.approx((0.0, rows * PIXEL), abs=PIXEL)


def test_a_match_that_has_a_rival_elsewhere_is_not_trusted():
    cell = surface()[:40, :40]
    image = np.tile(cell, (10, 10)) + 0.3 * surface(seed=1)
    found = register_features(view(image), view(image, row=100 - 22))
    assert found.correlation > 0.9 and found.rival > 0.8 and not found.trusted


def test_a_match_at_the_end_of_what_is_possible_is_not_trusted():
    """It is the flank of a better one beyond."""
    image = gaussian_filter(surface(), 2)
    found = register_features(view(image), view(image, row=100 - 12), (0.0, 0.0), 10.5 * PIXEL)
    assert found.correlation > 0.5 and not found.trusted


@pytest.mark.parametrize("seed", range(4))
def test_strangers_with_a_handful_of_features_are_not_trusted(seed):
    """Somewhere a few spots of the one image fall onto a few of the other."""
    places, rng = np.stack(np.indices((400, 400)), axis=-1), np.random.default_rng(seed)
    first, second = (
        sum(np.exp(-((places - p) ** 2).sum(axis=-1) / 18) for p in rng.uniform(100, 228, (6, 2))) for _ in range(2)
    )
    assert not register_features(view(first), view(second)).trusted


def test_a_single_spot_is_followed_but_not_looked_for_far_away():
    """It fits onto any other spot; only where it cannot have come from farther is it known to be the same."""
    places, noise = np.stack(np.indices((400, 400)), axis=-1), np.random.default_rng(6).normal(0, 0.01, (2, 400, 400))
    before, after = (
        view(n + np.exp(-((places - p) ** 2).sum(axis=-1) / 18)) for n, p in zip(noise, ((150, 170), (156, 170)), strict=True)
    )
    near, far = register_features(before, after, within=1.0), register_features(before, after)
    assert near.shift == pytest.approx((0.0, 0.6), abs=0.2 * PIXEL) and near.trusted
    assert far.shift == near.shift and far.correlation > LEAST_CORRELATION and far.rival < 0.5 and not far.trusted


def test_a_high_step_that_hysteresis_displaced_does_not_outweigh_the_spots_beside_it():
    """The spots stand still; the step, forty times as high, leans, and seems to lie three pixels farther to the right."""
    places, rng = np.stack(np.indices((400, 400)), axis=-1), np.random.default_rng(4)
    spots = sum(np.exp(-((places - p) ** 2).sum(axis=-1) / 8) for p in rng.uniform(90, 370, (100, 2)))

    def seen(moved):
        step = 40 / (1 + np.exp(-(places[..., 1] - 130 - moved - 0.3 * (places[..., 0] - 160)) / 2))
        return view(spots + step + 0.02 * rng.standard_normal(spots.shape), size=256)

    before, after = seen(0), seen(3)
    assert np.hypot(*register_features(before, after).shift) > 2 * PIXEL
    found = register_features(small_features(before, PIXEL), small_features(after, PIXEL), (0.0, 0.0), 1.0)
    assert found.trusted and np.hypot(*found.shift) < 1.5 * PIXEL


def test_a_shift_beyond_what_is_possible_is_not_trusted():
    """Where only a search over all shifts is affordable, its result is judged by how far it lies."""
    image = surface()
    assert register_features(view(image), view(image, row=40)).shift == pytest.approx((0.0, 6.0), abs=PIXEL)
    small = view(image, row=100 - 68, size=256), view(image, row=100, size=256)
    far = register_features(*small, (0.0, 20.0), 6.6)
    assert not far.trusted


def test_the_products_of_two_images_are_those_of_a_convolution_bit_for_bit():
    rng = np.random.default_rng(8)
    before, after = rng.standard_normal((2, 37, 52))
    before[rng.random(before.shape) < 0.1] = np.nan
    over = imaging._products(before, after)
    filled, known = np.nan_to_num(before), np.isfinite(before).astype(float)
    for power, image in enumerate((known, filled, filled**2)):
        np.testing.assert_array_equal(over(power, 1), fftconvolve(after, image[::-1, ::-1]))
