"""What is fast says the same as the plain formula, at every kind of place."""

import numpy as np
import pytest
from scipy.signal import cont2discrete, lfilter, lfilter_zi

from bluesky_stm.controllers.simulated._detection import Detection
from bluesky_stm.controllers.simulated._feedback import FeedbackLoop
from bluesky_stm.controllers.simulated._noise import NoiseSource, remembering
from bluesky_stm.controllers.simulated._profile import GOOD_DAY
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, LockInSettings, SweepSettings
from bluesky_stm.surface import Surface, SurfacePoints, SweepIntegral, block_rng
from bluesky_stm.surface._random import SmoothField, smooth_fields
from bluesky_stm.surface._setpoint import constant_current

SURFACE = Surface(seed=3)


def scattered(count, spread, seed=0):
    """Places in a square of that side, nm, around a place anywhere within 2 um."""
    rng = np.random.default_rng([seed, count])
    return rng.uniform(-1000, 1000, 2) + rng.uniform(-spread / 2, spread / 2, (count, 2))


@pytest.mark.parametrize(("count", "spread"), [(1, 0), (9, 1.5), (9, 60), (300, 1.5), (300, 400)])
@pytest.mark.parametrize("seed", range(4))
def test_smooth_fields_are_sums_of_cubic_splines(count, spread, seed):
    points = scattered(count, spread, seed)
    fields = (SmoothField(3, "a", 9.0), SmoothField(3, "b", 70.0))

    def spline(x):
        x = np.abs(x)
        return np.where(x < 1, 2 / 3 - x**2 + x**3 / 2, np.where(x < 2, (2 - x) ** 3 / 6, 0.0))

    for field, values in zip(fields, smooth_fields(fields, points), strict=True):
        for place, value in list(zip(points * (1.155 / field.length), values, strict=True))[:9]:
            # The nodes of a cell are those from its own index on: a node stands one cell further than its number says.
            i, j = np.floor(place).astype(int)
            nodes = [(k, m) for k in range(i, i + 4) for m in range(j, j + 4)]
            drawn = [block_rng(3, field.layer, k // 16, m // 16).standard_normal((16, 16))[k % 16, m % 16] for k, m in nodes]
            weights = [spline(place[0] - k + 1) * spline(place[1] - m + 1) for k, m in nodes]
            assert value == pytest.approx(np.dot(weights, drawn) / (151 / 315), abs=2e-6)


@pytest.mark.parametrize("many", [2**23, 0], ids=["compared", "searched by a tree"])
@pytest.mark.parametrize(("count", "spread"), [(1, 0), (9, 1.5), (64, 30), (128, 100), (300, 90), (4096, 12)])
def test_neighbours_are_all_pairs_within_reach(count, spread, many, monkeypatch):
    monkeypatch.setattr("bluesky_stm.surface._defects._MANY", many)
    points = scattered(count, spread)
    near, reach = SURFACE.population.near(points), 60.0
    defects = SURFACE.population.within(points.min(axis=0) - reach, points.max(axis=0) + reach)
    for number, species in enumerate(SURFACE.sample.species):
        own = defects[defects[:, 3] == number]
        away = points - own[:, None, :2]
        inside = np.hypot(*away.transpose(2, 0, 1)) < species.reach
        pairs = slice(near.first[number], near.first[number + 1])
        assert near.any(number) == inside.any()
        found, true = np.lexsort((near.dx[pairs], near.place[pairs])), np.lexsort((away[inside][:, 0], np.nonzero(inside)[1]))
        np.testing.assert_array_equal(near.place[pairs][found], np.nonzero(inside)[1][true])
        for vector, axis in ((near.dx, 0), (near.dy, 1)):  # single precision of many places leaves 1e-6 nm
            np.testing.assert_allclose(vector[pairs][found], away[inside][true, axis], rtol=0, atol=1e-6)


@pytest.mark.parametrize("slope", [np.inf, 0.5])
@pytest.mark.parametrize("seed", range(30))
def test_terraces_far_from_an_edge_are_as_high_as_the_flank_lets_a_tip_see_them(slope, seed):
    downhill = np.random.default_rng(seed).uniform(-900, 900) + np.linspace(0, 3, 20)
    stairs, steps = SURFACE.staircase, SURFACE.sample.steps
    fallen, highest = np.zeros(20), np.full(20, -np.inf)
    for tile in range(-4, 5):
        for edge, layers in zip(*stairs.edges(tile), strict=True):
            fallen += np.where(downhill > edge, layers * steps.layer, 0.0)
    top = stairs.height(np.array([-1885.0]))[0]
    level = top
    for tile in range(-4, 5):
        for edge, layers in zip(*stairs.edges(tile), strict=True):
            past = downhill - edge
            highest = np.maximum(highest, np.where(past > 0, level - slope * np.maximum(past, 1e-12), -np.inf))
            level -= layers * steps.layer
    assert stairs.height(downhill, slope) == pytest.approx(np.maximum(top - fallen, highest), abs=1e-9)
    assert stairs.clearance(downhill) <= stairs.distance(downhill).min() + 1e-9


@pytest.mark.parametrize("seed", range(30))
def test_the_second_region_rises_and_falls_as_a_fermi_function(seed):
    points = scattered(9, 2.0, seed)
    band, regions = SURFACE.sample.band, SURFACE.regions
    angle, width = np.radians(band.angle), band.crossover / (2 * np.log(9))
    across = points @ (np.cos(angle), np.sin(angle)) + band.meander * regions.meander(points)
    share = np.zeros(9)
    for tile in range(-5, 6):
        rng = block_rng(3, "band", tile)
        low, high = (tile * band.period + rng.uniform(*ends) for ends in (band.lower, band.upper))
        share += 1 / (1 + np.exp((low - across) / width)) / (1 + np.exp((across - high) / width))
    assert regions.share(points) == pytest.approx(share, abs=1e-12)


def test_the_first_places_of_a_set_are_what_they_are_by_themselves():
    points = scattered(9, 20.0)
    part, alone = SurfacePoints(SURFACE, points).first(4), SurfacePoints(SURFACE, points[:4])
    assert part.parameters == pytest.approx(alone.parameters, abs=1e-6)
    assert part.height(SURFACE.sample.reference, 0.5) == pytest.approx(alone.height(SURFACE.sample.reference, 0.5), abs=1e-6)


@pytest.mark.parametrize("gains", [(0.0273, 87.8), (0.0, 87.8), (0.0273, 600.0)])
@pytest.mark.parametrize("resonance", [0.0, 9000.0])
@pytest.mark.parametrize("interval", [7.8e-3, 1e-4, 1e-5])
def test_the_loop_is_discretised_as_control_theory_does_it(gains, resonance, interval):
    loop = FeedbackLoop(FeedbackGains(*gains), 21.7, 7e-5, resonance, 3.0)
    assert loop.stable
    heights = 1 + 0.1 * np.cumsum(np.random.default_rng(0).standard_normal((2, 200)), axis=1)
    forward, back, _ = cont2discrete(loop.polynomials(), interval, method="foh")
    forward, back = forward.ravel(), back.ravel()
    expected = lfilter(forward, back, heights, axis=-1, zi=lfilter_zi(forward, back) * heights[:, :1])[0]
    assert loop.follow(heights, interval) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("settle", [0.0, 0.0005, 0.004])
@pytest.mark.parametrize("back", [False, True])
def test_what_a_slow_lockin_reads_is_the_mean_of_a_filter_of_first_order(settle, back):
    """Each bias is divided into 1500 steps of a filter that forgets in 0.5 ms; the mean of those integrated is read."""
    settings = SweepSettings(-1, 1, 21, settle=settle, integrate=0.001)
    values = np.random.default_rng(1).standard_normal((1, 21))
    steps, tau = 1500, 5e-4
    ways = values[:, ::-1] if back else values
    kept, level, read = np.exp(-settings.dwell / steps / tau), ways[0, 0], []
    for value in ways[0]:
        levels = value + (level - value) * kept ** (np.arange(steps) + 0.5)
        level = value + (level - value) * kept**steps
        read.append(levels[round(steps * settle / settings.dwell) :].mean())
    late = Detection(GOOD_DAY, LockInSettings(amplitude=0.01, frequency=977.0), settings)._late(values, tau, back)
    assert (late[:, ::-1] if back else late)[0] == pytest.approx(read, abs=2e-6)


@pytest.mark.parametrize("length", [64, 512])
def test_noise_that_remembers_is_the_same_in_short_and_in_long_lines(length):
    expected, drawn = np.zeros((3, length)), np.random.default_rng(5).standard_normal((3, length))
    for k in range(length):
        expected[:, k] = drawn[:, k] if k == 0 else 0.8 * expected[:, k - 1] + 0.6 * drawn[:, k]
    assert remembering(np.random.default_rng(5), (3, length), 0.8) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", [0, 7, 2**40 + 1])
def test_the_noise_of_a_seed_is_what_numpy_draws_from_the_seed_the_kind_and_the_number(seed):
    expected = np.random.default_rng([seed, *b"sweep", 12]).standard_normal(4)
    assert NoiseSource(seed).of("sweep", 12).standard_normal(4).tolist() == expected.tolist()


def test_a_tip_that_is_pressed_into_the_surface_carries_what_contact_does():
    """However far a motor has run on before anybody withdraws it."""
    sweep = SweepIntegral(SURFACE.barrier, np.linspace(-1.5, 1.5, 31), finest=SURFACE.finest)
    states = SurfacePoints(SURFACE, np.zeros((3, 2))).states(sweep.edges)
    near, contact, pressed = sweep(states, np.array([0.05, 0.0, -500.0]))[0]
    np.testing.assert_allclose(pressed, contact, rtol=1e-6)
    assert abs(contact[0]) > 2 * abs(near[0]) > 1e4, "in nA: beyond any preamplifier"


@pytest.mark.parametrize("bias", [-1.5, -0.5, 0.3, 0.5, 0.8])
def test_a_gap_is_that_of_states_counted_in_double_precision_and_none_where_nothing_flows(bias):
    places = SurfacePoints(SURFACE, scattered(640, 300))
    kept = constant_current(SURFACE.barrier, Setpoint(bias, 0.1), SURFACE.finest)
    coarse = np.arange(len(kept.edges))
    edges = np.interp(np.linspace(0, coarse[-1], 16 * coarse[-1] + 1), coarse, kept.edges)
    states = np.diff(SURFACE.sample.model.count(places.parameters, edges)) / np.diff(edges)
    found = places.gap(Setpoint(bias, 0.1))
    for gap, own in zip(found, states, strict=True):
        at = np.array([max(gap, 0.3)])
        current = abs(float(SURFACE.barrier.current(own[None], edges, np.array([bias]), at)[0, 0]))
        if gap > 0.3:
            assert current == pytest.approx(0.1, rel=0.06)  # 0.003 nm: the bins of a set point are wide
        else:  # the tip would touch, or nothing carries the current at all
            assert current < 0.11
