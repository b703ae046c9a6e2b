"""The form of a journal and of the chain that closes it: a digest that holds proves nothing of what makes no sense.

Whoever writes bytes can write their digest behind them. What is read here comes from a file that anybody may have made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgpack

from bluesky_stm.data import Data
from bluesky_stm.storage._chain import ALTERED, BEFORE, MARKED, OF_THE_RUN, ORIGIN, SIGNATURE, UNFINISHED, WITHIN

CLOSED_BY: Final = (OF_THE_RUN, "recovery", "import", "export")
"""What closes a chain."""

KINDS: Final = frozenset({"start", "descriptor", "event", "event_page", "resource", "datum", "datum_page", "stop"})
"""Names of documents that stand in a journal."""


def odd_entries(chain: Data, documents: int) -> list[str]:
    """Return the names of the entries of a chain that are not as this package writes them.

    Parameters
    ----------
    chain : mapping
        Entry ``chain`` of a stop document.
    documents : int
        Number of documents that are there, the stop document included.
    """
    needed: dict[str, Callable[[Any], bool]] = {
        "algorithm": lambda value: value == "sha256",
        "closed_by": lambda value: isinstance(value, str) and value in CLOSED_BY,
        "documents": lambda value: value == documents and not isinstance(value, bool | float),
        "marks": lambda value: is_list_of_text(value) and len(value) == (documents - 1) // MARKED,
        "files": _is_text_by_name,
        "versions": _is_text_by_name,
        "machine": lambda value: isinstance(value, dict),
    }
    if_there: dict[str, Callable[[Any], bool]] = {
        ALTERED: is_list_of_text,
        UNFINISHED: lambda value: value is True,
        ORIGIN: lambda value: isinstance(value, dict),
        WITHIN: lambda value: isinstance(value, str) and _closes(value),
        SIGNATURE: lambda value: isinstance(value, str),
        BEFORE: lambda value: isinstance(value, str),
    }
    looked = {**needed, **{name: good for name, good in if_there.items() if name in chain}}
    return [name for name, good in looked.items() if not good(chain.get(name))]


def odd_records(data: bytes) -> tuple[int, list[str]]:
    """Return how many documents stand in a journal, and what is odd about them in words.

    Parameters
    ----------
    data : bytes
        A whole journal.
    """
    found = list(_names(data))
    names, whole = [name for name, _ in found], found[-1][1] if found else 0
    if whole != len(data):
        return len(names), [f"{len(data) - whole} bytes behind document {len(names)} are no documents"]
    if names[:1] != ["start"] or names.count("start") > 1 or names[-1:] != ["stop"] or names.count("stop") > 1:
        return len(names), ["it is not one run: a start document first, then the others, and one stop document last"]
    return len(names), []


def _names(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield the name of each document, and the position where it ends, until the first that is none."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(data)
    while True:
        try:
            if unpacker.read_array_header() != 2 or (name := unpacker.unpack()) not in KINDS:
                return
            for _ in range(2 * unpacker.read_map_header()):
                unpacker.skip()
        except (msgpack.UnpackException, ValueError, TypeError):
            return
        yield name, unpacker.tell()


def is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_text_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for both in value.items() for one in both)


def _closes(record: str) -> bool:
    """Return True for a stop document with a chain, in hexadecimal."""
    try:
        name, stop = msgpack.unpackb(bytes.fromhex(record), raw=False, strict_map_key=False)
        return name == "stop" and isinstance(stop["chain"], dict)
    except (ValueError, TypeError, LookupError, msgpack.UnpackException):
        return False
