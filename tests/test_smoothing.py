"""Filters by the cosine transform are those of scipy, and values between pixels, too."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from bluesky_stm.smoothing import Smoothing, interpolated

SHAPES = [(64, 64), (37, 20), (1, 9), (5, 1)]


@pytest.mark.parametrize("order", [(0, 0), (2, 0), (1, 1), (3, 0), (2, 1), (1, 2), (0, 3)])
@pytest.mark.parametrize("width", [0.3, 1.0, (1.0, 2.5), (7.0, 30.0)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_filter_is_that_of_scipy_to_rounding(shape, width, order):
    image = np.random.default_rng(0).standard_normal(shape)
    want = gaussian_filter(image, width, order=order, mode="reflect")
    assert Smoothing(image)(width, order) == pytest.approx(want, abs=1e-13 * max(np.abs(want).max(), 1))


@pytest.mark.parametrize("width", [0.0, 0.1])
def test_a_filter_narrower_than_a_pixel_leaves_an_image_as_it_is(width):
    image = np.random.default_rng(1).standard_normal((12, 31))
    assert Smoothing(image)(width) == pytest.approx(image, abs=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_between_pixels_are_those_of_scipy_inside_and_mirrored_outside(shape):
    rng = np.random.default_rng(2)
    images = rng.standard_normal((3, *shape))
    rows, columns = rng.uniform(-150, 300, 200), rng.uniform(-150, 300, 200)
    want = [map_coordinates(image, [rows, columns], order=1, mode="reflect") for image in images]
    assert interpolated(images, np.arange(3)[:, None], rows, columns) == pytest.approx(np.array(want), abs=1e-13)


def test_a_raster_is_given_by_its_lines():
    images = np.random.default_rng(3).standard_normal((1, 16, 16))
    rows, columns = np.linspace(1.5, 13.2, 5), np.linspace(0.1, 14.9, 7)
    want = map_coordinates(images[0], np.meshgrid(rows, columns, indexing="ij"), order=1)
    assert interpolated(images, 0, rows[:, None], columns) == pytest.approx(want, abs=1e-14)
