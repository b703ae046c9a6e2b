"""Conspicuous spots of an image, and candidates that sit on them."""

import numpy as np
import pytest

from bluesky_stm.geometry import Frame, patch_centers
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.spots import CONSPICUOUS, curvature, described, on_spots, threefold

FRAME = Frame.square((30.0, -20.0), 50, 128, angle=20)
PATCH, STEP = 6.0, 3.0


def image(*bumps, frame=FRAME, step=0.0, noise=0.001):
    """Terraces with noise (nm), a step of that height across the middle, and round bumps (x, y, height, sigma)."""
    places = frame.points()
    height = noise * np.random.default_rng(1).standard_normal(frame.pixels)
    height += step * (np.arange(frame.pixels[1]) > frame.pixels[1] // 2)
    for x, y, size, sigma in bumps:
        height += size * np.exp(-((places - (x, y)) ** 2).sum(axis=-1) / (2 * sigma**2))
    return Topograph(frame, height, setpoint=Setpoint(-1.5, 0.2), time=0.0)


def inside(row, column):
    return (*FRAME.to_sample((row, column)).tolist(),)


@pytest.mark.parametrize("size", [0.1, -0.1])
def test_a_candidate_moves_onto_the_bump_or_pit_in_its_cell(size):
    there = inside(61.3, 40.6)
    places = on_spots(image((*there, size, 0.7)), PATCH, STEP)[0]
    assert np.hypot(*(places - there).T).min() < max(FRAME.pixel_size)


def test_all_other_candidates_stay_on_the_raster():
    raster = patch_centers(FRAME, PATCH, STEP)
    places, spot = on_spots(image((*inside(61, 40), 0.1, 0.7)), PATCH, STEP)
    assert spot.sum() == 1
    np.testing.assert_array_equal(places[~spot], raster[~spot])


def test_no_candidate_moves_by_a_step():
    rng = np.random.default_rng(3)
    bumps = [(*inside(*rng.uniform(15, 112, 2)), 0.1, 0.5) for _ in range(60)]
    moved = on_spots(image(*bumps), PATCH, STEP)[0] - patch_centers(FRAME, PATCH, STEP)
    assert (moved != 0).any()
    angle = np.radians(FRAME.angle)
    along = moved @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert np.abs(along).max() < STEP + max(FRAME.pixel_size)


def test_two_spots_in_one_cell_are_both_candidates_and_the_stronger_keeps_the_cell():
    center = patch_centers(FRAME, PATCH, STEP)[100]
    strong, weak = center + np.array((0.9, 0.9)), center - np.array((1.0, 1.0))
    places, spot = on_spots(image((*strong, 0.2, 0.35), (*weak, 0.1, 0.35)), PATCH, STEP)
    assert np.hypot(*(places[100] - strong)) < max(FRAME.pixel_size)
    assert np.hypot(*(places - weak).T).min() < max(FRAME.pixel_size)
    assert spot.sum() == 2


def triangle(center, turned):
    """Three bumps around a place, the first in the direction ``turned`` degrees."""
    angles = np.radians(turned + np.array([0, 120, 240]))
    return [(center[0] + 0.8 * np.cos(a), center[1] + 0.8 * np.sin(a), 0.1, 0.7) for a in angles]


def test_a_triangle_is_threefold_however_it_is_turned_and_a_dot_is_not():
    dot, one, other = inside(30, 30), inside(90, 40), inside(60, 95)
    seen = threefold(image((*dot, 0.3, 0.7), *triangle(one, 10), *triangle(other, 77), noise=1e-4), PATCH)[0]
    there = [seen[row, column] for row, column in ((30, 30), (90, 40), (60, 95))]
    assert there[1] == pytest.approx(there[2], rel=0.1)
    assert there[1] > 10 * there[0]


def test_a_step_edge_is_no_spot_however_high():
    flat = image(step=0.0, noise=1e-3)
    np.testing.assert_array_equal(on_spots(image(step=5.0), PATCH, STEP)[0], patch_centers(FRAME, PATCH, STEP))
    assert np.abs(curvature(flat, PATCH)).max() < CONSPICUOUS / 2


def test_a_bump_is_curved_positively_and_a_pit_negatively():
    curved = curvature(image((*inside(40, 40), 0.1, 0.7), (*inside(80, 80), -0.1, 0.7)), PATCH)
    assert (curved[:, 40, 40] > 0).all() and (curved[:, 80, 80] < 0).all()


@pytest.mark.parametrize("change", [lambda h: 1e-9 * h, lambda h: h + 7.0, lambda h: h + 0.002 * np.arange(128)])
def test_spots_do_not_depend_on_unit_offset_or_tilt(change):
    one = image((*inside(61, 40), 0.1, 0.7))
    other = Topograph(one.frame, change(one.height), setpoint=one.setpoint, time=one.time)
    np.testing.assert_allclose(on_spots(one, PATCH, STEP)[0], on_spots(other, PATCH, STEP)[0])


@pytest.mark.parametrize("height", [np.zeros((128, 128)), np.full((128, 128), np.nan)])
def test_an_image_that_shows_nothing_leaves_the_raster(height):
    nothing = Topograph(FRAME, height, setpoint=Setpoint(-1.5, 0.2), time=0.0)
    np.testing.assert_array_equal(on_spots(nothing, PATCH, STEP)[0], patch_centers(FRAME, PATCH, STEP))


def test_the_start_document_and_the_image_say_where_candidates_were():
    seen = image((*inside(61, 40), 0.1, 0.7))
    settings = {"patch": PATCH, "step": STEP}
    np.testing.assert_array_equal(described(settings, FRAME, None), patch_centers(FRAME, PATCH, STEP))
    np.testing.assert_array_equal(described({**settings, "sites": "spots"}, FRAME, seen), on_spots(seen, PATCH, STEP)[0])
    assert described({**settings, "sites": "spots"}, FRAME, None) is None
    assert described({}, FRAME, seen) is None
    assert described({**settings, "candidates": [[1, 2]]}, None, None).tolist() == [[1, 2]]
