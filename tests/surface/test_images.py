"""Images of the simulated microscope against what was measured on the published ones: defects, their sizes, noise."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import GOOD_DAY, IDEAL, SimulatedController
from bluesky_stm.controllers.simulated._noise import converter_lines
from bluesky_stm.geometry import Frame
from bluesky_stm.parts import profiles
from bluesky_stm.surface import EuZn2As2, Surface

# species, area, published apparent height (pm: low, high), full width at half maximum (nm: low, high)
SHAPES = [
    ("dot", "figure 7c", (36, 56), (0.9, 1.4)),
    ("charged dot", "figure 7c", (35, 144), (0.9, 1.4)),
    ("pit", "figure 7c", (-39, -9), (1.5, 2.5)),
    ("tall triangle", "figure 7c", (100, 122), (1.4, 1.7)),
    ("triangle", "figure 6", (36, 44), (1.05, 1.5)),
    ("substitution", "figure 5", (18, 30), (1.2, 2.0)),
    ("adsorbate", "figure 4", (340, 420), (1.6, 2.0)),
    ("small adsorbate", "figure 4", (177, 217), (0.85, 1.05)),
]


def alone(species, area):
    """A surface with one kind of defect, all of the same size, and nothing else that shows."""
    sample = EuZn2As2(area=area).build()
    only = tuple(replace(s, density=0.03, spread=0.0, in_region=1.0) for s in sample.species if s.name == species)
    return Surface(replace(sample, species=only, puddles=(), band=None), seed=3)


@pytest.mark.parametrize(("species", "area", "height", "width"), SHAPES, ids=[s[0] for s in SHAPES])
def test_a_defect_has_the_published_height_and_width(species, area, height, width):
    """At -1.5 V and 200 pA; the width is that of a disc as large as what lies above half the height."""
    surface = alone(species, area)
    found = surface.defects((-30, -150), (150, 150))
    lonely = max(found, key=lambda d: min((np.hypot(d.x - e.x, d.y - e.y) for e in found if e is not d), default=99))
    frame = Frame.square((lonely.x, lonely.y), 10, 201)
    image = surface.height(frame.points())
    image = (image - np.median(image)) * 1e3
    sign = np.sign(height[0])
    peak = (sign * image).max()
    area_above = (sign * image > peak / 2).sum() * frame.pixel_size[0] ** 2
    assert height[0] <= sign * peak <= height[1]
    assert width[0] <= np.sqrt(4 * area_above / np.pi) <= width[1]


def test_triangles_point_one_way():
    """Corners at 63, 183 and 303 degrees in all of them, as in both published frames."""
    surface = alone("tall triangle", "figure 7c")
    angles = np.radians(np.arange(0, 360, 3))
    for defect in surface.defects((-30, -150), (150, 150))[:5]:
        ring = np.array([defect.x, defect.y]) + 1.1 * np.column_stack([np.cos(angles), np.sin(angles)])
        phase = np.angle((surface.height(ring) * np.exp(3j * angles)).sum())
        assert np.degrees(phase) / 3 % 120 == pytest.approx(63, abs=3)


def test_the_partner_of_a_triangle_is_a_pit_of_seventy_picometres():
    surface = alone("triangle", "figure 6")
    defect = surface.defects((-30, -150), (150, 150))[0]
    image = surface.height(Frame.square((defect.x, defect.y), 6, 121).points())
    assert (image.min() - np.median(image)) * 1e3 < -70


def test_densities_are_the_published_ones():
    """0.62, 0.25 and 0.15 in 100 nm2, the last from 0.12 to 0.20; in quadrants of 200 nm 0.7 to 1.4 times that."""
    found = Surface(seed=8).defects((-300, -300), (300, 300))
    for name, low, high in (("dot", 0.53, 0.71), ("charged dot", 0.20, 0.30), ("pit", 0.12, 0.20)):
        assert low < 100 * sum(d.species == name for d in found) / 600**2 < high


def test_neighbours_are_as_far_apart_as_at_random():
    """Clark and Evans's ratio, 1.08 in the published image, 1 for points at random."""
    from scipy.spatial import cKDTree

    dots = np.array([(d.x, d.y) for d in Surface(seed=8).defects((-200, -200), (200, 200)) if d.species == "dot"])
    distance = cKDTree(dots).query(dots, 2)[0][:, 1]
    assert 0.93 < distance.mean() * 2 * np.sqrt(len(dots) / 400**2) < 1.12


STEADY = {"converter": 0.0, "drift": (0.0, 0.0), "creep": 0.0, "hysteresis": 0.0, "z_drift": 0.0, "tilt": (0.0, 0.0)}
STEADY |= {"tip_changes": 0.0, "response": 0.0}
"""What leaves an image in its place, taken by one tip that follows at once."""


