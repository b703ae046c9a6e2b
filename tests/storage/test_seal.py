"""A file that this package exported, and that was altered since, is not taken in."""

import json
import random

import pytest

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files import attached, is_sealed, read
from bluesky_stm.plans import explore
from bluesky_stm.session import simulated
from bluesky_stm.storage import documents, export, import_run, open_catalog, verify

SEALED = [".jsonl", ".nxs", ".hf5", ".sxm", ".dat"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run of a few spectra in each format that carries a seal, by the end of the name."""
    folder = tmp_path_factory.mktemp("exported")
    with simulated(seed=5, catalog=folder / "catalog", profile="ideal") as session:
        scale = session.scales["terrace"].changed(pixels=32, patch=6, step=3, budget=4, seeds=4, agent="random")
        session.RE(explore(session.stm, session.agent(scale)))
        return {suffix: export(session.catalog[-1], folder / f"run{suffix}", spectrum=0) for suffix in SEALED}


def content(catalog):
    return {path: path.read_bytes() for path in catalog.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", SEALED)
def test_an_altered_export_is_refused_wherever_a_bit_has_flipped(exported, tmp_path, suffix):
    data, draw = exported[suffix].read_bytes(), random.Random(1)
    altered = tmp_path / f"altered{suffix}"
    with open_catalog(tmp_path / "catalog") as catalog:
        before = content(catalog)
        for bit in draw.sample(range(8 * len(data)), 12):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            altered.write_bytes(flipped)
            with pytest.raises(FileFormatError, match="Nothing has been imported"):
                import_run(catalog, altered)
        assert content(catalog) == before


@pytest.mark.parametrize("suffix", SEALED)
def test_an_export_that_nobody_has_altered_is_sealed_and_taken_in(exported, tmp_path, suffix):
    assert is_sealed(exported[suffix])
    assert verify(exported[suffix]).state == ("closed later" if suffix in (".sxm", ".dat") else "whole")
    with open_catalog(tmp_path / "catalog") as catalog:
        assert import_run(catalog, exported[suffix]).complete


def test_the_seal_of_a_long_file_of_documents_is_found_at_its_end(exported, tmp_path):
    """Three megabytes stand before it, as in a run of twenty spectra."""
    (_, start), *others = documents(exported[".jsonl"])
    path = export([("start", {**start, "notes": "0123456789" * 300_000}), *others], tmp_path / "long.jsonl")
    assert path.stat().st_size > 3e6 and is_sealed(path) and not verify(path).faults
    altered = path.read_bytes().replace(b"0123456789", b"0123456780", 1)
    path.write_bytes(altered)
    assert is_sealed(path) is False and verify(path).state == "altered"


@pytest.mark.parametrize("suffix", [".jsonl", ".nxs", ".dat"])
def test_words_of_a_seal_in_the_metadata_stay_as_they_are(exported, tmp_path, suffix):
    """The file that is exported has two lines that could be its seal."""
    name, (begin, *others) = f"bluesky_stm sha256 {'0' * 64}", list(documents(exported[".jsonl"]))
    path = export([("start", {**begin[1], "sample": name}), *others], tmp_path / f"run{suffix}", spectrum=0)
    assert is_sealed(path) and path.read_bytes().count(name.encode()) and not verify(path).faults
    with open_catalog(tmp_path / "catalog") as catalog:
        assert import_run(catalog, path).start["sample"] == name


@pytest.mark.parametrize("suffix", SEALED)
def test_a_reader_and_verify_find_what_was_altered_as_an_import_does(exported, tmp_path, suffix):
    altered = tmp_path / f"altered{suffix}"
    altered.write_bytes(exported[suffix].read_bytes().replace(b"success", b"failure").replace(b"terrace", b"terrain"))
    assert "its seal does not hold" in str(verify(altered)) and verify(altered).state == "altered"
    with pytest.raises(FileFormatError, match="seal does not hold"):
        read(altered)


@pytest.mark.parametrize("suffix", [".nxs", ".hf5"])
def test_documents_in_a_file_that_lost_its_seal_are_judged_by_their_chain(exported, tmp_path, suffix):
    data = exported[suffix].read_bytes().replace(b"bluesky_stm sha256 ", b"bluesky_stm sha-256")
    whole, altered = tmp_path / f"whole{suffix}", tmp_path / f"altered{suffix}"
    whole.write_bytes(data)
    assert is_sealed(whole) is None
    at = data.find(attached(exported[suffix])[:200])
    altered.write_bytes(data[: at + 100] + bytes([data[at + 100] ^ 1]) + data[at + 101 :])
    with open_catalog(tmp_path / "catalog") as catalog:
        with pytest.raises(FileFormatError, match="altered since it was closed"):
            import_run(catalog, altered)
        assert len(catalog) == 0
        assert import_run(catalog, whole).complete


def test_a_file_of_others_has_no_seal(tmp_path):
    other = tmp_path / "other.sxm"
    other.write_bytes(b"")
    assert is_sealed(other) is None
    other.write_bytes(b":NANONIS_VERSION:\n2\n")
    assert is_sealed(other) is None


def test_a_file_of_ours_whose_seal_was_damaged_is_refused(exported, tmp_path):
    """The seal, and the comment that it stands in, prove each other."""
    data, altered = exported[".sxm"].read_bytes(), tmp_path / "altered.sxm"
    for damaged in (data.replace(b"bluesky_stm sha256 ", b"bluesky_stm sha-256"), data.replace(b'"seal"', b'"sea\0"')):
        altered.write_bytes(damaged)
        assert is_sealed(altered) is False
    altered.write_bytes(data.replace(b'"seal": "bluesky_stm sha256', b'"seal: "bluesky-stm sha256'))
    assert is_sealed(altered) is False


def test_documents_without_their_seal_are_proved_by_their_chain_alone_and_without_both_by_nothing(exported, tmp_path):
    first, *lines, last = exported[".jsonl"].read_text().splitlines()
    (_, start), (_, stop) = json.loads(first), json.loads(last)
    del start["seal"], stop["seal"]
    lines = [json.dumps(["start", start]), *lines]
    path = tmp_path / "bare.jsonl"

    def bare(*documents):
        path.write_text("\n".join([*documents, json.dumps(["stop", stop])]) + "\n")
        return path

    assert verify(bare(*lines)).whole and "lost its seal" in str(verify(path))
    with open_catalog(tmp_path / "catalog") as catalog:
        with pytest.raises(FileFormatError, match=r"altered since it was closed.*Nothing has been imported"):
            import_run(catalog, bare(lines[0].replace("terrace", "terrain"), *lines[1:]))
        del stop["chain"]
        assert verify(bare(*lines)).state == "without a chain"
        imported = import_run(catalog, path)
        assert verify(imported).state == "closed later" and "what came before is not proved" in str(verify(imported))


@pytest.mark.parametrize("suffix", [".jsonl", ".nxs", ".hf5", ".sxm", ".dat"])
def test_an_export_that_is_cut_short_anywhere_is_refused_also_at_the_end_of_a_document(exported, tmp_path, suffix):
    data, cut = exported[suffix].read_bytes(), tmp_path / f"cut{suffix}"
    line_ends = [at + 1 for at, byte in enumerate(data) if byte == 10]
    with open_catalog(tmp_path / "catalog") as catalog:
        few = {len(data) // 2, len(data) - 1, line_ends[0]}  # another process looks at each HDF5 file
        more = {len(data) // 9, line_ends[len(line_ends) // 2], line_ends[-2]}
        for length in few if suffix in (".nxs", ".hf5") else few | more:
            cut.write_bytes(data[:length])
            with pytest.raises(FileFormatError, match="Nothing has been imported"):
                import_run(catalog, cut)
            try:
                assert verify(cut).state == "altered"
            except FileFormatError as error:
                assert "None" not in str(error)
        assert len(catalog) == 0
