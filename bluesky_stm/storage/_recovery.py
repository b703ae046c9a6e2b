"""Recovery of a run whose process died: its journal is closed as it is."""

from __future__ import annotations

import logging
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from bluesky_stm.documents import StreamRouter
from bluesky_stm.errors import FileFormatError
from bluesky_stm.storage._chain import Chain
from bluesky_stm.storage._journal import pack, records
from bluesky_stm.validated import JSON

TORN = ".torn"
"""Suffix of a file with the bytes that could not be read and were cut off."""

log = logging.getLogger(__name__)


def finish_torn(part: Path) -> Path | None:
    """End the run of a process that died.

    A torn last record is cut off, a stop document is appended, and the file gets its final name. What is cut off is kept beside
    it (``*.torn``), except for the zeros that a power cut leaves.

    Returns
    -------
    Path or None
        The finished journal. None when not even the start document was complete: there is no run, and the file is removed.
    """
    with part.open("rb+") as file:
        stop, whole, chain = _closing(file)
        if stop is not None:
            _cut(file, whole, part.with_suffix(TORN))
            file.write(chain.closed(stop, pack, "recovery"))
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


def _closing(file: Any) -> tuple[JSON | None, int, Chain]:
    """Return the stop document that an unfinished run lacks (None if it has one), how many bytes are complete, and their chain.

    What can be read ends before a record that holds no plain data.
    """
    router, chain, last, whole = StreamRouter(), Chain(), 0.0, 0
    with suppress(FileFormatError, KeyError, TypeError):
        for name, doc, end in records(file):
            if name == "stop":
                return None, end, chain
            chain.add(name, doc, _bytes(file, whole, end))
            last, whole = doc.get("time", last), end
            router(name, doc)
    stop = {"uid": str(uuid.uuid4()), "run_start": router.run, "time": last if isinstance(last, float) else time.time()}
    reason = "the process that measured ended without a stop document"
    return {**stop, "exit_status": "abort", "reason": reason, "num_events": router.counts}, whole, chain


def _bytes(file: Any, begin: int, end: int) -> bytes:
    """Return a part of a file that somebody else is reading, and let that go on where it was."""
    here = file.tell()
    file.seek(begin)
    part: bytes = file.read(end - begin)
    file.seek(here)
    return part
