"""Runs from elsewhere that are odd: refused in one sentence with the catalog as it was, and none of them stops the others."""

import copy
import json
import shutil

import msgpack
import numpy as np
import pytest

from bluesky_stm.errors import CatalogError, FileFormatError, SettingsError
from bluesky_stm.facility import packed, unpacked
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import import_run, open_catalog, read_journal, runs


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield catalog


@pytest.fixture
def foreign(tmp_path, recorder):
    """The documents of a run of another catalog, to be changed."""
    with open_catalog(tmp_path / "other") as other:
        recorder(other).run(3)
        return copy.deepcopy([(name, dict(doc)) for name, doc in other[-1].documents()])


def content(catalog):
    """Every file of a catalog, with its bytes; the list of names that only saves time may come and go."""
    files = (path for path in catalog.path.rglob("*") if path.is_file() and path.name != "journal.list")
    return {str(path): path.read_bytes() for path in files}


def change(kind, **changes):
    def act(documents):
        at = next(number for number, (name, _) in enumerate(documents) if name == kind)
        documents[at][1].update(changes)

    return act


def data_of(kind, **changes):
    def act(documents):
        at = next(number for number, (name, doc) in enumerate(documents) if name == "event" and kind in str(doc["data"].keys()))
        documents[at][1]["data"].update(changes)

    return act


ODD = {
    "an empty uid": change("start", uid=""),
    "a uid with a newline": change("start", uid="a\nb"),
    "a uid that leaves the folder": change("start", uid="../../x"),
    "a uid that is a number": change("start", uid=7),
    "no uid": lambda documents: documents[0][1].pop("uid"),
    "a time before there were such microscopes": change("start", time=12.0),
    "a time to come": change("start", time=9e9),
    "a time that is none": change("start", time=float("nan")),
    "a time in words": change("start", time="yesterday"),
    "a frame that is a number": change("start", frame=5),
    "a frame of one number": change("start", frame={"center": [0], "size": [1], "pixels": [2]}),
    "a frame of words": change("start", frame={"center": ["a", "b"], "size": [1, 1], "pixels": [2, 2]}),
    "a length scale in a word": change("start", length_scale="terrace"),
    "a length scale with a list for a name": change("start", length_scale={"name": []}),
    "an agent that is a list": change("start", agent=[1]),
    "a campaign of two lines": change("start", campaign="a\nb"),
    "a stop without its status": lambda documents: documents[-1][1].pop("exit_status"),
    "a stop with another status": change("stop", exit_status="maybe"),
    "a stop before the start": lambda documents: documents[-1][1].update(time=documents[0][1]["time"] - 3600),
    "a stop of another run": change("stop", run_start="another"),
    "a stop that counts more": change("stop", num_events={"primary": 99}),
    "two starts": lambda documents: documents.insert(1, documents[0]),
    "something behind the stop": lambda documents: documents.append(documents[-2]),
    "an unknown document": lambda documents: documents.insert(1, ("note", {"uid": "x"})),
    "a file beside": lambda documents: documents.insert(1, ("resource", {"uid": "x", "root": "/", "resource_path": "etc"})),
    "no descriptor": lambda documents: documents.pop(1),
    "an Event that is missing": lambda documents: documents.pop(4),
    "an array of another shape": data_of("topograph", stm_scanner_topograph=np.zeros(3)),
    "an array of words": data_of("topograph", stm_scanner_topograph=np.full((24, 32), "x")),
    "a word for a number": data_of("topograph", stm_scanner_width="wide"),
    "a field that nobody declared": data_of("topograph", odd=1.0),
    "a key that is no text": change("start", odd={3: 4}),
    "a set": change("start", odd={1, 2}),
    "lists within lists": lambda documents: documents[0][1].update(odd=_nested(40)),
    "nothing at all": lambda documents: documents.clear(),
}


def _nested(depth):
    return [_nested(depth - 1)] if depth else []


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_run_is_refused_in_one_sentence_and_the_catalog_is_as_before_to_the_last_byte(catalog, recorder, foreign, odd):
    recorder(catalog).run(1)
    before, documents = content(catalog), foreign
    del documents[-1][1]["chain"]
    ODD[odd](documents)
    with pytest.raises(FileFormatError, match=r"Nothing has been imported\.$") as refused:
        import_run(catalog, documents)
    assert "\n" not in str(refused.value) and content(catalog) == before and len(runs(catalog)) == 1


def keep_as(catalog, recorder, uid):
    """Keep a run of two spectra under a uid."""
    emitted = []
    recorder(lambda name, doc: emitted.append((name, dict(doc)))).run(2)
    for name, doc in emitted:
        doc.update({key: uid for key in ("uid",) if name == "start"} | {key: uid for key in ("run_start",) if key in doc})
        catalog(name, doc)


@pytest.mark.parametrize("uid", ["", "beginning"])
def test_an_import_that_fails_deletes_no_run_whose_uid_begins_alike(catalog, recorder, foreign, uid):
    """What the first build did: it removed by the beginning of a uid."""
    keep_as(catalog, recorder, "beginning-1")
    keep_as(catalog, recorder, "beginning-2")
    before = content(catalog)
    foreign[0][1]["uid"] = uid
    del foreign[-1][1]["chain"], foreign[2]
    with pytest.raises(FileFormatError):
        import_run(catalog, foreign)
    assert content(catalog) == before


