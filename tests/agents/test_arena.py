"""The arena scores what is known without an agent."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import arena
import arena_entries

TRUTH = np.array([0.0, 1.0, 2.0, 3.0, 10.0, np.nan])


def test_a_perfect_map_scores_one_and_the_mean_of_the_surface_zero():
    perfect = arena.judged((np.nan_to_num(TRUTH), np.ones(6), 0.0), TRUTH, [])
    assert perfect == {"map": 1.0, "left": 1.0, "cover": 1.0}
    flat = arena.judged((np.full(6, np.nanmean(TRUTH)), np.full(6, 0.01), 0.0), TRUTH, [])
    assert flat["map"] == pytest.approx(0) and flat["left"] == pytest.approx(0) and flat["cover"] == 0


def test_the_yardstick_of_the_map_stays_while_the_best_places_are_measured():
    mean = np.where(np.arange(6) == 4, TRUTH, np.nanmean(TRUTH[:4]))
    found, before = arena.judged((mean, np.ones(6), 0.0), TRUTH, [4]), arena.judged((mean, np.ones(6), 0.0), TRUTH, [])
    assert found["map"] > 0.85 and before["map"] > 0.85
    assert found["left"] == pytest.approx(0)  # of what is left it says nothing


def test_an_entry_whose_package_is_not_there_says_so():
    assert arena_entries.missing("dkl") == ""
    arena_entries.FOREIGN["nobody"] = (arena_entries.RandomForest, "no_such_package")
    try:
        assert arena_entries.missing("nobody") == "the package 'no_such_package' is not installed"
    finally:
        del arena_entries.FOREIGN["nobody"]


def test_the_page_compares_entries_on_the_problems_that_both_have_played():
    def row(entry, seed, found):
        maps = {"end": {"map": found, "left": found, "cover": 0.9}}
        return {"entry": entry, "frame": "10 nm", "scalar": "x", "seed": seed, "found": found, "regret": [1.0, 1 - found],
                "maps": maps, "ahead": 0.9, "cpu": 0.1, "spectra": 2, "made_by": "m"}  # fmt: skip

    ours, others = [row("dkl", 0, 0.8), row("dkl", 1, 0.6)], [row("random", seed, 0.1) for seed in range(3)]
    page = arena.page(ours + others)
    assert "| random | 2 | -0.600 ± 0.196 |" in page  # differences of .7 and .5: 1.96 times their standard error


def test_the_page_names_the_problems_whose_map_ends_lower_than_it_was():
    def row(seed, *maps):
        looks = dict(zip(("23", "60", "end"), ({"map": r2, "left": r2, "cover": 0.9} for r2 in maps), strict=True))
        return {"entry": "dkl", "frame": "10 nm", "scalar": "x", "seed": seed, "found": 1.0, "regret": [0.0],
                "maps": looks, "ahead": 0.9, "cpu": 0.1, "spectra": 2, "made_by": "m"}  # fmt: skip

    page = arena.page([row(0, 0.1, 0.5, 0.46), row(1, 0.1, 0.5, 0.44), row(2, 0.5, 0.1, 0.6)])
    assert "| dkl | 1 of 3 | 10 nm, x, 1: 0.10, 0.50, 0.44 |" in page
