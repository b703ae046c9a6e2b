"""Nonsense on the wire, at the server and at the controller: a clear error in time, bounded memory, no crash."""

import contextlib
import random
import socket
import struct
import time
import tracemalloc

import pytest

from bluesky_stm.controllers.nanonis import NanonisController, NanonisError
from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis_wire._commands import COMMANDS
from bluesky_stm.controllers.nanonis_wire._wire import (
    HEADER,
    LONGEST_ANSWER,
    LONGEST_REQUEST,
    decode_answer,
    defaults,
    encode_answer,
)
from bluesky_stm.errors import LostConnectionError, STMError

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

TIMEOUT = 0.4


def header(name, length, wants_answer=1):
    return struct.pack(">32siHH", name.encode() if isinstance(name, str) else name, length, wants_answer, 0)


# ---- at the server ----


def ask_raw(port, message):
    """Send bytes and hang up the sending side; all that comes back."""
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        received = b""
        with contextlib.suppress(OSError):  # hung up on
            raw.sendall(message)
            raw.shutdown(socket.SHUT_WR)
            while part := raw.recv(65536):
                received += part
    return received


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Bias",
        header("Bias.Get", 0)[:39],
        header("Bias.Set", 4),
        header("Bias.Set", 4) + b"\x3f",
        header("Bias.Set", 1000) + bytes(12),
    ],
    ids=["nothing", "half a name", "torn header", "no body", "torn body", "half a body"],
)
def test_what_ends_early_is_dropped(server, message):
    assert ask_raw(server.ports[0], message) == b""


@pytest.mark.parametrize("length", [-1, LONGEST_REQUEST + 1, 2**31 - 1])
def test_an_impossible_length_is_refused_with_a_text_and_not_stored(server, length):
    tracemalloc.start()
    try:
        answer = ask_raw(server.ports[0], header("Bias.Set", length))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert f"claims {length} bytes".encode() in answer
    assert answer[:8] == b"Bias.Set"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_body_of_the_wrong_length_is_refused_and_the_stream_goes_on(server, command):
    """Values of the right types, then the text."""
    types = COMMANDS[command]
    body = bytes(3)
    answer = ask_raw(server.ports[0], header(command, len(body)) + body + header("Bias.Get", 0))
    refusal = encode_answer(types.answer, defaults(types.answer))[:-8]
    assert answer[: 32 + 4].startswith(command.encode())
    assert answer[40 : 40 + len(refusal)] == refusal
    assert answer[40 + len(refusal) : 44 + len(refusal)] == struct.pack(">I", 1)
    assert answer.count(b"Bias.Get") >= 1
    assert answer.endswith(struct.pack(">fIi", -1.5, 0, 0))


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("BiasSpectr.Start", struct.pack(">Ii", 1, 0)),
        ("FolMe.XYPosSet", struct.pack(">ddI", float("nan"), 0, 1)),
        ("Scan.BufferSet", struct.pack(">iiii", 1, 30, 2**30, 2**30)),
        ("Scan.SpeedSet", struct.pack(">ffffHf", 0, 0, 0, 0, 2, 1)),
        ("Util.AcqPeriodSet", struct.pack(">f", 1e9)),
        ("Bias.Set", struct.pack(">f", 1e9)),
    ],
)
def test_values_that_would_fill_the_memory_or_never_end_are_refused(server, command, body):
    """Among them a sweep of 2e9 points."""
    points = header("BiasSpectr.PropsSet", 20) + struct.pack(">HiHifHH", 0, 0, 0, 2_000_000_000, 0.0, 0, 0)
    answer = ask_raw(server.ports[0], points + header(command, len(body)) + body)
    start = 48  # behind the answer to the first
    assert answer[start:].startswith(command.encode())
    assert decode_answer(COMMANDS[command].answer, answer[start + 40 :])[1]


def test_random_bytes_do_not_bring_the_server_down(server):
    """Seeded; afterwards it answers as before."""
    draw = random.Random(5)
    for _ in range(200):
        size = draw.choice([1, 39, 40, 41, 200, 5000])
        junk = draw.randbytes(size)
        if draw.random() < 0.5:
            junk = header(draw.choice(sorted(COMMANDS)), draw.randint(0, size)) + junk
        ask_raw(draw.choice(server.ports), junk)
    controller = NanonisController(ports=server.ports)
    assert controller.get_bias() == pytest.approx(-1.5)
    controller.close()


