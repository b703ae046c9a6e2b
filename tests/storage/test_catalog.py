"""A catalog keeps every document, finds every run, and lets nobody else write."""

import os
import subprocess
import sys
import time

import event_model
import numpy as np
import pytest

from bluesky_stm.errors import CatalogError
from bluesky_stm.measurements import Quality
from bluesky_stm.storage import documents, open_catalog


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield catalog


def same(a, b):
    np.testing.assert_equal(a, b)
    return True


def test_a_stored_run_gives_back_every_document_exactly(catalog, recorder):
    emitted = []

    def both(name, doc):
        emitted.append((name, doc))
        catalog(name, doc)

    recorder(both).run(6)
    stored = list(catalog[-1].documents())
    assert [name for name, _ in stored] == [name for name, _ in emitted]
    chain = stored[-1][1].pop("chain")
    assert chain["documents"] == len(stored) and list(stored[-1][1]) == list(emitted[-1][1])
    assert all(same(a, b) for (_, a), (_, b) in zip(stored, emitted, strict=True))
    image = stored[2][1]["data"]["stm_scanner_topograph"]
    assert image.dtype == np.float64 and image.tobytes() == emitted[2][1]["data"]["stm_scanner_topograph"].tobytes()


def test_what_a_device_does_to_its_array_afterwards_changes_nothing(catalog, recorder):
    run = recorder(catalog)
    data = {"x": np.arange(3.0)}
    run.emit("drift", data)
    data["x"][:] = -1
    run.sink("stop", run.bundle.compose_stop())
    (event,) = catalog[-1].events("drift")
    assert event["data"]["x"].tolist() == [0, 1, 2]


def test_stored_documents_are_valid_by_the_schema_of_event_model(catalog, recorder):
    recorder(catalog).run(2)
    for name, doc in catalog[-1].documents():
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)


def test_runs_are_found_by_number_uid_and_its_beginning(catalog, recorder):
    uids = [recorder(catalog).run(1) for _ in range(3)]
    assert [run.uid for run in catalog] == uids
    assert [run.uid for run in reversed(catalog)] == uids[::-1]
    assert len(catalog) == 3 and uids[1] in catalog and "nothing" not in catalog
    assert catalog[-1].uid == catalog[uids[-1]].uid == catalog[uids[-1][:12]].uid == catalog[2].uid


def test_a_list_that_an_earlier_session_left_never_hides_a_run(catalog, recorder):
    """Runs come, go and end between sessions: what is in the folder counts."""

    def opened():
        time.sleep(0.15)  # a folder that has just changed is not yet remembered
        with open_catalog(catalog.path) as later:
            return [run.uid for run in later]

    first = recorder(catalog).run(1)
    catalog.close()
    assert opened() == opened() == [first] and (catalog.path / "journal.list").exists()
    with open_catalog(catalog.path) as later:
        second = recorder(later).run(1)
        assert len(later) == 2
        killed = recorder(later).uid
    assert opened() == opened() == [first, second, killed]
    next((catalog.path / "journal").glob(f"*{first}*")).unlink()
    assert opened() == [second, killed]
    (catalog.path / "journal.list").write_text("no list")
    assert opened() == [second, killed]


def test_a_run_is_seen_on_a_disk_whose_clock_ticks_in_seconds(catalog, recorder):
    first = recorder(catalog).run(1)
    journals = catalog.path / "journal"
    second = int(time.time()) - 1
    os.utime(journals, (second, second))
    assert [run.uid for run in catalog] == [first]
    later = recorder(catalog).run(1)
    os.utime(journals, (second, second))
    assert [run.uid for run in catalog] == [first, later]


def test_a_uid_that_is_not_there_or_not_clear_is_refused_with_what_would_help(catalog, recorder):
    with pytest.raises(CatalogError, match="holds 0"):
        catalog[-1]
    with pytest.raises(CatalogError, match="No runs of 0"):
        catalog["abc"]
    for _ in range(2):
        recorder(catalog).run(1)
    with pytest.raises(CatalogError, match="Give more of it"):
        catalog[""]


def test_a_run_offers_its_topograph_its_spectra_and_its_decisions(catalog, recorder):
    live = recorder(catalog)
    live.run(6)
    run = catalog[-1]
    assert run.topograph.frame.size == (64.0, 48.0) and run.topograph.frame.angle == 10
    assert [d.point for d in run.decisions[:-1]] == [s.position for s in run.spectra]
    assert run.spectra[4].quality == Quality.INCOMPLETE and np.isnan(run.spectra[4].didv[-1])
    assert run.complete and run.stop["num_events"]["primary"] == 6
    assert "EuZn2As2" in repr(run) and "6 spectra, success" in repr(run) and run.uid[:8] in repr(run)


