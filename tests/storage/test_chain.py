"""The chain of digests: what was closed is proved, and what was altered, removed, added or put elsewhere is found."""

import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import event_model
import msgpack
import numpy as np
import pytest

from bluesky_stm.errors import FileFormatError, SettingsError
from bluesky_stm.runs import replay
from bluesky_stm.storage import Run, export, import_run, open_catalog, verify
from bluesky_stm.storage._chain import chained
from bluesky_stm.storage._journal import pack

VERIFIER = Path(__file__).parents[2] / "examples" / "verify_run.py"
OLD = Path(__file__).parents[1] / "data" / "run_schema1.msgpack"


def lean(*paths):
    """What the verifier of the repository says, in an interpreter that has msgpack and nothing else of ours."""
    only = Path(msgpack.__file__).parents[1]
    code = (
        "import sys, runpy; from importlib.machinery import PathFinder\n"
        f"msgpack = PathFinder.find_spec('msgpack', [{str(only)!r}])\n"
        "from importlib.util import module_from_spec; module = module_from_spec(msgpack); sys.modules['msgpack'] = module\n"
        "msgpack.loader.exec_module(module)\n"
        "try:\n    import bluesky_stm\nexcept ImportError: pass\nelse: raise SystemExit('the package is there')\n"
        f"sys.argv = sys.argv[:1] + {[str(path) for path in paths]!r}; runpy.run_path({str(VERIFIER)!r}, run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": ""}
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, env=environment, cwd="/")


def test_a_finished_run_is_whole_and_says_with_what_it_was_closed(journal):
    proof = verify(journal)
    assert proof.whole and not proof.faults and not proof.remarks
    chain = proof.chain
    assert chain["closed_by"] == "the run" and chain["documents"] == 3 + 1 + 50 * 2 + 1 + 1 + 1
    assert len(chain["marks"]) == 1 and chain["versions"]["numpy"] == np.__version__ and "weights" in chain
    assert chain["machine"]["processor"] and chain["machine"]["blas"] and all(chain["machine"]["threads"].values())
    name, stop = msgpack.unpackb(pack("stop", Run(journal).stop))
    event_model.schema_validators[event_model.DocumentNames[name]].validate(stop)


