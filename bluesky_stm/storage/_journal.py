"""The journal: one msgpack file for each run, whole at every document. It is the truth; a catalog is its index.

A record is ``[name, document]``, so that the folder is a databroker 1.2 catalog as it stands
(``BlueskyMsgpackCatalog("journal/*.msgpack")``). A run is called ``*.part`` until its stop document is in. Arrays come back
bit for bit; tuples come back as lists.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy

from bluesky_stm.errors import CatalogError, FileFormatError

Document = tuple[str, dict[str, Any]]

SUFFIX = ".msgpack"
PART = ".part"
STOP_RECORD = b"\x92\xa4stop"
"""How a stop record begins: an array of two whose first item is a string of four letters."""

_LARGEST_RECORD = 2**31 - 1
_TAIL = 2**16


class Journal:
    """Writes every document of every run at once to the run's own file. Subscribe it to a RunEngine.

    Parameters
    ----------
    folder : Path
    fsync : bool
        Also force every document onto the disk: survives a power cut, for some milliseconds a document. Without it a run
        survives the death of the process, not that of the machine.

    Raises
    ------
    CatalogError
        When a document cannot be written: the run has to end, for what is not in a document did not happen.
    """

    def __init__(self, folder: Path, fsync: bool = False) -> None:
        self.folder = folder
        self._fsync = fsync
        self._files: dict[str, FileIO] = {}
        self._run_of: dict[str, str] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document."""
        run = self._run(name, doc)
        if name == "start":
            self._files[run] = self._create(doc)
        self._append(self._files[run], name, doc)
        if name == "stop":
            self._finish(run)

    def close(self) -> None:
        """Let go of the files; a run without its stop document stays a ``.part``."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def abandon(self, run: str) -> None:
        """Let go of the file of one run, which is left as it is."""
        if run in self._files:
            self._files.pop(run).close()

    def _run(self, name: str, doc: Mapping[str, Any]) -> str:
        if name == "start":
            return str(doc["uid"])
        if "run_start" in doc:
            run = self._run_of[doc["uid"]] = doc["run_start"]
            return str(run)
        belongs = doc.get("descriptor") or doc.get("resource") or doc.get("stream_resource")
        if belongs not in self._run_of:
            raise CatalogError(
                f"This {name} belongs to {belongs!r}, which has not been declared in any open run: it is not kept."
            )
        return self._run_of[belongs]

    def _create(self, start: Mapping[str, Any]) -> FileIO:
        path = self.folder / (file_name(start) + PART)
        try:
            return FileIO(path, "xb")
        except OSError as error:
            raise CatalogError(
                f"The journal of run {start['uid']} cannot be begun: {error}. The run has not started. Free or mend the "
                f"folder {self.folder}, or open another catalog."
            ) from error

    def _append(self, file: FileIO, name: str, doc: Mapping[str, Any]) -> None:
        whole = file.tell()
        try:
            rest = memoryview(pack(name, doc))
            while rest:
                rest = rest[file.write(rest) :]
            if self._fsync or name == "stop":
                os.fsync(file.fileno())
        except OSError as error:
            file.seek(whole)
            file.truncate()  # a torn record in the middle would hide all that follows
            raise CatalogError(
                f"A document ({name}) cannot be written to {file.name!r}: {error}. All documents before it are kept. "
                "Free the disk, then resume the run."
            ) from error

    def _finish(self, run: str) -> None:
        file = self._files.pop(run)
        file.close()
        self._run_of = {uid: owner for uid, owner in self._run_of.items() if owner != run}
        part = Path(os.fsdecode(file.name))
        part.rename(part.with_suffix(""))


def file_name(start: Mapping[str, Any]) -> str:
    """Name of a run's file: its time (UTC) first, so that the order of the names is that of the runs."""
    uid = str(start["uid"])
    if Path(uid).name != uid:
        raise CatalogError(f"{uid!r} cannot be the uid of a run: it would leave the folder. Nothing has been written.")
    return f"{datetime.fromtimestamp(start['time'], UTC):%Y%m%dT%H%M%S.%f}-{uid}{SUFFIX}"


