"""A process that dies loses at most the document it was writing; the next one finds the run, ends it and goes on."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import event_model
import msgpack
import msgpack_numpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.runs import replay
from bluesky_stm.storage import Journal, open_catalog, read_journal, runs, verify

CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("conftest", sys.argv[1])
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
from bluesky_stm.storage import open_catalog
catalog = open_catalog(sys.argv[2])
def kept(name, doc):
    catalog(name, doc)
    print(name, flush=True)
conftest.Recorder(kept, conftest.ToyAgent(seed=int(sys.argv[3]))).run(500)
"""
CONFTEST = str(Path(__file__).parents[1] / "conftest.py")


def kill_a_run(folder, seed: int, documents: int) -> int:
    """Start a run in a child, kill it after ``documents`` documents; how many it said were kept."""
    command = [sys.executable, "-c", CHILD, CONFTEST, str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for _ in range(documents):
            assert child.stdout.readline(), "the child ended by itself"
        child.send_signal(signal.SIGKILL)
        kept = documents + sum(1 for _ in child.stdout)
        assert child.wait() == -signal.SIGKILL
    return kept


def check_killed(folder, seed: int, kept: int, toy_agent) -> None:
    with open_catalog(folder) as catalog:
        (run,) = catalog.recovered
        stored = list(run.documents())
        assert kept <= len(stored) - 1 <= kept + 1, "the stop document is new, and one may have been on its way"
        for name, doc in stored:
            event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
        assert not run.complete and run.stop["exit_status"] == "abort" and "ended without" in run.stop["reason"]
        assert run.stop["num_events"].get("primary", 0) == len(run.spectra)
        assert runs(catalog).status.iloc[-1] == "abort"
        if run.decisions:
            assert replay(run, toy_agent(seed=seed)).agrees
    with open_catalog(folder) as again:
        assert not again.recovered


@pytest.mark.parametrize("documents", [1, 3, 20])
def test_a_killed_run_loses_nothing_that_was_kept(tmp_path, toy_agent, documents):
    check_killed(tmp_path, 1, kill_a_run(tmp_path, 1, documents), toy_agent)


@pytest.mark.slow
def test_thirty_runs_killed_at_random_lose_nothing_that_was_kept(tmp_path, toy_agent):
    draw = random.Random(7)
    for seed in range(30):
        check_killed(tmp_path, seed, kill_a_run(tmp_path, seed, draw.randrange(1, 400)), toy_agent)


def test_a_live_session_is_not_recovered_by_another(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        live = recorder(catalog)
        live.measure(live.decide().point)
        with pytest.raises(CatalogError, match="being written by"):
            open_catalog(tmp_path)
        with open_catalog(tmp_path, write=False) as reader:
            assert not reader.recovered and reader[-1].stop is None
        live.run(1)
        assert catalog[-1].complete


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """Gives name and bytes of a journal, and where each record ends."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("conftest", CONFTEST)
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    folder = tmp_path_factory.mktemp("journal")
    ends = []
    journal = Journal(folder)

    def sink(name, doc):
        journal(name, doc)
        (path,) = folder.iterdir()
        ends.append(path.stat().st_size)

    conftest.Recorder(sink).run(3)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    return lambda: (path.name, content, ends)


@settings(max_examples=150, deadline=None)
@given(record=st.integers(0, 11), part=st.floats(0, 1))
def test_a_journal_torn_anywhere_keeps_every_whole_document_before(journal, tmp_path_factory, record, part):
    """Zeros after a whole document are what a power cut leaves."""
    name, content, ends = journal()
    cut = round(np.interp(part, [0, 1], [0, *ends][record : record + 2]))
    tail = bytes(64 * (cut in ends))
    folder = tmp_path_factory.mktemp("torn")
    (folder / "journal").mkdir()
    (folder / "journal" / f"{name}.part").write_bytes(content[:cut] + tail)
    whole = sum(end <= cut for end in ends)
    with open_catalog(folder) as catalog:
        assert len(catalog) == len(catalog.recovered) == bool(whole)
        if whole:
            names = [kind for kind, _ in catalog[-1].documents()]
            assert len(names) == whole + 1 and names[-1] == "stop"


def test_a_run_that_died_between_its_stop_and_its_name_keeps_its_own_stop(journal, tmp_path):
    name, content, _ = journal()
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / f"{name}.part").write_bytes(content)
    with open_catalog(tmp_path) as catalog:
        assert catalog[-1].complete and catalog[-1].path.read_bytes() == content


def test_a_finished_journal_that_lost_its_end_says_so_after_what_is_whole(journal, tmp_path):
    name, content, ends = journal()
    damaged = tmp_path / name
    damaged.write_bytes(content[: ends[4] + 5])
    read = []
    with pytest.raises(FileFormatError, match="damaged"):
        read.extend(read_journal(damaged))
    read = []
    with pytest.raises(FileFormatError):
        for document in read_journal(damaged):
            read.append(document)
    assert len(read) == 5


def test_a_full_disk_ends_the_run_with_what_to_do_and_a_whole_journal(tmp_path, recorder):
    """The limit of a file's size stands for a full disk: the write comes back with an error half way."""
    with open_catalog(tmp_path) as catalog:
        live = recorder(catalog)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (catalog[-1].path.stat().st_size + 1000, hard))
        try:
            with pytest.raises(CatalogError, match="Free the disk") as caught:
                live.emit("big", {"x": np.zeros(10_000)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert caught.value.__cause__.errno == errno.EFBIG
        live.run(2)
        assert len(catalog[-1].spectra) == 2 and catalog[-1].complete


def test_a_journal_from_elsewhere_cannot_bring_a_program(tmp_path):
    """An array of Python objects would be a pickle, and a pickle can do anything."""
    evil = {"uid": "a", "time": 0.0, "evil": np.array([{"x": 1}], dtype=object)}
    path = tmp_path / "evil.msgpack"
    path.write_bytes(msgpack.packb(["start", evil], default=msgpack_numpy.encode))
    with pytest.raises(FileFormatError, match="program"):
        list(read_journal(path))


def keep_with(catalog, value):
    """One Event more, as a device of others may emit it."""
    last = [doc for name, doc in catalog[-1].documents() if name == "event"][-1]
    catalog("event", {**last, "uid": "odd", "seq_num": 99, "data": {**last["data"], "odd": value}})


def test_an_array_of_words_and_nothings_is_kept_so_that_it_can_be_read(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog)
        keep_with(catalog, np.array(["tip", None, 3], dtype=object))
    with open_catalog(tmp_path) as later:
        *_, event = later[-1].events("topograph")
        assert event["data"]["odd"] == ["tip", None, 3]


@pytest.mark.parametrize("value", [{1, 2}, 2**70, np.array(["2026-11-22"], dtype="datetime64[s]")])
def test_what_is_no_data_is_refused_and_the_journal_stays_whole(tmp_path, recorder, value):
    with open_catalog(tmp_path) as catalog:
        live = recorder(catalog)
        with pytest.raises(CatalogError, match="cannot be kept"):
            keep_with(catalog, value)
        live.run(1)
        assert catalog[-1].complete and len(catalog[-1].spectra) == 1
        with pytest.raises(CatalogError, match="cannot be kept"):
            catalog("start", {"uid": "a", "time": 0.0, "x": value})
        assert len(catalog) == 1


def test_a_document_of_a_run_that_was_not_begun_here_is_refused_with_what_to_do(tmp_path):
    run = event_model.compose_run()
    with open_catalog(tmp_path) as catalog:
        for name, doc in [("descriptor", run.compose_descriptor("x", {}).descriptor_doc), ("stop", run.compose_stop())]:
            with pytest.raises(CatalogError, match="before the run begins"):
                catalog(name, doc)


@pytest.mark.parametrize("ended", [True, False])
def test_a_run_that_is_emitted_again_never_takes_the_place_of_what_is_kept(tmp_path, recorder, ended):
    with open_catalog(tmp_path) as catalog:
        live = recorder(catalog)
        live.measure(live.decide().point)
        if ended:
            live.run(2)
        before = catalog[-1].path.read_bytes()
        with pytest.raises(CatalogError, match="already"):
            catalog("start", catalog[-1].start)
        assert catalog[-1].path.read_bytes() == before
        live.run(1) if not ended else None
    with open_catalog(tmp_path) as later:
        assert later[-1].complete and len(later) == 1


def test_a_run_is_not_there_before_its_start_document_is(tmp_path, recorder, monkeypatch):
    """Whoever looks while the file is made, or after a death just then, finds the runs that are whole."""
    with open_catalog(tmp_path) as catalog:
        uid = recorder(catalog).run(1)
        listed = []

        def look(*_):
            with open_catalog(tmp_path, write=False) as reader:
                listed.extend(runs(reader).uid)
            raise KeyboardInterrupt

        monkeypatch.setattr(Journal, "_append", look)
        with pytest.raises(KeyboardInterrupt):
            recorder(catalog)
    monkeypatch.undo()
    with open_catalog(tmp_path) as later:
        assert listed == [uid] and [run.uid for run in later] == [uid] and not later.recovered
    assert len(list((tmp_path / "journal").iterdir())) == 1


def test_events_repeated_after_a_pause_are_counted_once_when_a_killed_run_is_ended(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        live = recorder(catalog)
        live.measure(live.decide().point)
        last = [doc for name, doc in catalog[-1].documents() if name == "event"][-1]
        catalog("event", {**last, "uid": "again"})
    with open_catalog(tmp_path) as later:
        assert later[-1].stop["num_events"]["primary"] == len(later[-1].spectra) == 1


def test_whole_documents_behind_a_damaged_one_are_put_aside_and_not_thrown_away(journal, tmp_path, caplog):
    name, content, ends = journal()
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / f"{name}.part").write_bytes(content[: ends[4]] + b"\xc1" + content[ends[4] + 1 :])
    with open_catalog(tmp_path) as catalog:
        assert len(list(catalog[-1].documents())) == 6 and "put aside" in caplog.text
        (aside,) = (tmp_path / "journal").glob("*.torn")
        assert aside.read_bytes()[1:] == content[ends[4] + 1 :] and len(catalog) == 1


def test_the_start_of_a_run_is_on_the_disk_with_its_name_where_every_document_must_be(tmp_path, recorder, monkeypatch):
    """A file whose name is lost in a power cut is lost: the folder is forced onto the disk, too."""
    forced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (forced.append(os.readlink(f"/proc/self/fd/{number}")), real(number)))
    with open_catalog(tmp_path, fsync=True) as catalog:
        recorder(catalog)
    folder = str((tmp_path / "journal").resolve())
    assert folder in forced and any(name.endswith((".new", ".part")) for name in forced)


def test_a_live_session_keeps_its_folder_also_when_somebody_removes_the_file_of_its_lock(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, schema_version=2)
        (tmp_path / "writer.lock").unlink()
        another = subprocess.run(
            [sys.executable, "-c", f"from bluesky_stm.storage import open_catalog; open_catalog({str(tmp_path)!r})"],
            capture_output=True,
            text=True,
        )
        assert another.returncode == 1 and "is being written by process" in another.stderr
        assert catalog[-1].stop is None
    with open_catalog(tmp_path) as catalog:
        assert len(catalog.recovered) == 1


def test_what_another_process_has_appended_to_a_journal_does_not_come_along_when_it_is_written_again(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        live = recorder(catalog, schema_version=2)
        (part,) = (tmp_path / "journal").glob("*.part")
        with part.open("ab") as file:
            file.write(b"\x92\xa4stop\x80")
        part.rename(part.with_suffix(""))
        live.sink("stop", live.bundle.compose_stop())
        assert verify(catalog[-1]).whole


def test_what_a_killed_import_left_behind_is_gone_when_the_catalog_is_opened_to_write(tmp_path):
    open_catalog(tmp_path).close()
    (tmp_path / ".import-abc").mkdir()
    (tmp_path / ".import-abc" / "run").write_bytes(b"half of a run")
    open_catalog(tmp_path, write=False).close()
    assert (tmp_path / ".import-abc").exists(), "who reads changes nothing"
    open_catalog(tmp_path).close()
    assert not (tmp_path / ".import-abc").exists()


@pytest.mark.parametrize(
    "name", ["writer.lock", "writer.json", "journal.list", "journal/20261130T000000.000000-a.msgpack.part"]
)
def test_a_catalog_whose_files_lead_elsewhere_is_not_written_and_what_they_lead_to_stays(tmp_path, name):
    open_catalog(tmp_path / "catalog").close()
    precious = tmp_path / "precious"
    precious.write_bytes(b"not a journal")
    (tmp_path / "catalog" / name).unlink(missing_ok=True)
    (tmp_path / "catalog" / name).symlink_to(precious)
    with pytest.raises(CatalogError, match=r"is a link to .*precious.*Nothing has been changed"):
        open_catalog(tmp_path / "catalog")
    assert precious.read_bytes() == b"not a journal"
    open_catalog(tmp_path / "catalog", write=False).close()