def test_a_run_can_be_read_while_it_goes_on_and_keeps_its_identity_when_it_ends(catalog, recorder):
    live = recorder(catalog)
    live.measure(live.decide().point)
    run = catalog[-1]
    assert run.stop is None and not run.complete and len(run.spectra) == 1 and "not finished" in repr(run)
    live.run(2)
    assert run.complete and len(run.spectra) == 3 and catalog[-1].path == run.path


def test_the_stop_document_is_found_behind_bytes_that_look_like_one(catalog, recorder):
    live = recorder(catalog)
    live.emit("note", {"raw": np.frombuffer(b"\x92\xa4stop\x80", dtype=np.uint8)})
    live.sink("stop", {**live.bundle.compose_stop(), "result": b"\x92\xa4stop\x92"})
    assert catalog[-1].stop["exit_status"] == "success"


def test_a_second_writer_is_refused_and_told_what_to_do(catalog, recorder):
    recorder(catalog).run(1)
    with pytest.raises(CatalogError, match=r"process \d+ .* write=False"):
        open_catalog(catalog.path)
    with open_catalog(catalog.path, write=False) as reader:
        assert reader[-1].uid == catalog[-1].uid
        with pytest.raises(CatalogError, match="opened to read"):
            recorder(reader)
    catalog.close()
    with open_catalog(catalog.path) as later:
        assert len(later) == 1


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CatalogError, match="Nothing has been measured"):
        open_catalog(tmp_path / "file" / "catalog")


def test_reading_where_there_is_no_catalog_makes_none(tmp_path):
    with pytest.raises(CatalogError, match="no catalog"):
        open_catalog(tmp_path / "nowhere", write=False)
    assert not (tmp_path / "nowhere").exists()


def test_a_uid_that_would_leave_the_folder_is_refused(catalog):
    with pytest.raises(CatalogError, match="leave the folder"):
        catalog("start", {"uid": "../../escaped", "time": 0.0})


def test_documents_come_from_a_path_a_run_or_an_iterable_and_pages_are_taken_apart(catalog, recorder):
    recorder(catalog).run(3)
    run = catalog[-1]
    names = [name for name, _ in documents(run)]
    assert names == [name for name, _ in documents(run.path)] == [name for name, _ in documents(iter(documents(run)))]
    events = list(run.events("primary"))
    page = event_model.pack_event_page(*events)
    again = [doc for name, doc in documents([("event_page", page)]) if name == "event"]
    assert all(same(a["data"], b["data"]) and a["uid"] == b["uid"] for a, b in zip(again, events, strict=True))


READER = """
import sys
from bluesky_stm.storage import open_catalog
seen = 0
with open_catalog(sys.argv[1], write=False) as catalog:
    while not catalog[-1].complete:
        if (count := len(catalog[-1].spectra)) != seen:
            print(seen := count, flush=True)
        assert catalog[-1].topograph.height.shape == (24, 32)
    print("complete", len(catalog[-1].spectra))
"""


def test_another_process_reads_a_run_as_it_grows(catalog, recorder):
    live = recorder(catalog)
    live.measure(live.decide().point)
    with subprocess.Popen([sys.executable, "-c", READER, str(catalog.path)], stdout=subprocess.PIPE, text=True) as reader:
        for measured in range(1, 6):
            assert reader.stdout.readline() == f"{measured}\n"
            live.measure(live.decide().point)
        live.run(20)
        told = reader.stdout.read().split()
    assert reader.returncode == 0 and told[-2:] == ["complete", "26"]
    assert [int(count) for count in told[:-2]] == sorted(set(map(int, told[:-2])))


def test_a_topograph_of_eight_megabytes_is_kept_like_a_small_one(catalog, recorder):
    live = recorder(catalog, topograph=False)
    big = np.random.default_rng(0).normal(size=(1024, 1024))
    live.emit("topograph", recorder.topograph() | {"stm_scanner_topograph": big})
    assert np.array_equal(catalog[-1].topograph.height, big) and big.nbytes == 8 * 2**20


def test_tiled_opens_in_this_process_beside_the_http_client_that_mcp_brings(catalog, recorder):
    """Starlette's test client prefers httpx2 where that is installed, and Tiled hands it an address of httpx."""
    pytest.importorskip("httpx2", reason="pip install 'bluesky-stm[mcp]'")
    before = sys.modules.get("starlette.testclient")
    recorder(catalog).run(2)
    assert len(catalog.client) == 1
    assert sys.modules["httpx2"].__version__ and sys.modules.get("starlette.testclient") is before
