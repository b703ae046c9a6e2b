"""Who reads an altered run, in whatever way, is told, and nothing takes it for a measurement as it was closed."""

import json
import shutil

import event_model
import pytest
from typer.testing import CliRunner

from bluesky_stm import figure, files, report
from bluesky_stm.agents import make_agent
from bluesky_stm.cli import app
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.runs import replay, what_if
from bluesky_stm.runs._rebuild import learned_from
from bluesky_stm.storage import Run, export, import_run, load_run, open_catalog, verify
from bluesky_stm.storage._index import Index
from bluesky_stm.storage._journal import pack


def test_a_run_that_was_altered_in_its_catalog_is_exported_only_when_asked_and_the_file_says_so(journal, tmp_path):
    journal.write_bytes(journal.read_bytes().replace(b"EuZn2As2", b"EuZn2Sb2"))
    with open_catalog(journal.parents[1], write=False) as catalog:
        for suffix in (".msgpack", ".jsonl", ".csv", ".dat"):
            with pytest.raises(
                FileFormatError, match=r"altered since it was closed: the first alteration .* Nothing was written"
            ):
                export(catalog[-1], tmp_path / f"run{suffix}", spectrum=0)
        assert not list(tmp_path.glob("run.*"))
        for suffix in (".msgpack", ".jsonl"):
            proof = verify(path := export(catalog[-1], tmp_path / f"run{suffix}", altered=True))
            assert proof.state == "altered" and "the first alteration" in str(proof)
            with open_catalog(tmp_path / "other") as other, pytest.raises(FileFormatError, match="altered since it was closed"):
                import_run(other, path)
        about = json.loads(
            export(catalog[-1], tmp_path / "run.dat", spectrum=0, altered=True)
            .read_text()
            .partition("bluesky_stm ")[2]
            .partition("\n")[0]
        )
        assert "the first alteration" in about["altered"]


def test_who_loads_or_shows_an_altered_run_is_told(journal, caplog):
    folder = str(journal.parents[1])
    with open_catalog(folder, write=False) as catalog:
        assert "altered" not in load_run(catalog[-1]).attrs and not caplog.records
        assert "whole: 107 documents" in CliRunner().invoke(app, ["show", "--catalog", folder]).output
    journal.write_bytes(journal.read_bytes().replace(b"EuZn2As2", b"EuZn2Sb2"))
    with open_catalog(folder, write=False) as catalog:
        loaded = load_run(catalog[-1])
        assert "the first alteration is among documents 1 to 100" in loaded.attrs["altered"]
        assert "ALTERED" in caplog.text and len(loaded["spectra"].value) == 50
        assert "ALTERED: the first alteration" in CliRunner().invoke(app, ["show", "--catalog", folder]).output


def test_a_run_that_goes_on_with_an_altered_one_or_learned_from_it_does_not_replay_as_exact(tmp_path, recorder, toy_agent):
    folder = tmp_path / "catalog"
    with open_catalog(folder) as catalog:
        recorder(catalog, schema_version=2).run(12)
        first = catalog[-1]
        recorder(catalog, schema_version=2, resumes=first.uid).run(3)
        last, others = catalog[-1].uid, folder.with_name("others")
        told = event_model.compose_run(metadata={"agent": {"name": "toy", "prior": [last]}}).start_doc
        assert [one.uid for one in learned_from(Run([("start", told)], catalog))] == [first.uid, last]
        assert replay(catalog[last], toy_agent()).exact and "bit for bit" in str(replay(catalog[last], toy_agent()))
    shutil.copytree(folder, others)
    first.path.write_bytes(first.path.read_bytes().replace(b"EuZn2As2", b"EuZn2Sb2"))
    with open_catalog(folder, write=False) as catalog:
        again = replay(catalog[last], toy_agent())
        assert all(one.same_place for one in again.decisions) and again.proof.whole
        assert not again.exact and not again.reproduced and again.altered
        assert f"documents of run {first.uid[:8]}, from which it learned, have been altered" in str(again)
    with open_catalog(others) as catalog:  # and neither does one whose beginning is proved by nothing
        documents = [(name, {key: value for key, value in doc.items() if key != "chain"}) for name, doc in first.documents()]
        copy = folder.with_name("imported")
        with open_catalog(copy) as imported:
            import_run(imported, documents)
            import_run(imported, catalog[last])
            again = replay(imported[last], toy_agent())
    assert again.agrees and not again.exact and f"Run {first.uid[:8]}, from which it learned, has a chain" in str(again)


