"""The chain of digests: what was closed is proved, and what was altered, removed, added or put elsewhere is found."""

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
from bluesky_stm.storage._journal import pack

VERIFIER = Path(__file__).parents[2] / "examples" / "verify_run.py"
OLD = Path(__file__).parents[1] / "data" / "run_schema1.msgpack"


@pytest.fixture
def journal(tmp_path, recorder):
    """The file of a finished run of 50 spectra: more than a hundred documents, so that there is a mark among them."""
    with open_catalog(tmp_path / "catalog") as catalog:
        recorder(catalog, schema_version=2).run(50)
        return catalog[-1].path


def altered(journal, content):
    """A copy of a journal with another content, beside it."""
    other = journal.with_name(f"altered{journal.suffix}")
    other.write_bytes(content)
    return other


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


def test_the_verifier_needs_msgpack_alone_and_agrees(journal):
    assert len(VERIFIER.read_text().splitlines()) <= 100
    data = journal.read_bytes()
    half = altered(journal, data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    whole, bad, none = lean(journal), lean(half), lean(OLD)
    assert whole.returncode == 0 and ": whole: 107 documents" in whole.stdout, whole
    assert bad.returncode == 1 and "ALTERED" in bad.stdout and "documents 1 to 100" in bad.stdout, bad
    assert none.returncode == 1 and "no chain" in none.stdout, none


def test_each_single_bit_that_flips_is_found(journal):
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
    "the processor": edited(
        "stop", lambda doc: {**doc, "chain": {**doc["chain"], "machine": {}, "digest": doc["chain"]["digest"]}}
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_of_the_documents_is_found_and_no_edited_run_replays_as_exact(journal, toy_agent, edit):
    documents = [(name, doc) for name, doc in Run(journal).documents()]
    path = altered(journal, b"".join(pack(name, doc) for name, doc in EDITS[edit](documents)))
    assert verify(path).state == "altered"
    try:
        assert not replay(path, toy_agent()).exact
    except FileFormatError as error:
        assert "without a stop document" in str(error)


def test_a_run_of_a_version_without_chains_is_read_and_said_to_have_none():
    proof = verify(OLD)
    assert proof.state == "without a chain" and not proof.whole and "nothing can be said" in str(proof)


def test_a_run_that_goes_on_is_not_finished_and_one_that_was_killed_is_closed_by_who_found_it(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog)
        assert verify(catalog[-1]).state == "not finished"
    with open_catalog(tmp_path) as catalog:
        proof = verify(catalog[-1])
        assert proof.whole and proof.chain["closed_by"] == "recovery" and "not proved" in str(proof)


def test_a_chain_goes_along_with_an_export_and_an_import_and_an_altered_file_is_not_taken_in(journal, tmp_path):
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
        assert verify(run).whole and run.path.read_bytes() == journal.read_bytes()
        assert run.origin["file"] == str(path) and len(run.origin["sha256"]) == 64


def test_documents_that_do_not_hold_the_chain_they_bring_get_one_that_says_so(journal, tmp_path):
    documents = EDITS["a value"](list(Run(journal).documents()))
    with open_catalog(tmp_path / "other") as other:
        proof = verify(import_run(other, documents))
        assert proof.whole and proof.chain["closed_by"] == "import" and "does not hold" in str(proof)


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
    (tmp_path / "moved" / "images" / "one.h5").write_bytes(b"other pixels")
    assert "has been altered" in str(verify(path)) and "has been altered" in lean(path).stdout
    (tmp_path / "moved" / "images" / "one.h5").unlink()
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
    assert "not made with the key" in str(verify(run, tmp_path / "stranger.pub"))
    monkeypatch.setenv("BLUESKY_STM_KEY", str(tmp_path / "facility.pub"))
    with pytest.raises(SettingsError, match="no private key"):
        open_catalog(tmp_path / "other")
    monkeypatch.delenv("BLUESKY_STM_KEY")
    with open_catalog(tmp_path / "other") as catalog:
        recorder(catalog).run(1)
        assert "not signed" in str(verify(catalog[-1], tmp_path / "facility.pub"))