def test_a_uid_that_is_the_beginning_of_another_is_taken_and_found(catalog, recorder, foreign):
    keep_as(catalog, recorder, "beginning-1")
    for _, doc in foreign:
        if "run_start" in doc:
            doc["run_start"] = "beginning"
    foreign[0][1]["uid"] = "beginning"
    assert import_run(catalog, foreign).uid == "beginning" == catalog["beginning"].uid and len(catalog) == 2
    with pytest.raises(CatalogError, match="already"):
        import_run(catalog, foreign)


@pytest.mark.parametrize(
    "line", ["5", '["start"]', '["start", 3]', "[[[", '["event", {"descriptor": 5}]', '{"a": 1}', "\\ud800"]
)
def test_an_odd_line_of_json_is_refused_and_leaves_nothing(catalog, tmp_path, line):
    before = content(catalog)
    (tmp_path / "odd.jsonl").write_text(line + "\n")
    with pytest.raises(FileFormatError, match="Nothing has been imported"):
        import_run(catalog, tmp_path / "odd.jsonl")
    (tmp_path / "odd.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(FileFormatError, match="Nothing has been imported"):
        import_run(catalog, tmp_path / "odd.jsonl")
    assert content(catalog) == before


def program(label, described, size=8, shape=(1,)):
    return {b"nd": True, b"type": described, b"kind": label, b"shape": list(shape), b"data": b"\0" * size}


PROGRAMS = {
    "objects that say so": program(b"O", "|O"),
    "objects behind another label": program(b"", "|O"),
    "objects in a record": program(b"V", [["x", "|O"]]),
    "a record": program(b"V", [["x", "<f8"]]),
    "bytes of any kind": program(b"", "|V8"),
    "times": program(b"", "<M8[s]"),
    "a type in two parts": program(b"", "f8,O"),
    "a number of objects": {b"nd": False, b"type": "|O", b"data": b"\0" * 8},
    "too few bytes": program(b"", "<f8", shape=(9,)),
    "a negative shape": program(b"", "<f8", shape=(-1,)),
    "a shape of a billion": program(b"", "<f8", shape=(10**9, 10**9)),
    "an odd complex number": {b"complex": True, b"data": "__import__('os')"},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_object_is_built_from_the_bytes_of_a_file_or_a_stream(tmp_path, name):
    record = msgpack.packb(["event", {"data": {"x": PROGRAMS[name]}}], use_bin_type=True)
    path = tmp_path / "run.msgpack"
    path.write_bytes(record)
    with pytest.raises(FileFormatError, match="not opened"):
        list(read_journal(path))
    text = packed([("event", {"data": {"x": PROGRAMS[name]}})])
    with pytest.raises(FileFormatError, match="not opened"):
        unpacked(text)


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i2", "|u1", "|b1", "<c16", "<U5", "|S3"])
def test_plain_arrays_pass(dtype):
    array = np.ones((2, 3), dtype=dtype)
    ((_, doc),) = unpacked(packed([("event", {"x": array})]))
    np.testing.assert_array_equal(doc["x"], array)
    assert doc["x"].dtype == array.dtype


def test_one_odd_run_in_the_folder_stops_no_listing_of_the_others(catalog, recorder, caplog):
    recorder(catalog).run(1)
    odd = msgpack.packb(["start", {"uid": "odd", "time": 1.7e9, "frame": 5, "length_scale": 7}], use_bin_type=True)
    (catalog.path / "journal" / "20231114T221320.000000-odd.msgpack").write_bytes(odd)
    listed = runs(catalog)
    assert sorted(listed.status) == ["damaged", "success"] and "odd" in set(listed.uid)


def test_a_stop_document_of_any_size_is_read(catalog, recorder):
    live = recorder(catalog)
    live.sink("stop", {**live.bundle.compose_stop(), "reason": "x" * 300_000})
    assert len(catalog[-1].stop["reason"]) == 300_000 and catalog[-1].complete


def test_an_index_whose_database_is_gone_is_made_again(catalog, recorder):
    uid = recorder(catalog).run(1)
    assert uid in catalog.client
    path = catalog.path
    catalog.close()
    for name in ("catalog.db", "tables.db"):
        (path / "index" / name).unlink(missing_ok=True)
    shutil.rmtree(path / "index" / "data", ignore_errors=True)
    with open_catalog(path) as later:
        assert uid in later.client


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"step": 1e-9}, "half a pixel"),
        ({"begin": [[float("nan"), 0]]}, "begin"),
        ({"begin": [[1e9, 0]]}, "outside of a frame"),
    ],
)
def test_a_step_and_a_place_that_make_no_sense_are_refused(odd, said):
    with pytest.raises(SettingsError, match=said):
        LengthScale.parse({"name": "x", "frame": 50, "pixels": 64, "patch": 8, "step": 4, **odd})


def test_the_mark_of_an_import_is_plain_json(catalog, foreign):
    run = import_run(catalog, foreign)
    mark = json.loads(json.dumps(run.origin))
    assert mark["object"] == "list" and mark["imported"] and mark["by"] and run.origin == mark == run.stop["chain"]["origin"]
