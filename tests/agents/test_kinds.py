"""Seed points over the kinds of spots in an image."""

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Failed, Observation

FRAME = Frame.square((0.0, 0.0), 60, 192)
RARE = (11.0, -7.0)


def crowd():
    """Forty equal low bumps, and one that is three times as high."""
    rng = np.random.default_rng(5)
    raster = np.stack(np.meshgrid(np.arange(-24, 25, 8.0), np.arange(-24, 25, 8.0)), axis=-1).reshape(-1, 2)
    common = [p for p in raster + rng.uniform(-1, 1, raster.shape) if np.hypot(*(p - RARE)) > 4][:40]
    places, height = FRAME.points(), 2e-3 * rng.standard_normal(FRAME.pixels)
    for p, size in [*((p, 0.05) for p in common), (RARE, 0.15)]:
        height += size * np.exp(-((places - p) ** 2).sum(axis=-1) / (2 * 0.5**2))
    return Topograph(FRAME, height, setpoint=Setpoint(-1.5, 0.2), time=0.0), np.array(common)


def agent(**settings):
    made = make_agent("gp-xy", seed=3, **{"patch": 6, "step": 3, "sites": "spots", "seeds": 20, **settings})
    made.observe(crowd()[0])
    return made


BIAS = np.linspace(-1, 1, 41)


def spectrum(point):
    return Spectrum(
        position=point,
        bias=BIAS,
        current=BIAS,
        lockin_x=0 * BIAS + 1,
        lockin_y=0 * BIAS,
        didv=0 * BIAS + 1,
        setpoint=Setpoint(-1.5, 0.2),
    )


def visit(made, count, value=lambda point: 1.0, with_spectra=False):
    for _ in range(count):
        point = made.suggest(1)[0].point
        made.ingest([Observation(point, value(point), spectrum(point) if with_spectra else None)])
    return np.array([o.point for o in made.observations])


def test_the_one_that_looks_different_is_measured_second():
    first, second = visit(agent(), 2)
    assert np.hypot(*(crowd()[1] - first).T).min() < 0.5
    assert np.hypot(*(second - RARE)) < 0.5


def test_candidates_on_the_raster_are_seeded_evenly_as_before():
    spread = visit(agent(sites="raster"), 2)
    assert np.hypot(*(spread - RARE).T).min() > 0.5


def test_pending_spots_count_as_seen():
    made = agent()
    first = made.suggest(1)[0].point
    assert np.hypot(*np.subtract(made.suggest(1, pending=[first])[0].point, RARE)) < 0.5


def test_where_spectra_have_no_value_another_of_the_kind_is_sought_elsewhere():
    def value(point):
        return Failed("no gap") if point[0] < 0 else 1.0

    shy, bold = visit(agent(), 16, value), visit(agent(), 16)
    assert np.mean(shy[:, 0] > 0) > np.mean(bold[:, 0] > 0)


def test_a_spot_whose_spectrum_was_taken_back_is_visited_again():
    made = agent()
    first, second = visit(made, 2)
    made.observe(crowd()[0])
    made.ingest([Observation(Point(*first), 1.0), Observation(Point(*second), Failed("the tip has changed", again=True))])
    assert made.suggest(1)[0].point == Point(*second)


def test_where_all_values_are_poor_fewer_spots_are_visited():
    def value(point):
        return (0.5 if point[0] < 0 else 1.0) + 1e-3 * np.sin(100 * point[1])

    choosy, bold = visit(agent(), 16, value), visit(agent(), 16)
    assert np.mean(choosy[:, 0] > 0) > np.mean(bold[:, 0] > 0)


TARGET = {"name": "target", "low": 0.4, "high": 0.6}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gp-xy", {"acquisition": TARGET}),
        ("gp-xy", {"acquisition": {"name": "near", "of": TARGET}}),
        ("gp-xy", {"acquisition": "variance"}),
        ("novelty", {}),
        ("pareto", {"objectives": [{"name": "conductance", "bias": bias} for bias in (-0.5, 0.5)]}),
    ],
)
def test_seed_points_of_what_does_not_seek_large_values_do_not_heed_how_large_they_are(name, settings):
    def seeds(value):
        made = make_agent(name, seed=3, patch=6, step=3, sites="spots", seeds=17, **settings)
        made.observe(crowd()[0])
        return visit(made, 16, value, with_spectra=True)

    assert np.array_equal(seeds(lambda point: -abs(point[0])), seeds(lambda point: abs(point[0])))


def test_where_there_is_a_spectrum_curiosity_needs_no_value():
    """A place whose spectrum has no value is as good as any other to an agent that does without."""
    made = make_agent("novelty", seed=3, patch=6, step=3, sites="spots", seeds=17)
    made.observe(crowd()[0])
    valued = visit(made, 16, with_spectra=True)
    made.observe(crowd()[0])
    seen = visit(made, 16, lambda point: Failed("no gap") if point[0] > 0 else 1.0, with_spectra=True)
    assert np.array_equal(seen, valued)


def test_the_first_spectra_are_taken_at_the_place_to_begin_at_and_around_it():
    points = visit(agent(sites="raster", begin=[[9.0, 4.0]]), 14)
    off = np.hypot(*(points - (9.0, 4.0)).T)  # windows of 6 nm, on a raster of 3 nm
    assert off[0] < 2.2 and (off[:13] < 3.0 + 4.0).all() and off[13] > 7.0
    angles = np.sort(np.arctan2(*(points[1:7] - (9.0, 4.0)).T))
    assert np.diff(angles, append=angles[0] + 2 * np.pi).max() < np.pi  # on all sides


def test_a_rare_spot_that_was_hinted_at_is_measured_first():
    assert np.hypot(*(visit(agent(begin=[[RARE[0] + 0.8, RARE[1] - 0.6]]), 1)[0] - RARE)) < 0.5


def test_without_a_spot_left_seeds_are_spread_over_the_frame():
    made = agent(seeds=80)
    points = visit(made, 60)
    spots = np.array([*crowd()[1], RARE])
    off = np.hypot(*np.moveaxis(points[:, None] - spots, -1, 0)).min(axis=1)
    assert (off[:35] < 0.5).all() and (off[45:] > 0.5).any()


@pytest.mark.parametrize("kind", ["dkl", "random", "space-filling"])
def test_every_agent_takes_the_spots_as_candidates(kind):
    made = make_agent(kind, patch=6, step=3, sites="spots")
    made.observe(crowd()[0])
    assert np.hypot(*(made.candidates - RARE).T).min() < 0.4