def pack(name: str, doc: Mapping[str, Any]) -> bytes:
    """One record."""
    return bytes(msgpack.packb([name, doc], default=msgpack_numpy.encode, use_bin_type=True))


def read_journal(path: Path) -> Iterator[Document]:
    """Documents of one run, exactly as they were emitted.

    Of an unfinished run (``.part``) all that is whole so far.

    Raises
    ------
    FileFormatError
        After the last whole document of a finished run whose file is damaged.
    """
    name = ""
    with path.open("rb") as file:
        for name, doc, _ in _records(file):
            yield name, doc
    if name != "stop" and path.suffix == SUFFIX:
        raise FileFormatError(
            f"{path} ends without a stop document: it is damaged. The documents before that are whole; take them from "
            "this iterator, or bring the file back from a copy."
        )


def first_document(path: Path) -> Mapping[str, Any] | None:
    """The start document; None when not even that is whole."""
    with path.open("rb", buffering=4096) as file:
        return next((doc for name, doc, _ in _records(file) if name == "start"), None)


def stop_document(path: Path) -> Mapping[str, Any] | None:
    """The stop document, read from the end of the file: as fast for a long run as for a short one."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    at = tail.rfind(STOP_RECORD)
    while at >= 0:
        try:
            return msgpack.unpackb(tail[at:], object_hook=_decode, raw=False, strict_map_key=False)[1]
        except ValueError:  # those bytes stood inside a document
            at = tail.rfind(STOP_RECORD, 0, at)
    return None


def finish_torn(part: Path) -> Path | None:
    """End the run of a process that died: drop a torn last record, append a stop document, give it its final name.

    Returns
    -------
    Path or None
        None when not even the start document was whole: there is no run, and the file is removed.
    """
    with part.open("rb+") as file:
        stop, whole = _closing(file)
        if stop is not None:
            file.seek(whole)
            file.truncate()
            file.write(pack("stop", stop))
            os.fsync(file.fileno())
    if not whole:
        part.unlink()
        return None
    return part.rename(part.with_suffix(""))


def _closing(file: Any) -> tuple[dict[str, Any] | None, int]:
    """The stop document that an unfinished run lacks (None if it has one), and how many bytes of it are whole."""
    start, last, whole = "", 0.0, 0
    streams: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name, doc, whole in _records(file):
        last = doc.get("time", last)
        if name == "start":
            start = doc["uid"]
        elif name == "descriptor":
            streams[doc["uid"]] = doc["name"]
            counts[doc["name"]] = counts.get(doc["name"], 0)
        elif name in {"event", "event_page"}:
            counts[streams[doc["descriptor"]]] += 1 if name == "event" else len(doc["seq_num"])
        elif name == "stop":
            return None, whole
    stop = {"uid": str(uuid.uuid4()), "run_start": start, "time": last if isinstance(last, float) else time.time()}
    reason = "the process that measured ended without a stop document"
    return {**stop, "exit_status": "abort", "reason": reason, "num_events": counts}, whole


def _records(file: Any) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Whole records from here on, each with the place where it ends."""
    unpacker = msgpack.Unpacker(file, object_hook=_decode, raw=False, strict_map_key=False, max_buffer_size=_LARGEST_RECORD)
    while True:
        try:
            record = unpacker.unpack()
        except FileFormatError:
            raise
        except (msgpack.OutOfData, ValueError, TypeError):
            return
        if not (isinstance(record, list) and len(record) == 2 and isinstance(record[1], dict)):
            return  # zeros that a power cut left behind
        yield record[0], record[1], unpacker.tell()


def _decode(value: Any) -> Any:
    """Arrays and complex numbers; never a pickle, for a journal may come from anybody."""
    if value.get(b"kind") == b"O":
        raise FileFormatError("A journal holds an array of Python objects: that is a program, not data, and is not opened.")
    return msgpack_numpy.decode(value)
