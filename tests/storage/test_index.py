"""The Tiled index: all that the journals hold, rebuilt at will, and never in the way of a measurement."""

import subprocess
import sys

import bluesky_tiled_plugins
import event_model
import numpy as np
import pytest

from bluesky_stm.runs import replay
from bluesky_stm.storage import documents, load_run, open_catalog

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Tiled's own dependencies
]


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield catalog


def run_python(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_storing_searching_and_replaying_load_neither_tiled_nor_databroker(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog).run(2)
    code = """
import sys
from bluesky_stm.storage import load_run, open_catalog, runs
with open_catalog(sys.argv[1]) as catalog:
    runs(catalog, sample="EuZn"), load_run(catalog[-1]), repr(catalog[-1])
print(*[name for name in ("tiled", "databroker", "torch") if name in sys.modules])
"""
    assert run_python(code, tmp_path).split() == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One catalog for all tests that only add runs: to open Tiled takes seconds."""
    with open_catalog(tmp_path_factory.mktemp("shared")) as catalog:
        yield catalog


def test_the_client_holds_every_event_and_array_of_the_journal(shared, recorder):
    recorder(shared).run(60)
    stored = shared.client[shared[-1].uid]
    assert stored.metadata["start"]["sample"] == "EuZn2As2" and not shared.index_faults
    spectra = stored["primary"].read()
    np.testing.assert_array_equal(spectra["stm_sweep_didv"], [s.didv for s in shared[-1].spectra])
    assert len(list(shared.path.glob("index/data/**/*"))) < 60, "an array file for each spectrum would choke the disk"


def test_documents_of_a_tiled_run_are_valid_and_lead_to_the_same_decisions(shared, recorder, toy_agent):
    recorder(shared, toy_agent(seed=4)).run(7)
    stored = shared.client[shared[-1].uid]
    for name, doc in documents(stored):
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    assert replay(stored, toy_agent(seed=4)).agrees
    assert load_run(stored)["spectra"].didv.equals(load_run(shared[-1])["spectra"].didv)


def test_a_recovered_run_is_indexed_with_its_events_and_its_stop(catalog, recorder):
    live = recorder(catalog)
    for _ in range(4):
        live.measure(live.decide().point)
    catalog.close()
    with open_catalog(catalog.path) as later:
        stored = later.client[live.uid]
        assert stored.metadata["stop"]["exit_status"] == "abort"
        assert len(stored["primary"].read().time) == 4
        assert [name for name, _ in documents(stored)][-1] == "stop"


def test_the_old_databroker_interface_works_and_does_not_change_the_new_one(shared, recorder):
    uid = recorder(shared).run(3)
    header = shared.client.v1[-1]
    assert header.start["uid"] == uid and len(header.table("primary")) == 3
    assert type(shared.client[uid]).__name__ == "BlueskyRunV3"


def test_a_failing_index_does_not_end_the_run_is_seen_and_is_caught_up_later(catalog, recorder, monkeypatch):
    class Broken:
        def __init__(self, *args, **kwargs):
            raise OSError("the disk of the index is full")

    assert len(catalog.client) == 0
    with monkeypatch.context() as broken:
        broken.setattr(bluesky_tiled_plugins, "TiledWriter", Broken)
        uid = recorder(catalog).run(2)
        assert catalog[-1].complete and len(catalog.client) == 0
        assert "disk of the index is full" in catalog.index_faults[uid]
        assert "1 not in the index" in repr(catalog)
    assert uid in catalog.client and not catalog.index_faults and "not in the index" not in repr(catalog)


def test_an_index_that_was_lost_is_built_again(catalog, recorder):
    import shutil

    uids = [recorder(catalog).run(1) for _ in range(2)]
    assert set(catalog.client) == set(uids)
    catalog.close()
    shutil.rmtree(catalog.path / "index")
    with open_catalog(catalog.path) as later:
        assert set(later.client) == set(uids)


def test_a_run_that_was_indexed_by_half_is_indexed_anew(catalog, recorder):
    uid = recorder(catalog).run(4)
    half = list(catalog[-1].documents())[:-4]
    writer = bluesky_tiled_plugins.TiledWriter(catalog.client, batch_size=1)
    catalog.client.delete_contents(uid, recursive=True, external_only=False)
    (catalog.path / "index" / "indexed.txt").unlink()
    for name, doc in half:
        writer(name, doc)
    assert len(catalog.client[uid]["primary"].read().time) == 4


def test_another_process_reads_journals_and_index_while_this_one_has_them_open(shared, recorder):
    uid = recorder(shared).run(3)
    live = recorder(shared)
    live.measure(live.decide().point)
    assert uid in shared.client
    code = """
import sys
from bluesky_stm.storage import open_catalog
with open_catalog(sys.argv[1], write=False) as catalog:
    print(len(catalog[-1].spectra), len(catalog.client[sys.argv[2]]["primary"].read().time))
"""
    assert run_python(code, shared.path, uid).split() == ["1", "3"]
    live.run(1)
    assert live.uid in shared.client


def test_runs_that_end_after_the_first_look_are_indexed_behind_the_back(catalog, recorder):
    assert len(catalog.client) == 0
    uid = recorder(catalog).run(1)
    catalog.close()
    assert uid in (catalog.path / "index" / "indexed.txt").read_text()


def test_a_run_is_found_by_the_letters_of_its_uid_and_no_letter_stands_for_others(shared):
    """``_`` and ``%`` stand for any letters in the query of a database, which takes capitals for small letters, too."""
    for uid in ("night_1-a", "nightX1-b"):
        start = event_model.compose_run(uid=uid)
        for name, doc in (("start", start.start_doc), ("stop", start.compose_stop())):
            shared(name, doc)
    assert shared.client is not None
    first, second = "night_1-a", "nightX1-b"
    known = {"night_1": [first], "nightX": [second], "night%": [], "%": [], "NIGHT_1": [], "night": [first, second]}
    assert {asked: [run.uid for run in shared._index.store.find(asked)] for asked in known} == known


def test_a_run_with_fields_that_a_table_cannot_keep_is_missing_in_the_index_and_the_fault_says_why(tmp_path):
    """Tiled would leave out ``ts_lift`` without a word."""
    with open_catalog(tmp_path) as catalog:
        run = event_model.compose_run()
        keys = {key: {"source": "test", "dtype": "number", "shape": []} for key in ("bias", "ts_lift")}
        stream = run.compose_descriptor(name="primary", data_keys=keys)
        event = stream.compose_event(data=dict.fromkeys(keys, 1.0), timestamps=dict.fromkeys(keys, 0.0))
        kinds = ("start", "descriptor", "event", "stop")
        for name, doc in zip(kinds, (run.start_doc, stream.descriptor_doc, event, run.compose_stop()), strict=True):
            catalog(name, doc)
        assert catalog.client is not None
        assert "ts_lift" in catalog.index_faults[run.start_doc["uid"]]
        assert [event["data"]["ts_lift"] for event in catalog[-1].events("primary")] == [1.0]
