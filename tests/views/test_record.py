"""What a record holds is what the documents say."""

import subprocess
import sys

import numpy as np
import pytest
from event_model import pack_event_page

from bluesky_stm.geometry import Frame, Point, patch_centers
from bluesky_stm.views import RunRecord

FRAME = Frame(Point(3.0, -2.0), (40.0, 40.0), (64, 64), 20.0)


@pytest.fixture(scope="module")
def documents(make_run):
    return make_run(FRAME, "terrace", budget=12, seeds=6, fail=(4,))


def events(documents, stream):
    streams = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    return [doc for name, doc in documents if name == "event" and streams[doc["descriptor"]] == stream]


def test_every_event_is_kept_in_order(documents):
    record = RunRecord.of(documents)
    assert [tuple(s.position) for s in record.spectra] == [
        (e["data"]["stm_sweep_x"], e["data"]["stm_sweep_y"]) for e in events(documents, "primary")
    ]
    assert [d.candidate for d in record.decisions] == [e["data"]["agent_candidate"] for e in events(documents, "agent")]
    assert [m.ingested for m in record.maps] == [5, 10, 12]
    assert record.topograph.frame == FRAME


def test_values_are_those_that_the_agent_ingested_and_the_best_is_the_agents_best(documents):
    record, recorded = RunRecord.of(documents), [e["data"]["agent_value"] for e in events(documents, "agent")[1:]]
    np.testing.assert_array_equal(record.values, recorded)
    assert record.best.value == events(documents, "agent")[-1]["data"]["agent_best"] == np.nanmax(recorded)
    assert record.values[record.best.number] == record.best.value


def test_a_failed_spectrum_has_no_value_but_a_reason(documents):
    record = RunRecord.of(documents)
    assert np.flatnonzero(np.isnan(record.values)).tolist() == [4]
    assert "lost contact" in record.reasons[4] and not any(record.reasons[:4])


def test_learning_curve_never_falls_and_ends_at_the_best(documents):
    curve = RunRecord.of(documents).learning_curve
    assert (np.diff(curve) >= 0).all() and curve[-1] == RunRecord.of(documents).best.value


def test_candidates_are_those_that_the_maps_belong_to(documents):
    record = RunRecord.of(documents)
    np.testing.assert_allclose(record.candidates, patch_centers(FRAME, 0.08 * 40, 0.04 * 40))
    assert all(len(m.mean) == len(m.std) == len(record.candidates) for m in record.maps)


def test_a_list_of_candidates_in_the_settings_comes_before_patch_and_step(make_run):
    places = [[1.0, 2.0], [3.0, 4.0]]
    start = dict(make_run(FRAME, "terrace", budget=8)[0][1])
    record = RunRecord()
    record("start", {**start, "agent": {**start["agent"], "settings": {"patch": 3.0, "step": 2.0, "candidates": places}}})
    assert record.candidates.tolist() == places


def test_without_its_scalarizer_a_run_shows_the_values_on_record(documents):
    foreign = [(n, {**d, "scalarizer": {"name": "somebody's own"}}) if n == "start" else (n, d) for n, d in documents]
    record, known = RunRecord.of(foreign), RunRecord.of(documents)
    np.testing.assert_array_equal(record.values, known.values)
    assert [bool(reason) for reason in record.reasons] == [bool(reason) for reason in known.reasons]


def test_pages_of_events_say_the_same_as_events(documents):
    paged = [("event_page", pack_event_page(d)) if n == "event" else (n, d) for n, d in documents]
    assert RunRecord.of(paged).values == pytest.approx(RunRecord.of(documents).values, nan_ok=True)


def test_events_that_are_repeated_after_a_pause_count_once(documents):
    again = [(n, d) for n, d in documents for _ in range(2 if n == "event" else 1)]
    repeated, record = RunRecord.of(again), RunRecord.of(documents)
    assert len(repeated.spectra) == len(record.spectra) == 12
    assert len(repeated.decisions) == len(record.decisions) and len(repeated.maps) == len(record.maps)


def test_areas_that_are_masked_from_the_start_are_known(documents):
    area = Frame(Point(0.0, 0.0), (5.0, 5.0), (1, 1))
    record = RunRecord.of([("start", {**documents[0][1], "masked": [area.as_dict()]}), *documents[1:]])
    assert list(record.masked) == [area] and len(record.spectra) == 12


def test_a_run_without_agent_and_scale_can_be_shown(documents):
    bare = {k: v for k, v in documents[0][1].items() if k not in {"agent", "length_scale", "scalarizer"}}
    record = RunRecord.of([("start", bare), *documents[1:]])
    assert len(record.spectra) == record.budget == 12 and record.name == "explore" and not len(record.candidates)


def test_a_run_that_has_only_begun_can_be_shown(documents):
    record = RunRecord.of(documents[:1])
    assert record.best is None and record.frame == FRAME and not len(record.learning_curve) and record.places.shape == (0, 2)


def test_importing_the_views_loads_nothing_heavy():
    code = (
        "import sys, bluesky_stm.views; print([m for m in ('matplotlib', 'torch', 'tiled', 'databroker') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