def noise_of(profile, side, pixels=256):
    """What an image of a clean place shows that the surface does not, in pm."""
    quiet = profiles.make(profile).changed(**STEADY)
    stm = SimulatedController(Surface(seed=2), seed=5, profile=quiet)
    frame = Frame.square((70.0, 40.0), side, pixels)
    return (stm.scan(frame).height - stm.truth_topograph(frame).height) * 1e3


@pytest.mark.parametrize(("profile", "low", "high"), [("good_day", 1.3, 2.2), ("bad_day", 2.4, 3.6)])
def test_rows_differ_by_the_published_noise(profile, low, high):
    """Root mean square of the difference of neighbouring rows, over sqrt 2, medians of rows and outliers left out."""
    noise = noise_of(profile, 20)
    noise = noise - np.median(noise, axis=1, keepdims=True)
    difference = np.diff(noise, axis=0) / np.sqrt(2)
    assert low < 1.4826 * np.median(np.abs(difference)) < high


@pytest.mark.parametrize(("profile", "memory"), [("good_day", (0.7, 0.96)), ("bad_day", (0.5, 0.8))])
def test_noise_is_remembered_from_pixel_to_pixel(profile, memory):
    """Correlation at one pixel along the fast axis: 0.7 to 0.96 on good days, 0.56 to 0.8 on bad ones."""
    noise = noise_of(profile, 20)
    noise = np.clip(noise - np.median(noise, axis=1, keepdims=True), -8, 8)
    assert memory[0] < (noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean() < memory[1]


@pytest.mark.parametrize(("profile", "low", "high"), [("good_day", 0.03, 0.12), ("bad_day", 0.16, 0.37)])
def test_streaks_come_as_often_as_published(profile, low, high):
    """Starts of runs that stand out of their line: 0.06 to 0.08 a line on good days, 0.16 to 0.37 on bad ones."""
    streaky = profiles.make(profile).changed(**STEADY, z_noise=1e-6, z_white=0.0, line_offset=0.0, line_outliers=0.0)
    stm = SimulatedController(Surface(seed=2), seed=5, profile=streaky)
    frame = Frame.square((70.0, 40.0), 20, 512)
    out = np.abs(stm.scan(frame).height - stm.truth_topograph(frame).height) > 0.004
    starts = (np.diff(out.astype(int), axis=1) == 1).sum() + out[:, 0].sum()
    assert low < starts / 512 < high


def test_lines_of_the_converters_stay_with_the_scanner_and_as_wide_as_pixels():
    """Fewer and fainter in a smaller frame, 1.5 pixels wide in each, at 60 and 150 degrees."""
    strongest = []
    for side in (200.0, 5.0):
        stm = SimulatedController(Surface(seed=2), seed=5, profile=IDEAL.changed(converter=0.025))
        frame = Frame.square((70.0, 40.0), side, 256)
        lines = stm.scan(frame).height - stm.truth_topograph(frame).height
        strongest.append(np.percentile(lines, 99))
        assert 0.01 < (lines > 0.3 * strongest[-1]).mean() < 0.15
    assert strongest[0] > 2 * strongest[1]


def test_lines_of_the_converters_are_as_high_as_published():
    """From 25 pm every 76.9 nm down to 1 pm every 1.2 nm, the lines of a bit without those of the lower ones."""
    along = 76.9 / np.array([1, 2, 4, 8, 16, 32, 64])
    across = 0.6 * np.ones(7)  # between the lines of the other converter
    turn = np.radians(60.0)
    places = np.column_stack([along * np.cos(turn) - across * np.sin(turn), along * np.sin(turn) + across * np.cos(turn)])
    heights = converter_lines(places, 0.05, GOOD_DAY) * 1e3
    assert 23 < heights[0] < 27
    assert heights[-1] == pytest.approx(1.0, abs=0.1)
    assert heights[:-1] / heights[1:] == pytest.approx(np.full(6, 25 ** (1 / 6)), rel=0.02)


def test_a_single_step_is_0_718_nm_high_in_an_image():
    """Between the plateaus on both sides of the single layer of a bunch, drawn by a blunt tip on a good day."""
    surface = Surface(seed=2)
    edges, layers = surface.staircase.edges(0)
    single = int(np.flatnonzero(layers == 1)[0])
    ends = np.concatenate([[edges[0] - 15], edges, [edges[-1] + 40]])
    heights = []
    for low, high in ((ends[single], ends[single + 1]), (ends[single + 1], ends[single + 2])):
        across = np.linspace(low, high, 200)
        heights.append(surface.staircase.height(across, np.tan(np.radians(25)))[-20:].mean())
    assert heights[0] - heights[1] == pytest.approx(0.718, rel=0.04)
