"""Bytes: the published vectors, round trips, and nothing taken for a value that is none."""

import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bluesky_stm.controllers.nanonis import ProtocolError
from bluesky_stm.controllers.nanonis_wire._commands import COMMANDS, only_reads
from bluesky_stm.controllers.nanonis_wire._wire import (
    LONGEST_REQUEST,
    Header,
    decode,
    decode_answer,
    encode,
    encode_answer,
)
from bluesky_stm.errors import SettingsError

TEXT = st.text("aZ (é)", max_size=20)
WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = {
    "H": st.integers(0, 2**16 - 1),
    "h": st.integers(-(2**15), 2**15 - 1),
    "I": st.integers(0, 2**32 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "f": FLOATS,
    "d": st.floats(allow_nan=False),
    "s": TEXT,
    "AS": st.lists(TEXT, max_size=5),
    "Ai": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=8),
    "AI": st.lists(st.integers(0, 2**32 - 1), max_size=8),
    "Af": st.lists(FLOATS, max_size=8),
    "M": st.integers(0, 4).flatmap(lambda n: st.lists(st.lists(FLOATS, min_size=n, max_size=n), min_size=1, max_size=4)),
}
BODIES = st.sampled_from(sorted({types.answer for types in COMMANDS.values()} | {types.request for types in COMMANDS.values()}))


def counted(n):
    """Values of the arrays that have as many elements as the first value says."""
    elements = {"Nf": FLOATS, "NI": VALUES["I"], "NS": TEXT}
    return {code: st.lists(element, min_size=n, max_size=n) for code, element in elements.items()}


def values_of(types):
    first, *rest = types.split() or [""]
    if "N" not in types:
        return st.tuples(*(VALUES[code] for code in types.split()))
    return st.integers(0, 4).flatmap(
        lambda n: st.tuples(st.just(n), *((VALUES | counted(n))[code] for code in rest)) if first == "i" else st.nothing()
    )


def plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize(
    ("types", "values", "body"),
    [
        ("f", [-1.5], "bfc00000"),
        ("I", [1], "00000001"),
        ("d d I", [10e-9, 15e-9, 1], "3e45798ee2308c3a 3e501b2b29a4692b 00000001"),
        ("I s", [1, ""], "00000001 00000000"),
    ],
)
def test_requests_are_those_of_the_vendor(types, values, body):
    """Recorded from the vendor's client."""
    assert encode(types, values) == bytes.fromhex(body)


@pytest.mark.parametrize(
    ("types", "values", "body"),
    [
        ("d d", [5e-9, -5e-9], "3e35798ee2308c3a be35798ee2308c3a 00000000 00000000"),
        ("AS", [["A", "BC"]], "0000000b 00000002 00000001 41 00000002 4243 00000000 00000000"),
    ],
)
def test_answers_are_those_of_the_vendor(types, values, body):
    assert encode_answer(types, values) == bytes.fromhex(body)
    assert decode_answer(types, bytes.fromhex(body)) == (values, "")


def test_the_header_is_that_of_the_vendor():
    header = bytes.fromhex("426961732e536574" + 24 * "00" + "00000004 0001 0000")
    assert Header("Bias.Set", 4, wants_answer=True).pack() == header
    assert Header.unpack(header, LONGEST_REQUEST) == ("Bias.Set", 4, True)


@given(BODIES.flatmap(lambda types: st.tuples(st.just(types), values_of(types))))
def test_what_is_encoded_is_decoded(case):
    types, values = case
    assert [plain(value) for value in decode(types, encode(types, values))] == list(values)


@given(
    st.sampled_from(sorted(COMMANDS)), st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)
)
def test_the_text_of_an_error_arrives_behind_the_values_and_alone(command, text):
    """Whatever stands before it: an unknown command is answered by nothing else. No words of a refusal hold a byte of zero."""
    types = COMMANDS[command].answer
    values = [0 if code in "HhIifd" else "" if code == "s" else [[]] if code == "M" else [] for code in types.split()]
    assert decode_answer(types, encode_answer(types, values, text))[1] == text
    assert decode_answer(types, encode_answer("", [], text))[1] == text


