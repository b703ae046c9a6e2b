"""A night with everything wrong comes to its end with the tip safe, nothing measured twice and the places kept."""

import importlib.util
from contextlib import ExitStack
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("bad_night", Path(__file__).with_name("bad_night.py"))
bad_night = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bad_night)


SURFACES = range(2, 6)


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    return [bad_night.night(seed, True, bad_night.SMALL, tmp_path_factory.mktemp(f"night{seed}")) for seed in SURFACES]


def test_small_bad_nights_end_safely_with_every_spectrum_taken_once(nights):
    for row in nights:
        assert row["ended"] == "success" and row["unsafe"] == row["twice"] == row["used"] == 0
        assert row["runs"] > len(bad_night.SMALL), "it was broken off and went on"
        assert row["spectra"] == 90


def test_of_the_spectra_of_bad_nights_19_of_20_are_within_a_step_of_their_places(nights):
    within = [row["within"] for row in nights]
    assert sum(within) / len(within) >= 0.95 and min(within) >= 0.9


@pytest.mark.slow
def test_a_bad_night_over_tcp_ends_safely_with_every_spectrum_taken_once(tmp_path):
    pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed: pip install 'bluesky-stm[nanonis]'")
    row = bad_night.night(2, True, bad_night.SMALL, tmp_path, tcp=True)
    assert row["ended"] == "success" and row["unsafe"] == row["twice"] == row["used"] == 0
    assert row["spectra"] == 90 and row["within"] >= 0.95


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky_queueserver")
def test_a_bad_night_in_the_queue_ends_with_every_spectrum_taken_once(tmp_path):
    """Its worker is killed as well, and the microscope is behind a line that breaks."""
    pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed: pip install 'bluesky-stm[nanonis]'")
    pytest.importorskip("bluesky_queueserver_api", reason="pip install 'bluesky-stm[queueserver]'")
    from bench import Bench

    microscope = bad_night.BadNight(2, sum(scale["budget"] for scale in bad_night.SMALL))
    with ExitStack() as stack:
        server = stack.enter_context(microscope.served())
        place = {"name": "nanonis", "ports": list(server.ports), "timeout": 10.0, "despite": ["Safe Tip threshold"]}
        bench = Bench(tmp_path, stack, {"microscope": place, "scales": []})
        row = bad_night.night_in_the_queue(bench, microscope, bad_night.SMALL)
    assert row["left"] == row["twice"] == row["used"] == 0 and row["ended"] == "success"
    assert row["spectra"] == 90 and row["within"] >= 0.9


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