def test_whoever_asks_draws_or_reports_an_altered_run_is_told(tmp_path, recorder, caplog):
    with open_catalog(tmp_path / "catalog") as catalog:
        recorder(catalog, make_agent("gp-xy", seed=3, patch=8, step=4, seeds=4), schema_version=2).run(6)
        run = catalog[-1]
        assert not run.faults and not what_if(run).altered and not caplog.records
        report(run, tmp_path / "whole.html")
        run.path.write_bytes(run.path.read_bytes().replace(b"EuZn2As2", b"EuZn2Sb2"))
        assert "behind document 0" in run.faults[0]
        asked = what_if(run, scalarizer="gap")
        assert "behind document 0" in asked.altered and f"ALTERED: {run.path.name}" in str(asked)
        assert "It was asked as it is now" in caplog.text
        caplog.clear()
        report(run, tmp_path / "altered.html")
        assert "has been altered since it was closed" in caplog.text
        (caption,) = [
            text.get_text() for text in figure(run, layout="paper").texts if run.uid in text.get_text().replace("\n", "")
        ]
        assert "ALTERED since it was closed" in caption.replace("\n", " ")
    whole, page = ((tmp_path / f"{name}.html").read_text() for name in ("whole", "altered"))
    assert "ALTERED since it was closed" in page and "ALTERED since it was closed" not in whole


def test_documents_that_make_no_sense_are_refused_by_all_readers_who_say_that_they_are_not_as_they_were_closed(
    journal, toy_agent, tmp_path, altered
):
    documents = [(name, doc) for name, doc in Run(journal).documents()]
    measured = [number for number, (_, doc) in enumerate(documents) if "stm_sweep_bias" in doc.get("data", ())]
    name, doc = documents[measured[-1]]
    documents[measured[-1]] = name, {**doc, "data": {key: [["?"]] for key in doc["data"]}}
    path = altered(journal, b"".join(pack(name, doc) for name, doc in documents))
    for done, read in {
        "replayed": lambda: replay(path, toy_agent()),
        "asked": lambda: what_if(path, agent="random"),
        "loaded": lambda: load_run(Run(path)),
        "shown": lambda: report(Run(path), tmp_path / "page.html"),
    }.items():
        with pytest.raises(
            CatalogError, match=rf"(?s)cannot be {done}: its documents make no sense \(.*Bring (the|its) file back"
        ):
            read()
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("document", "key", "value"), [("stop", "num_events", "many"), ("stop", "num_events", [2]), ("start", "time", "now")]
)
def test_a_run_closed_again_with_nonsense_can_still_be_looked_at(journal, document, key, value):
    documents = [(name, dict(doc)) for name, doc in Run(journal).documents()]
    documents[0 if document == "start" else -1][1][key] = value
    run = Run([(name, {**doc}) for name, doc in documents])
    assert run.uid[:8] in repr(run) and "None" not in repr(run) and run.uid in run._repr_html_()


class Held:
    """A facility's store that keeps what it is sent."""

    client = None

    def __init__(self):
        self.runs = []

    def holds(self, uid):
        return False

    def insert(self, documents):
        self.runs.append(list(documents))


def test_a_run_that_was_altered_while_it_waited_for_a_facility_is_sent_with_a_warning(journal, tmp_path, caplog):
    journal.write_bytes(journal.read_bytes().replace(b"EuZn2As2", b"EuZn2Sb2"))
    store = Held()
    with open_catalog(journal.parents[1], write=False) as catalog:
        (run,) = catalog
        Index(tmp_path / "index", lambda: [run], lambda: store).catch_up()
    ((start, *_),) = store.runs
    assert start[1]["sample"] == "EuZn2Sb2"
    assert f"Run {run.uid} goes into the index as it is now, and it was ALTERED: the first alteration" in caplog.text


def test_an_altered_run_does_not_answer_in_place_of_a_microscope(journal, altered):
    assert len(files.read(journal).spectra) == 50
    with pytest.raises(FileFormatError, match="altered since it was closed"):
        files.read(altered(journal, journal.read_bytes().replace(b"EuZn2As2", b"EuZn2Sb2")))