@given(st.sampled_from(sorted(COMMANDS)), st.binary(max_size=200))
@example("Scan.FrameDataGrab", struct.pack(">iii", 0, 2**30, 2**30) + bytes(8))
@example("Scan.FrameDataGrab", struct.pack(">iii", 0, -1, -1) + bytes(12))
@example("Signals.NamesGet", struct.pack(">ii", 2**31 - 1, 2**31 - 1))
def test_a_body_is_understood_to_its_last_byte_or_refused(command, body):
    """What is accepted is as long as its values would be sent; memory follows the bytes that came, not what they claim."""
    types = COMMANDS[command].answer
    try:
        values, error = decode_answer(types, body)
    except ProtocolError:
        return
    if f"{values}{error}".isascii():  # what was no UTF-8 does not come back the same
        assert len(body) in {len(encode_answer(types, values, error)), len(encode_answer("", [], error))}


@given(st.sampled_from(sorted(c for c, t in COMMANDS.items() if t.answer)), st.data())
def test_a_torn_answer_is_never_taken_for_a_whole_one(command, data):
    types = COMMANDS[command].answer
    values = data.draw(values_of(types))
    body = encode_answer(types, values)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ProtocolError):
        decode_answer(types, body[:cut])
    with pytest.raises(ProtocolError):
        decode_answer(types, body + bytes(1 + cut))


def test_a_damaged_answer_whose_lengths_are_by_chance_those_of_a_refusal_is_none():
    """An answer of no marks, with a nine where it counts texts, and a byte too many: 0, and nine bytes of words, all zero."""
    types = COMMANDS["Marks.PointsGet"].answer
    body = encode_answer(types, [0, [], [], 9, [], [], []])
    with pytest.raises(ProtocolError):
        decode_answer(types, body + b"\0")
    assert decode_answer(types, encode_answer("", [], "no such mark"))[1] == "no such mark"


@pytest.mark.parametrize(
    ("raw", "path"), [("D:\\Müller".encode(), "D:\\Müller"), ("D:\\Müller".encode("cp1252"), "D:\\Müller")]
)
def test_a_path_with_an_umlaut_arrives_whole(raw, path):
    """In UTF-8, and in what an older Windows writes: no character is replaced by a question mark."""
    assert decode("s", struct.pack(">i", len(raw)) + raw) == [path]


@given(st.binary(min_size=40, max_size=40))
@example(Header("Bias.Get", 0).pack()[:32] + struct.pack(">iHH", -1, 1, 0))
@example(Header("Bias.Get", 0).pack()[:32] + struct.pack(">iHH", 2**31 - 1, 1, 0))
def test_a_header_is_possible_or_refused(data):
    try:
        header = Header.unpack(data, LONGEST_REQUEST)
    except ProtocolError:
        return
    assert 0 <= header.length <= LONGEST_REQUEST
    assert header.command.isprintable()


@pytest.mark.parametrize(("types", "value"), [("H", -1), ("f", 1e300), ("i", 2**31), ("AS", 5), ("f", "much")])
def test_a_value_that_does_not_fit_is_refused_before_it_is_sent(types, value):
    with pytest.raises(SettingsError, match="Nothing was sent"):
        encode(types, [value])


def test_only_what_reads_counts_as_reading():
    """By the vendor's own naming; whatever is not known counts as a write."""
    reading = {command for command in COMMANDS if only_reads(command)}
    assert {"Bias.Get", "Scan.FrameDataGrab", "Signals.ValsGet", "Scan.WaitEndOfScan"} <= reading
    assert not any(
        command.endswith(("Set", "Start", "Stop", "Withdraw", "Action", "Pulse", "Home", "Save")) for command in reading
    )
    assert not only_reads("Util.Quit")
    assert not only_reads("Unknown.Get")
