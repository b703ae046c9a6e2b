"""Recovery of a run whose process died: its journal is closed as it is."""

from __future__ import annotations

import logging
import os
import time
import uuid
from pathlib import Path
from typing import Any

from bluesky_stm.storage._journal import pack, records

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
        stop, whole = _closing(file)
        if stop is not None:
            _cut(file, whole, part.with_suffix(TORN))
            file.write(pack("stop", stop))
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


def _closing(file: Any) -> tuple[dict[str, Any] | None, int]:
    """Return the stop document that an unfinished run lacks (None if it has one), and how many bytes of it are complete."""
    start, last, whole = "", 0.0, 0
    streams: dict[str, str] = {}
    seen: dict[str, set[tuple[str, int]]] = {}  # an Event that was repeated after a pause has the number it had
    for name, doc, whole in records(file):
        last = doc.get("time", last)
        if name == "start":
            start = doc["uid"]
        elif name == "descriptor":
            streams[doc["uid"]] = doc["name"]
            seen.setdefault(doc["name"], set())
        elif name in {"event", "event_page"}:
            numbers = doc["seq_num"] if name == "event_page" else [doc["seq_num"]]
            seen[streams[doc["descriptor"]]].update((doc["descriptor"], number) for number in numbers)
        elif name == "stop":
            return None, whole
    stop = {"uid": str(uuid.uuid4()), "run_start": start, "time": last if isinstance(last, float) else time.time()}
    reason = "the process that measured ended without a stop document"
    counts = {stream: len(numbers) for stream, numbers in seen.items()}
    return {**stop, "exit_status": "abort", "reason": reason, "num_events": counts}, whole
