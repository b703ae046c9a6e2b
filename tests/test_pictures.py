"""Small pictures for notebooks: read back by another program, they show what was measured, the lowest y at the bottom."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib.image
import numpy as np
import pytest

from bluesky_stm.pictures import beside, curve_picture, table, topograph_picture


def image_in(html):
    """Pixels (rows from the top, columns, grey and alpha) and the width and height on the screen."""
    encoded = re.search(r"data:image/png;base64,([^']+)'", html)[1]
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(encoded)), format="png")
    return pixels, tuple(int(re.search(rf" {side}='(\d+)'", html)[1]) for side in ("width", "height"))


def test_the_lowest_y_lies_at_the_bottom_and_what_was_not_measured_is_transparent():
    height = np.zeros((40, 40))
    height[2:6, 30:36] = 1.0  # near the lowest y, to the right
    height[35:] = np.nan
    pixels, _ = image_in(topograph_picture(height, (20.0, 20.0)))
    bright = np.argwhere(pixels[..., 0] == pixels[..., 0].max())
    assert bright.mean(axis=0) == pytest.approx([39 - 3.5, 32.5])
    assert (pixels[:5, :, -1] == 0).all() and (pixels[5:, :, -1] == 1).all()


def test_a_picture_has_the_proportions_of_its_frame_and_few_pixels():
    pixels, (width, height) = image_in(topograph_picture(np.random.default_rng(1).normal(size=(512, 1024)), (100.0, 50.0)))
    assert width == 2 * height and max(pixels.shape) <= 400


def test_a_picture_of_nothing_is_still_one():
    pixels, _ = image_in(topograph_picture(np.full((8, 8), np.nan), (1.0, 1.0)))
    assert (pixels[..., -1] == 0).all()


def test_a_curve_goes_up_on_the_screen_where_its_values_grow_and_leaves_out_what_is_missing():
    x = np.linspace(-1, 1, 21)
    drawing = ElementTree.fromstring(curve_picture(x, np.where(x > 0.5, np.nan, x), "current (nA) against bias (V)"))
    points = [tuple(map(float, point.split(","))) for point in drawing.find(".//polyline").get("points").split()]
    assert len(points) == np.count_nonzero(x <= 0.5)
    assert points[0][0] < points[-1][0] and points[0][1] > points[-1][1]
    assert drawing.find("figcaption").text == "current (nA) against bias (V): -1 to 0.5"


def test_a_curve_of_nothing_says_so():
    assert "nothing was measured" in curve_picture([0.0], [np.nan], "current")


def test_words_of_people_stay_words_in_a_table():
    html = beside(table("<Run>", {"sample": "<b>a & b</b>", "operator": None, "spectra": 0}))
    cells = {row.find("th").text: row.find("td").text for row in ElementTree.fromstring(html).iter("tr")}
    assert cells == {"sample": "<b>a & b</b>", "spectra": "0"}
