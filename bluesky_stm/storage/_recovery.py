"""Recovery of a run whose process died: its journal is closed as it is."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluesky_stm.data import JSON
from bluesky_stm.documents import Document
from bluesky_stm.errors import FileFormatError
from bluesky_stm.storage._chain import Chain, Sign
from bluesky_stm.storage._journal import pack, records

if TYPE_CHECKING:
    from bluesky_stm.documents import StreamRouter

TORN = ".torn"
"""Suffix of a file with the bytes that could not be read and were cut off."""

log = logging.getLogger(__name__)


def ended(stream: Iterable[Document], reason: str) -> Iterator[Document]:
    """Yield the documents of one run, and a stop document behind those that end without one.

    Parameters
    ----------
    stream : iterable of (str, mapping)
        Name and content of each document.
    reason : str
        Why there is none.
    """
    from bluesky_stm.documents import StreamRouter

    router, last, name = StreamRouter(), 0.0, ""
    for name, doc in stream:
        with suppress(KeyError, TypeError):  # a document that was damaged is passed on as it is
            router(name, doc)
        last = doc.get("time", last)
        yield name, doc
    if name not in ("", "stop"):
        yield "stop", _stop(router, last, reason)


def finish_torn(part: Path, sign: Sign | None = None) -> Path | None:
    """End the run of a process that died.

    A torn last record is cut off, a stop document is appended, and the file gets its final name. What is cut off is kept beside
    it (``*.torn``), except for the zeros that a power cut leaves.

    Parameters
    ----------
    part : Path
        The unfinished journal.
    sign : callable, optional
        Signs the stop document with the key of a facility.

    Returns
    -------
    Path or None
        The finished journal. None when not even the start document was complete: there is no run, and the file is removed.
    """
    with part.open("rb+") as file:
        stop, whole, chain = _closing(file, part)
        if stop is not None:
            _cut(file, whole, part.with_suffix(TORN))
            file.write(chain.closed(stop, pack, "recovery", sign))
            file.flush()
            os.fsync(file.fileno())
    if not whole:
        part.unlink()
        return None
    return part.rename(part.with_suffix(""))


def _cut(file: Any, whole: int, aside: Path) -> None:
    file.seek(whole)
    rest = file.read()
    if rest.strip(b"\0"):
        aside.write_bytes(rest)
        log.warning("%d bytes at the end of a run could not be read and were put aside: %s", len(rest), aside)
    file.seek(whole)
    file.truncate()


def _closing(file: Any, part: Path) -> tuple[JSON | None, int, Chain]:
    """Return the stop document that an unfinished run lacks (None if it has one), how many bytes are complete, and their chain.

    What can be read ends before a record that holds no plain data.
    """
    from bluesky_stm.documents import StreamRouter

    router, chain, last, whole = StreamRouter(), Chain(journal=part), 0.0, 0
    with suppress(FileFormatError, KeyError, TypeError):
        for name, doc, end in records(file):
            if name == "stop":
                return None, end, chain
            chain.add(name, doc, _bytes(file, whole, end))
            last, whole = doc.get("time", last), end
            router(name, doc)
    return _stop(router, last, "the process that measured ended without a stop document"), whole, chain


def _stop(router: StreamRouter, last: Any, reason: str) -> JSON:
    stop = {"uid": str(uuid.uuid4()), "run_start": router.run, "time": last if isinstance(last, float) else time.time()}
    return {**stop, "exit_status": "abort", "reason": reason, "num_events": router.counts}


def _bytes(file: Any, begin: int, end: int) -> bytes:
    """Return a part of a file that somebody else is reading, and let that go on where it was."""
    here = file.tell()
    file.seek(begin)
    part: bytes = file.read(end - begin)
    file.seek(here)
    return part