# ---- at the controller ----


def good(name, body):
    """The answer of a server that knows the command but no values."""
    types = COMMANDS[name.rstrip(b"\0").decode()].answer
    answer = encode_answer(types, defaults(types))
    return [HEADER.pack(name, len(answer), 0, 0) + answer]


BAD = {
    "silence": lambda name, body: [],
    "random": lambda name, body: [random.Random(1).randbytes(100)],
    "another name": lambda name, body: [header("Bias.Gat", 12), bytes(12)],
    "torn header": lambda name, body: [name, b"\0\0"],
    "too long": lambda name, body: [header(name, LONGEST_ANSWER + 1), bytes(1000)],
    "negative": lambda name, body: [header(name, -1)],
    "torn body": lambda name, body: [header(name, 1 << 26), bytes(1 << 16)],
    "too short": lambda name, body: [header(name, 3), bytes(3)],
    "not a status": lambda name, body: [header(name, 12), bytes(4), struct.pack(">Ii", 7, 0)],
    "a text that is cut": lambda name, body: [header(name, 14), bytes(4), struct.pack(">Ii", 1, 9), b"no"],
    "not a number": lambda name, body: [header(name, 12), struct.pack(">fIi", float("nan"), 0, 0)],
    "infinite": lambda name, body: [header(name, 12), struct.pack(">fIi", float("inf"), 0, 0)],
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_a_lost_connection_in_time(impostor, kind):
    """Told within the time-out, not stored beyond what came, and never taken for a value."""
    answers = {b"Util.VersionGet".ljust(32, b"\0"): good}
    server = impostor(lambda name, body: answers.get(name, BAD[kind])(name, body))
    link = Link("127.0.0.1", server.ports, TIMEOUT)
    tracemalloc.start()
    begun = time.monotonic()
    try:
        with pytest.raises(LostConnectionError):
            link.ask("Bias.Get")
        assert tracemalloc.get_traced_memory()[1] < 1 << 21
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < TIMEOUT + 0.5
    assert not link.connected
    link.close()


@pytest.mark.parametrize("status", [1, 0])
def test_a_refusal_without_words_or_words_without_a_status_are_refusals(impostor, status):
    """Of likely shape, if not as described: the connection is in step, and the next command goes over it."""
    text = b"" if status else b"no"
    refusal = struct.pack(">fIi", 0.0, status, len(text)) + text
    answers = {b"Bias.Get".ljust(32, b"\0"): lambda name, body: [header(name, len(refusal)), refusal]}
    server = impostor(lambda name, body: answers.get(name, good)(name, body))
    link = Link("127.0.0.1", server.ports, TIMEOUT)
    with pytest.raises(NanonisError, match="gives no reason" if status else "no"):
        link.ask("Bias.Get")
    assert link.ask("ZCtrl.OnOffGet") == [0]
    link.close()


def test_an_answer_that_drips_in_is_not_waited_for_beyond_the_time(impostor):
    """Each byte in time, all of them not."""

    def drip(name, body):
        for byte in good(name, body)[0]:
            time.sleep(0.02)
            yield bytes([byte])

    answers = {b"Util.VersionGet".ljust(32, b"\0"): good}
    server = impostor(lambda name, body: answers.get(name, drip)(name, body))
    link = Link("127.0.0.1", server.ports, TIMEOUT)
    begun = time.monotonic()
    with pytest.raises(LostConnectionError, match=r"within 0\.4 s"):
        link.ask("Bias.Get")
    assert time.monotonic() - begun < TIMEOUT + 0.5
    link.close()


def test_random_answers_never_become_a_controller(impostor):
    """Whatever a stranger answers to the first questions, nothing is made of it."""
    draw = random.Random(9)

    def nonsense(name, body):
        types = COMMANDS[name.rstrip(b"\0").decode()].answer
        shape = draw.choice(["random", "right length", "right"])
        length = len(encode_answer(types, defaults(types)))
        if shape == "right":
            return good(name, body)
        return [HEADER.pack(name, length, 0, 0) + draw.randbytes(length)] if shape == "right length" else [draw.randbytes(60)]

    server = impostor(nonsense)
    for _ in range(30):
        with pytest.raises(STMError):
            NanonisController(ports=server.ports, timeout=0.2)
