"""Images are turned and placed as the frame says."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_stm.geometry import Frame, Point, patch_centers
from bluesky_stm.pictures import contrast, flattened
from bluesky_stm.views._pictures import COLORS, Mosaic, color_table, round_length, shrunk, within

frames = st.builds(
    lambda x, y, side, angle: Frame(Point(x, y), (side, side), (64, 64), angle),
    st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 500), st.floats(-180, 180),
)  # fmt: skip


@given(frames)
def test_corners_lie_at_the_corners_whatever_the_angle(frame):
    side = frame.size[0]
    np.testing.assert_allclose(within(frame, frame.corners), [[0, 0], [side, 0], [side, side], [0, side]], atol=1e-6)


@given(frames)
def test_a_mosaic_shows_each_candidate_at_its_place(frame):
    candidates = patch_centers(frame, frame.size[0] / 8, frame.size[0] / 8)
    image = Mosaic(frame, candidates, pixels=64).image(np.arange(len(candidates)))
    np.testing.assert_array_equal(image, np.kron(np.arange(64).reshape(8, 8), np.ones((8, 8))))


@pytest.mark.parametrize("seed", range(5))
def test_candidates_beside_their_place_in_the_raster_leave_no_gap_and_the_margin_free(seed):
    frame = Frame.square((0, 0), 100, 64)
    raster = patch_centers(frame, 20, 5)
    rng = np.random.default_rng(seed)
    moved = (np.abs(raster).max(axis=-1) < 35) & (rng.random(len(raster)) < 0.4)
    aside = rng.uniform(-2.4, 2.4, raster.shape) * moved[:, None]
    image = Mosaic(frame, raster + aside).image(np.ones(len(raster)))
    before = Mosaic(frame, raster).image(np.ones(len(raster)))
    np.testing.assert_array_equal(np.isfinite(image), np.isfinite(before))
    assert np.isnan(image[:5]).all() and np.isnan(image[:, -5:]).all()


def test_a_mosaic_of_scattered_places_leaves_the_rest_empty():
    frame = Frame.square((0, 0), 10, 100)
    image = Mosaic(frame, np.array([[-4.5, -4.5], [-3.5, -4.5], [4.5, 4.5]]), pixels=100).image(np.array([1.0, 2.0, 3.0]))
    assert image[5, 5] == 1 and image[5, 15] == 2 and image[95, 95] == 3
    assert np.isnan(image[50, 50]) and np.isfinite(image).mean() < 0.05


def test_terraces_become_level_and_a_step_stays_a_step():
    """A step of 0.7 nm between two terraces on a tilted sample; a least-squares plane would tilt both terraces."""
    rows, columns = np.indices((20, 30))
    height = 0.3 * rows - 0.1 * columns + 7 + np.where(columns < 12, 0.0, 0.7)
    height[3] = np.nan
    flat = flattened(height)
    assert np.isnan(flat[3]).all()
    assert np.delete(flat, 3, axis=0)[:, :12] == pytest.approx(0.0, abs=1e-9)
    assert np.delete(flat, 3, axis=0)[:, 12:] == pytest.approx(0.7)


def test_shrinking_averages_and_keeps_the_lowest_row_first():
    image = np.repeat(np.arange(4.0), 25).reshape(4, 25).repeat(2, axis=0)[:, :24]
    small = shrunk(image, 50)
    assert small.shape == (4, 12) and small[:, 0].tolist() == [0, 1, 2, 3]
    assert shrunk(image, image.size) is not image and (shrunk(image, image.size) == image).all()


@given(st.floats(1e-3, 1e4))
def test_a_scale_bar_is_a_round_length_that_fits(most):
    length = round_length(most)
    assert most / 2.5 * (1 - 1e-6) <= length <= most * (1 + 1e-6)
    assert f"{length:.0e}"[0] in "125"


def test_contrast_of_a_constant_or_an_empty_image_is_a_range():
    for image in (np.full((3, 3), 2.0), np.full((3, 3), np.nan)):
        low, high = contrast(image)
        assert low < high


def test_the_colours_of_the_page_are_those_of_matplotlib():
    for name, known in COLORS.items():
        matplotlib = (mpl.colormaps[known](np.arange(256))[:, :3] * 255).round()
        np.testing.assert_array_equal(color_table(name), matplotlib)
