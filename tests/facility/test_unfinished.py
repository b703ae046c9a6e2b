"""An item of a queue that was broken off goes on where it stopped when it is started again: nothing is measured twice."""

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.facility import carry_out, plain_plan
from bluesky_stm.runs import replay
from bluesky_stm.session import simulated
from bluesky_stm.storage import open_catalog

LARGE = {
    "name": "large", "frame": 40, "pixels": 48, "patch": 4, "step": 2, "budget": 22, "seeds": 4, "agent": "gp-xy",
    "scalarizer": {"name": "gap", "prefer": "small"},
}  # fmt: skip
SMALL = {**LARGE, "name": "small", "frame": 10, "patch": 2, "step": 1, "budget": 12}
ITEMS = [
    ("explore", {"scale": LARGE}),
    ("explore", {"scale": LARGE, "drift": {"every": 8}, "tip": {"every": 6, "then": "renew"}}),
    ("explore_multiscale", {"scales": [LARGE, SMALL]}),
    (
        "explore_multiscale",
        {"scales": [LARGE, SMALL], "children": 2, "step_back": {"name": "below-value", "value": 10, "spectra": 6}},
    ),
    ("night", {"night": {"scales": [LARGE, SMALL], "suspend": False}}),
    ("spectra_at", {"points": [[i, i % 7] for i in range(25)], "shortest": True}),
    ("cits_grid", {"shape": [5, 5]}),
]


@pytest.fixture(name="session")
def _session(tmp_path, RE):
    with fresh(tmp_path / "catalog", RE) as session:
        yield session


def fresh(folder, RE):
    return simulated(seed=2, catalog=folder, profile="ideal", RE=RE)


def start(session, item, breaks=None, way="abort"):
    """Carry out an item; it is broken off after each of the numbers of spectra in ``breaks``, and started again."""
    name, given = item
    left, taken = sorted(breaks or ()), 0

    def watch(kind, doc):
        nonlocal taken
        if kind == "event" and "stm_sweep_current" in doc["data"] and "tip_check_verdict" not in doc["data"]:
            taken += 1
            if left and taken == left[0]:
                left.pop(0)
                session.RE.loop.create_task(session.RE._request_pause_coro(False))

    token = session.RE.subscribe(watch)
    try:
        while True:
            try:
                session.RE(carry_out(session, plain_plan(name), given, {}))
                return taken
            except RunEngineInterrupted:
                getattr(session.RE, way)()
    finally:
        session.RE.unsubscribe(token)


def places(session):
    return [tuple(np.round(spectrum.position, 6)) for run in session.catalog for spectrum in run.spectra]


def last_map(session):
    return [event["data"]["agent_map_mean"] for event in session.catalog[-1].events("maps")][-1]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item[0])
def test_broken_off_at_every_tenth_spectrum_it_measures_the_same_places_once_each(tmp_path, RE, item):
    with fresh(tmp_path / "whole", RE) as session:
        whole, once = start(session, item), places(session)
        final = last_map(session) if item[0].startswith("explore") else None
    with fresh(tmp_path / "broken", RE) as session:
        assert start(session, item, breaks=range(10, whole, 10)) == whole, "nothing was measured twice"
        assert sum(run.stop["exit_status"] == "abort" for run in session.catalog) == len(range(10, whole, 10))
        if item[1].get("drift") or item[0] == "night":
            return  # where the surface is looked at again, the tip stands elsewhere by what was found
        assert places(session) == once
        if final is not None:
            np.testing.assert_array_equal(last_map(session), final)


@pytest.mark.parametrize("way", ["abort", "halt"])
def test_each_way_of_breaking_off_is_gone_on_from(session, way):
    assert start(session, ITEMS[0], breaks=[7], way=way) == LARGE["budget"]
    first, second = session.catalog
    assert second.start["resumes"] == first.uid and len(first.spectra) + len(second.spectra) == LARGE["budget"]
    assert replay(second).exact


def test_what_a_person_stopped_is_done_and_begins_anew(session):
    assert start(session, ITEMS[5], breaks=[7], way="stop") == 7 + 25


def test_an_item_that_is_to_begin_anew_does(session):
    name, given = ITEMS[6]
    assert start(session, (name, given), breaks=[7]) == 25
    assert start(session, (name, given)) == 25, "it was done"
    with pytest.raises(RunEngineInterrupted):
        session.RE.subscribe(lambda *_: session.RE.loop.create_task(session.RE._request_pause_coro(False)), "descriptor")
        session.RE(carry_out(session, plain_plan(name), given, {}))
    session.RE.abort()
    session.RE.dispatcher.unsubscribe_all()
    session.RE.subscribe(session.catalog)
    assert start(session, (name, {**given, "anew": True})) == 25
    assert "resumes" not in session.catalog[-1].start


def test_an_item_whose_process_died_goes_on_in_the_next_one(tmp_path, RE):
    """The journal of the first has no end; the next session gives it one."""
    import signal
    import subprocess
    import sys

    code = f"""
import os, signal
from bluesky_stm.facility import carry_out, plain_plan
from bluesky_stm.session import simulated
session = simulated(seed=2, catalog={str(tmp_path)!r}, profile="ideal")
def die(name, doc):
    if name == "event" and "stm_sweep_current" in doc["data"] and doc["seq_num"] == 9:
        os.kill(os.getpid(), signal.SIGKILL)
session.RE.subscribe(die)
session.RE(carry_out(session, plain_plan("explore"), {{"scale": {LARGE!r}}}, {{}}))
"""
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    with simulated(seed=2, catalog=tmp_path, profile="ideal", RE=RE) as session:
        RE(carry_out(session, plain_plan("explore"), {"scale": LARGE}, {}))
    with open_catalog(tmp_path, write=False) as catalog:
        first, second = catalog
        assert second.start["resumes"] == first.uid and len(first.spectra) + len(second.spectra) == LARGE["budget"]
        assert len({tuple(s.position) for run in catalog for s in run.spectra}) == LARGE["budget"]