def test_the_verifier_needs_msgpack_alone_and_agrees(journal, altered):
    assert len(VERIFIER.read_text().splitlines()) <= 100
    data = journal.read_bytes()
    half = altered(journal, data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    whole, bad, none = lean(journal), lean(half), lean(OLD)
    assert whole.returncode == 0 and ": whole: 107 documents" in whole.stdout, whole
    assert bad.returncode == 1 and "ALTERED" in bad.stdout and "documents 1 to 100" in bad.stdout, bad
    assert none.returncode == 1 and "no chain" in none.stdout, none


def test_each_single_bit_that_flips_is_found(journal, altered):
    data, draw = journal.read_bytes(), random.Random(5)
    ends = [*range(8), *range(8 * len(data) - 800, 8 * len(data))]  # the first byte, and the digest with its key
    for bit in [*ends, *draw.sample(range(8 * len(data)), 100)]:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert verify(altered(journal, bytes(flipped))).state == "altered", bit


def without(key):
    return lambda documents: [(name, {k: v for k, v in doc.items() if k != key}) for name, doc in documents]


def edited(kind, change):
    """Documents in which the last one of a kind is changed."""

    def edit(documents):
        at = max(number for number, (name, _) in enumerate(documents) if name == kind)
        return [*documents[:at], (kind, change(documents[at][1])), *documents[at + 1 :]]

    return edit


EDITS = {
    "a value": edited("event", lambda doc: {**doc, "data": {**doc["data"], "agent_mean": 1.0}}),
    "a time stamp": edited("event", lambda doc: {**doc, "time": doc["time"] + 1e-6}),
    "an Event removed": lambda documents: [*documents[:20], *documents[21:]],
    "an Event added": lambda documents: [*documents[:20], documents[19], *documents[20:]],
    "two Events swapped": lambda documents: [*documents[:20], documents[21], documents[20], *documents[22:]],
    "half of the Events cut out": lambda documents: [*documents[:50], documents[-1]],
    "the start": lambda documents: [("start", {**documents[0][1], "sample": "another"}), *documents[1:]],
    "the stop": edited("stop", lambda doc: {"reason": "all is well", **doc}),
    "the chain taken away": without("chain"),
    "the stop taken away": lambda documents: documents[:-1],
    "the chain taken away and the version lowered": lambda documents: without("chain")(
        [("start", {**documents[0][1], "schema_version": 1}), *documents[1:]]
    ),
    "the processor": edited(
        "stop", lambda doc: {**doc, "chain": {**doc["chain"], "machine": {}, "digest": doc["chain"]["digest"]}}
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_of_the_documents_is_found_and_no_edited_run_replays_as_exact(journal, toy_agent, edit, altered):
    documents = [(name, doc) for name, doc in Run(journal).documents()]
    path = altered(journal, b"".join(pack(name, doc) for name, doc in EDITS[edit](documents)))
    downgraded = "lowered" in edit
    assert verify(path).state == ("without a chain" if downgraded else "altered")
    try:
        again = replay(path, toy_agent())
        assert not again.exact
        if downgraded:
            assert again.agrees and "has no chain: nothing is proved" in str(again) and "bit for bit" not in str(again)
    except FileFormatError as error:
        assert "without a stop document" in str(error)


def test_a_run_of_a_version_without_chains_is_read_and_said_to_have_none():
    proof = verify(OLD)
    assert proof.state == "without a chain" and not proof.whole and "nothing is proved" in str(proof)


def test_a_run_that_goes_on_is_not_finished_and_one_that_was_killed_is_closed_by_who_found_it(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog)
        assert verify(catalog[-1]).state == "not finished"
    with open_catalog(tmp_path) as catalog:
        proof = verify(catalog[-1])
        assert proof.state == "closed later" and proof.chain["closed_by"] == "recovery" and "not proved" in str(proof)


def test_a_chain_goes_along_with_an_export_and_an_import_and_an_altered_file_is_not_taken_in(journal, tmp_path, altered):
    path = export(Run(journal), tmp_path / "run.msgpack")
    assert path.read_bytes() == journal.read_bytes()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "bad.msgpack").write_bytes(data)
    with open_catalog(tmp_path / "other") as other:
        with pytest.raises(FileFormatError, match=r"altered since it was closed.*Nothing has been imported"):
            import_run(other, tmp_path / "bad.msgpack")
        assert len(other) == 0
        run = import_run(other, path)
        assert verify(run).whole and verify(run).chain["closed_by"] == "the run" and f"imported from {path}" in str(verify(run))
        assert run.origin["file"] == str(path) and len(run.origin["sha256"]) == 64
        assert export(run, tmp_path / "again.msgpack").read_bytes() == run.path.read_bytes()
        *others, (_, stop) = list(run.documents())
        chain = stop.pop("chain")
        forged = chained([*others, ("stop", {**stop, "exit_status": "fail"})], pack, "import", {"within": chain["within"]})
        path = altered(run.path, b"".join(forged))
        assert verify(path).state == "altered" and lean(path).returncode == 1 and lean(run.path).returncode == 0
    with open_catalog(tmp_path / "third") as third:
        assert verify(import_run(third, tmp_path / "again.msgpack")).whole


@pytest.mark.parametrize("moment", ["yesterday", float("nan"), 1e300, None])
def test_a_run_without_a_time_is_altered_whatever_its_digest(journal, moment):
    documents = [(name, {key: value for key, value in doc.items() if key != "chain"}) for name, doc in Run(journal).documents()]
    documents[0][1]["time"] = moment
    journal.write_bytes(b"".join(chained(documents, pack, "the run")))
    with open_catalog(journal.parents[1], write=False) as catalog:
        assert verify(catalog[-1]).faults == ("its start document holds no uid, or no time, that names a run",)


@pytest.mark.parametrize("suffix", [".msgpack", ".jsonl"])
def test_an_export_of_a_run_that_goes_on_is_not_finished_and_its_bytes_are_proved(tmp_path, recorder, suffix):
    with open_catalog(tmp_path / "catalog") as catalog, open_catalog(tmp_path / "other") as other:
        recorder(catalog)
        path = export(catalog[-1], tmp_path / f"run{suffix}")
        assert verify(path).state == "not finished" and "not finished" in str(verify(path))
        assert "goes on" in import_run(other, path).stop["reason"] and verify(other[-1]).state == "not finished"
        path.write_bytes(path.read_bytes().replace(b"goes on", b"goes of"))
        assert verify(path).state == "altered"


def test_documents_that_do_not_hold_the_chain_they_bring_get_one_that_says_so(journal, tmp_path):
    documents = EDITS["a value"](list(Run(journal).documents()))
    with open_catalog(tmp_path / "other") as other:
        proof = verify(import_run(other, documents))
        assert proof.state == "closed later" and proof.chain["closed_by"] == "import" and "does not hold" in str(proof)


def test_a_run_whose_bytes_are_not_at_hand_is_refused(journal):
    with pytest.raises(FileFormatError, match="bytes of a journal"):
        verify(Run(list(Run(journal).documents())))


def test_files_of_large_images_belong_to_the_chain(tmp_path, recorder):
    images = tmp_path / "catalog" / "images"
    with open_catalog(tmp_path / "catalog") as catalog:
        live = recorder(catalog)
        images.mkdir()
        (images / "one.h5").write_bytes(b"many pixels")
        resource = live.bundle.compose_resource(spec="AD_HDF5", root=str(images), resource_path="one.h5", resource_kwargs={})
        live.sink("resource", resource.resource_doc)
        live.sink("stop", live.bundle.compose_stop())
        path = catalog[-1].path
    assert verify(path).whole and lean(path).returncode == 0
    shutil.move(tmp_path / "catalog", tmp_path / "moved")
    path = tmp_path / "moved" / "journal" / path.name
    assert verify(path).whole and lean(path).returncode == 0
    shutil.copytree(tmp_path / "moved", tmp_path / "catalog")  # the documents name a folder of this catalog again
    (tmp_path / "moved" / "images" / "one.h5").write_bytes(b"other pixels")
    assert verify(tmp_path / "catalog" / "journal" / path.name).whole, "each of the two is judged by its own files"
    assert "has been altered" in str(verify(path)) and "has been altered" in lean(path).stdout
    (tmp_path / "moved" / "images" / "one.h5").unlink()
    assert (tmp_path / "catalog" / "images" / "one.h5").exists()
    assert "is not there" in str(verify(path)) and "is not there" in lean(path).stdout


def test_a_key_of_the_facility_signs_and_another_does_not(tmp_path, recorder, monkeypatch):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    for name in ("facility", "stranger"):
        key = Ed25519PrivateKey.generate()
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(key.private_bytes(pem, *plain))
        (tmp_path / f"{name}.pub").write_bytes(key.public_key().public_bytes(pem, public))
    monkeypatch.setenv("BLUESKY_STM_KEY", str(tmp_path / "facility.pem"))
    with open_catalog(tmp_path / "catalog") as catalog:
        recorder(catalog).run(2)
        run = catalog[-1]
    assert "not checked" in str(verify(run)) and verify(run, tmp_path / "facility.pub").whole
    with open_catalog(tmp_path / "imported") as other:
        assert verify(import_run(other, export(run, tmp_path / "run.msgpack")), tmp_path / "facility.pub").whole
    with open_catalog(tmp_path / "killed") as catalog:
        recorder(catalog)
    with open_catalog(tmp_path / "killed") as catalog:
        proof = verify(catalog.recovered[0], tmp_path / "facility.pub")
        assert proof.state == "closed later" and not proof.faults and proof.chain["signature"]
    assert "not made with the key" in str(verify(run, tmp_path / "stranger.pub"))
    monkeypatch.setenv("BLUESKY_STM_KEY", str(tmp_path / "facility.pub"))
    with pytest.raises(SettingsError, match="no private key"):
        open_catalog(tmp_path / "other")
    monkeypatch.delenv("BLUESKY_STM_KEY")
    with open_catalog(tmp_path / "other") as catalog:
        recorder(catalog).run(1)
        unsigned = verify(catalog[-1], tmp_path / "facility.pub")
        assert unsigned.state == "not signed" and not unsigned.faults and "unaltered" in str(unsigned)
        with pytest.raises(SettingsError, match="holds no public key"):
            verify(catalog[-1], tmp_path / "no such key.pub")


def test_a_journal_under_the_name_of_another_run_is_altered(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, schema_version=2).run(2)
        recorder(catalog, schema_version=2).run(3)
    first, second = sorted((tmp_path / "journal").glob("*.msgpack"))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other), second.write_bytes(one)
    with open_catalog(tmp_path, write=False) as catalog:
        found = [verify(run) for run in catalog]
    assert [one.state for one in found] == ["altered", "altered"]
    assert all("under the name of run" in str(one) for one in found)


def test_a_journal_whose_name_gives_it_another_time_or_that_is_there_twice_is_altered(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, schema_version=2).run(2)
    (path,) = (tmp_path / "journal").glob("*.msgpack")
    shutil.copy(path, path.with_name(f"20991231T000000.000000-{path.name.partition('-')[2]}"))
    with open_catalog(tmp_path, write=False) as catalog:
        first, newest = (verify(run) for run in catalog)
    assert first.whole and newest.state == "altered" and "began at another time" in str(newest)


def closed_again(documents, /, **entries):
    """A journal with other entries in its chain, or other documents before it, whose digest holds: anybody can write one."""
    *before, (_, stop) = documents
    chain = {**{name: value for name, value in stop["chain"].items() if name != "digest"}, **entries, "digest": "0" * 64}
    data = b"".join(msgpack.packb(one) for one in before) + pack("stop", {**stop, "chain": chain})
    return data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode()


@pytest.fixture
def records(tmp_path, recorder):
    """The documents of a short run as they stand in a journal, and a file for what is made of them."""
    with open_catalog(tmp_path / "catalog") as catalog:
        recorder(catalog, schema_version=2).run(2)
        return list(msgpack.Unpacker(io.BytesIO(catalog[-1].path.read_bytes()))), tmp_path / "made.msgpack"


@pytest.mark.parametrize("value", [None, 7, 1.5, "zz", b"\xff", [1], [[{}]], {"a": 1}], ids=repr)
def test_a_chain_that_makes_no_sense_is_altered_whatever_its_digest(records, value, toy_agent):
    documents, path = records
    sound = {"machine": dict, "origin": dict, "signature": str}
    for entry in (*sound, "algorithm", "closed_by", "documents", "marks", "files", "versions", "altered", "within"):
        path.write_bytes(closed_again(documents, **{entry: value}))
        proof = verify(path)
        assert proof.whole is isinstance(value, sound.get(entry, ())) and "\n" not in str(proof), entry
        assert proof.whole or (proof.state == "altered" and entry in str(proof)), entry
    assert not replay(path, toy_agent()).exact


@pytest.mark.parametrize(
    "odd", [[], "x", ["start", [1]], ["start", {}, 1], ["word", {}], ["resource", {"uid": [1]}], ["stop", {}]]
)
def test_what_is_no_document_of_a_run_is_altered_whatever_the_digest(records, odd):
    (begin, *rest), path = records
    for documents in ([odd, begin, *rest], [begin, odd, *rest]):
        path.write_bytes(closed_again(documents, documents=len(documents)))
        assert verify(path).state == "altered"


def test_both_verifiers_agree_on_what_makes_no_sense_and_on_a_signature_that_is_not_checked(records):
    documents, path = records
    odd = {"closed_by": "me"}, {"marks": 7}, {"within": "zz"}, {"altered": None}, {"documents": 3}, {"versions": []}
    paths = [path.with_name(f"{number}.msgpack") for number in range(len(odd))]
    for path, entries in zip(paths, odd, strict=True):
        path.write_bytes(closed_again(documents, **entries))
    said = lean(*paths)
    assert said.returncode == 1 and said.stdout.count(": ALTERED: ") == len(odd) and not said.stderr, said
    paths[0].write_bytes(closed_again(documents, signature="00"))
    assert ", signed, which is not checked here" in lean(paths[0]).stdout and "signature was not checked" in str(
        verify(paths[0])
    )


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path):
    (tmp_path / "folder.msgpack").mkdir()
    os.mkfifo(tmp_path / "pipe.msgpack")
    for name in ("nothing.msgpack", "folder.msgpack", "pipe.msgpack"):
        with pytest.raises(FileFormatError, match="cannot be read"):
            verify(tmp_path / name)
    said = lean(tmp_path / "folder.msgpack")
    assert said.returncode == 2 and "cannot be read" in said.stdout and not said.stderr
