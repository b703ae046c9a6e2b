"""The chance that a spectrum has a value, against what is known of coins and regions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_stm.valued import chance_of_value

RASTER = np.stack(np.meshgrid(np.arange(24.0), np.arange(24.0)), axis=-1).reshape(-1, 2)


def tried(n, seed=0):
    return np.random.default_rng(seed).permutation(RASTER)[:n]


def test_without_failures_it_is_exactly_one():
    assert (chance_of_value(RASTER, tried(9), np.ones(9)) == 1.0).all()
    assert (chance_of_value(RASTER, np.empty((0, 2)), []) == 1.0).all()


def test_a_region_without_values_is_known_by_its_spectra():
    measured = tried(60)
    chance = chance_of_value(RASTER, measured, measured[:, 0] < 12)
    inside, outside = chance[RASTER[:, 0] < 9], chance[RASTER[:, 0] > 14]
    assert inside.min() > 0.5 > outside.max() and inside.mean() > 0.8 and outside.mean() < 0.2


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_failures_of_a_coin_tell_nothing_of_the_place(rate):
    measured = tried(300)
    chance = chance_of_value(RASTER, measured, np.random.default_rng(1).random(300) < rate)
    assert np.abs(chance - rate).mean() < 0.1


def test_each_further_failure_at_a_place_makes_it_less_likely():
    valid, corner = tried(12, seed=2) * 0.7, RASTER[-1]
    chances = [
        chance_of_value(RASTER, [*valid, *[corner] * failed], [True] * 12 + [False] * failed)[-1] for failed in range(2, 12)
    ]
    assert (np.diff(chances) < 0).all() and chances[-1] < 0.1


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.booleans()), min_size=1, max_size=15), st.floats(1e-3, 1e3))
def test_it_is_a_chance_and_knows_neither_unit_nor_order(spectra, unit):
    places, valued = np.array([s[:2] for s in spectra], dtype=float), [s[2] for s in spectra]
    chance = chance_of_value(RASTER, places, valued)
    assert ((chance > 0) & (chance <= 1)).all()
    assert chance_of_value(RASTER * unit, places * unit, valued) == pytest.approx(chance, abs=1e-6)
    assert chance_of_value(RASTER, places[::-1], valued[::-1]) == pytest.approx(chance, abs=1e-6)
