"""Places, frames and patches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point, extract_patches, patch_centers

coordinate = st.floats(-1e3, 1e3)
size = st.floats(0.01, 1e3)
frames = st.builds(
    lambda x, y, w, h, rows, columns, angle: Frame(Point(x, y), (w, h), (rows, columns), angle),
    coordinate, coordinate, size, size, st.integers(1, 64), st.integers(1, 64), st.floats(-360, 360),
)  # fmt: skip


@given(frames, arrays(float, (5, 2), elements=st.floats(-0.5, 1.5)))
def test_pixel_to_nm_and_back_is_where_one_started(frame, relative):
    pixel = relative * np.asarray(frame.pixels)
    back = frame.to_pixel(frame.to_sample(pixel))
    np.testing.assert_allclose(back, pixel, atol=1e-6 * (1 + max(frame.pixels) * 1e3 / min(frame.size)))


@given(frames)
def test_distances_on_the_sample_do_not_depend_on_the_angle(frame):
    a, b = frame.to_sample([(0, 0), (frame.pixels[0] - 1, frame.pixels[1] - 1)])
    height, width = frame.pixel_size
    expected = np.hypot((frame.pixels[0] - 1) * height, (frame.pixels[1] - 1) * width)
    assert np.hypot(*(a - b)) == pytest.approx(expected, abs=1e-6)


@given(frames)
def test_a_frame_survives_its_document(frame):
    assert Frame.from_dict(frame.as_dict()) == frame


@given(frames)
def test_all_pixels_lie_inside_and_the_corners_on_the_edge(frame):
    assert frame.contains(frame.points(), margin=min(frame.pixel_size) / 2 - 1e-6).all()
    assert frame.contains(frame.corners, margin=-1e-6).all()
    assert not frame.contains(frame.corners, margin=1e-6).any()


def test_row_zero_is_the_lowest_y_and_column_zero_the_lowest_x():
    points = Frame.square((0, 0), 10, 5).points()
    assert points[0, 0] == pytest.approx([-4, -4])
    assert points[0, 4] == pytest.approx([4, -4])
    assert points[4, 0] == pytest.approx([-4, 4])


def test_a_positive_angle_turns_counter_clockwise():
    turned = Frame.square((0, 0), 10, 5, angle=90).points()
    assert turned[0, 4] == pytest.approx([4, 4])  # what was lower right is now upper right


def test_the_published_grid_has_49_windows_of_30_pixels_every_10_in_512():
    """Narasimha et al. used the first 48 of them, centres 20 .. 490 px, shifted by half a step."""
    frame = Frame.square((125, 125), 250, 512)
    centers = patch_centers(frame, 30 * 250 / 512, 10 * 250 / 512)
    assert centers.shape == (49 * 49, 2)
    assert centers[0] * 512 / 250 == pytest.approx([15, 15])
    assert centers[-1] * 512 / 250 == pytest.approx([495, 495])


@given(st.integers(1, 9), st.integers(0, 2**31))
def test_a_patch_is_the_window_of_the_image_around_its_center(size, seed):
    image = np.random.default_rng(seed).normal(size=(20, 30))
    frame = Frame(Point(0, 0), (30, 20), (20, 30))
    centers = frame.to_pixel(patch_centers(frame, size, 1))
    patches = extract_patches(image, centers, size)
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size)).reshape(-1, size, size)
    np.testing.assert_array_equal(patches, windows)


def test_a_patch_over_the_edge_sees_the_image_mirrored():
    image = np.arange(12.0).reshape(3, 4)
    patch = extract_patches(image, [(0, 0)], 3)[0]
    np.testing.assert_array_equal(patch, [[0, 0, 1], [0, 0, 1], [4, 4, 5]])


@pytest.mark.parametrize("bad", [{"size": (0, 1)}, {"pixels": (0, 4)}, {"size": (np.nan, 1)}, {"angle": np.inf}])
def test_an_impossible_frame_is_refused(bad):
    with pytest.raises(SettingsError):
        Frame(**{"center": Point(0, 0), "size": (1, 1), "pixels": (4, 4), **bad})


def test_a_patch_larger_than_the_frame_is_refused():
    with pytest.raises(SettingsError, match="does not fit"):
        patch_centers(Frame.square((0, 0), 10, 64), 11, 1)
