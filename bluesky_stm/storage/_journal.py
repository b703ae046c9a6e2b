"""The journal: one msgpack file for each run, whole at every document. It is the truth; a catalog is its index.

A record is ``[name, document]``, so that the folder is a databroker 1.2 catalog as it stands
(``BlueskyMsgpackCatalog("journal/*.msgpack")``). A run is called ``*.part`` until its stop document is in, and is not there
before its start document is. Arrays come back bit for bit; tuples and arrays of Python objects come back as lists.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy
import numpy as np

from bluesky_stm.errors import CatalogError, FileFormatError

Document = tuple[str, dict[str, Any]]

SUFFIX = ".msgpack"
PART = ".part"
NEW = "begun.new"
"""Name of a file that has no start document yet."""
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
        record = pack(name, doc)
        if name == "start":
            self._begin(doc, record)
            return
        run = self._run(name, doc)
        self._append(self._files[run], name, record)
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

    def _begin(self, start: Mapping[str, Any], record: bytes) -> None:
        """The file gets its name when the start document is in: whoever reads along finds a run or nothing."""
        part = self.folder / (file_name(start) + PART)
        new = self.folder / NEW
        if part.exists() or part.with_suffix("").exists():
            raise CatalogError(
                f"{self.folder} holds run {start['uid']} already: it is not begun again, and nothing has been changed."
            )
        try:
            with FileIO(new, "wb") as file:
                self._append(file, "start", record)
            new.rename(part)
            self._files[str(start["uid"])] = FileIO(part, "ab")
            self._settle()
        except (OSError, CatalogError) as error:
            raise CatalogError(
                f"The journal of run {start['uid']} cannot be begun: {error}. The run has not started. Free or mend the "
                f"folder {self.folder}, or open another catalog."
            ) from error

    def _run(self, name: str, doc: Mapping[str, Any]) -> str:
        """The open run to which a document belongs."""
        belongs = doc.get("run_start") or doc.get("descriptor") or doc.get("resource") or doc.get("stream_resource")
        run = belongs if "run_start" in doc else self._run_of.get(str(belongs))
        if run not in self._files:
            raise CatalogError(
                f"This {name} belongs to {belongs!r}, which has not been declared in any open run: it is not kept. "
                "Subscribe the catalog before the run begins."
            )
        if "run_start" in doc:
            self._run_of[doc["uid"]] = str(run)
        return str(run)

    def _append(self, file: FileIO, name: str, record: bytes) -> None:
        whole = file.tell()
        try:
            rest = memoryview(record)
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
        self._settle()

    def _settle(self) -> None:
        """Force the names in the folder onto the disk, too, where the system can."""
        if self._fsync and os.name == "posix":
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def file_name(start: Mapping[str, Any]) -> str:
    """Name of a run's file: its time (UTC) first, so that the order of the names is that of the runs."""
    uid = str(start["uid"])
    if Path(uid).name != uid:
        raise CatalogError(f"{uid!r} cannot be the uid of a run: it would leave the folder. Nothing has been written.")
    return f"{datetime.fromtimestamp(start['time'], UTC):%Y%m%dT%H%M%S.%f}-{uid}{SUFFIX}"


def pack(name: str, doc: Mapping[str, Any]) -> bytes:
    """One record.

    Raises
    ------
    CatalogError
        When the document holds what is no data.
    """
    try:
        return bytes(msgpack.packb([name, doc], default=_encode, use_bin_type=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise CatalogError(
            f"A document ({name}) cannot be kept: {error}. All documents before it are kept. A document holds numbers, words, "
            "arrays of them, lists and mappings: let the device or the plan that made this one say it so."
        ) from error


def read_journal(path: Path) -> Iterator[Document]:
    """Documents of one run, exactly as they were emitted.

    Of an unfinished run (``.part``) all that is whole so far.

    Raises
    ------
    FileFormatError
        After the last whole document of a finished run whose file is damaged.
    """
    name = ""
    with _opened(path) as file:
        for name, doc, _ in records(file):
            yield name, doc
    if name != "stop" and path.suffix == SUFFIX:
        raise FileFormatError(
            f"{path} ends without a stop document: it is damaged. The documents before that are whole; take them from "
            "this iterator, or bring the file back from a copy."
        )


def first_document(path: Path) -> Mapping[str, Any] | None:
    """The start document; None when not even that is whole."""
    with _opened(path, buffering=4096) as file:
        return next((doc for name, doc, _ in records(file) if name == "start"), None)


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


def _opened(path: Path, **options: Any) -> Any:
    """The file, also when its run has ended just now and it has lost its ``.part``."""
    try:
        return path.open("rb", **options)
    except FileNotFoundError:
        if path.suffix != PART:
            raise
        return path.with_suffix("").open("rb", **options)


def records(file: Any) -> Iterator[tuple[str, dict[str, Any], int]]:
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


def _encode(value: Any) -> Any:
    """Arrays and complex numbers; of an array of Python objects the objects, never a pickle, which nobody would open again."""
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return value.tolist()
    return msgpack_numpy.encode(value)


def _decode(value: Any) -> Any:
    """Arrays and complex numbers; never a pickle, for a journal may come from anybody."""
    if value.get(b"kind") == b"O":
        raise FileFormatError("A journal holds an array of Python objects: that is a program, not data, and is not opened.")
    return msgpack_numpy.decode(value)
