"""A night with everything wrong comes to its end with the tip safe, nothing measured twice and the places kept."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("bad_night", Path(__file__).with_name("bad_night.py"))
bad_night = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bad_night)

SMALL = (
    {
        "name": "large",
        "frame": 50,
        "pixels": 96,
        "patch": 3,
        "step": 1,
        "seeds": 10,
        "budget": 30,
        "run_up": 80,
        "agent": "gp-xy",
    },
    {
        "name": "defect",
        "frame": 10,
        "pixels": 96,
        "patch": 1.2,
        "step": 0.4,
        "seeds": 8,
        "budget": 20,
        "run_up": 15,
        "agent": "gp-xy",
    },
)


def test_a_small_bad_night_ends_safely_with_every_spectrum_taken_once(tmp_path):
    row = bad_night.night(5, True, SMALL, tmp_path)
    assert row["ended"] == "success" and row["unsafe"] == row["twice"] == 0
    assert row["runs"] > len(SMALL), "it was broken off and went on"
    assert row["spectra"] == 50 and row["within"] >= 0.95


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_bad_nights_on_fresh_surfaces_leave_the_tip_safe(capsys):
    """How far places were kept, what was used of a changed tip and where each night ended is printed, care off beside it.

    A tip that changed after the last check before a break is not noticed: the run that goes on takes a new reference.
    """
    rows = [bad_night.night(seed, care) for seed in range(201, 251) for care in (True, False)]
    with capsys.disabled():
        print("", *bad_night.table(rows), sep="\n")
    assert sum(row["unsafe"] for row in rows if row["care"]) == 0
