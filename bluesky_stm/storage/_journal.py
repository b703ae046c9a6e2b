"""The journal: one msgpack file for each run, complete after every document. It is the truth; a catalog is its index.

A record is ``[name, document]``, so that the folder is a databroker 1.2 catalog as it is
(``BlueskyMsgpackCatalog("journal/*.msgpack")``). The file of a run is called ``*.part`` until its stop document is written, and
does not exist before its start document is. Arrays come back bit for bit; tuples and arrays of Python objects come back as
lists.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy
import numpy as np

from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.validated import JSON, Data

SUFFIX = ".msgpack"
PART = ".part"
NEW = "begun.new"
"""Name of a file that has no start document yet."""
STOP_RECORD = b"\x92\xa4stop"
"""First bytes of a stop record: an array of two whose first item is a string of four letters."""

_LARGEST_RECORD = 2**31 - 1
_TAIL = 2**16


class Journal:
    """Writes every document of every run at once to the run's own file. Subscribe it to a RunEngine.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    fsync : bool
        True to force every document onto the disk. The journal then survives a power cut, for some milliseconds a document.
        Without it a run survives the death of the process, not that of the machine.

    Raises
    ------
    CatalogError
        When a document cannot be written. The run has to end then, for what is not in a document did not happen.
    """

    def __init__(self, folder: Path, fsync: bool = False) -> None:
        self.folder = folder
        self._fsync = fsync
        self._files: dict[str, FileIO] = {}
        self._run_of: dict[str, str] = {}

    def __call__(self, name: str, doc: Data) -> None:
        """Write one document to the file of its run."""
        record = pack(name, doc)
        if name == "start":
            self._begin(doc, record)
            return
        run = self._run(name, doc)
        self._append(self._files[run], name, record)
        if name == "stop":
            self._finish(run)

    def close(self) -> None:
        """Close the files; a run without its stop document stays a ``.part``."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def abandon(self, run: str) -> None:
        """Close the file of one run, which stays as it is.

        Parameters
        ----------
        run : str
            Uid of the run; that of a run without an open file is ignored.
        """
        if run in self._files:
            self._files.pop(run).close()

    def _begin(self, start: Data, record: bytes) -> None:
        """Create the file of a run.

        The file gets its name when the start document is complete, so that whoever reads along finds a run or nothing.
        """
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

    def _run(self, name: str, doc: Data) -> str:
        """Return the uid of the open run to which a document belongs."""
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
        """Force the names in the folder onto the disk as well, where the system can do that."""
        if self._fsync and os.name == "posix":
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def file_name(start: Data) -> str:
    """Return the name of a run's file.

    Its time (UTC) comes first, so that the order of the names is that of the runs.

    Raises
    ------
    CatalogError
        When the uid would lead out of the folder.
    """
    uid = str(start["uid"])
    if Path(uid).name != uid:
        raise CatalogError(f"{uid!r} cannot be the uid of a run: it would leave the folder. Nothing has been written.")
    return f"{datetime.fromtimestamp(start['time'], UTC):%Y%m%dT%H%M%S.%f}-{uid}{SUFFIX}"


def pack(name: str, doc: Data) -> bytes:
    """Return one record as bytes.

    Raises
    ------
    CatalogError
        When the document holds something that is not data.
    """
    try:
        return bytes(msgpack.packb([name, doc], default=_encode, use_bin_type=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise CatalogError(
            f"A document ({name}) cannot be kept: {error}. All documents before it are kept. A document holds numbers, words, "
            "arrays of them, lists and mappings: let the device or the plan that made this one say it so."
        ) from error


def read_journal(path: Path) -> Iterator[Document]:
    """Yield the documents of one run, exactly as they were emitted.

    An unfinished run (``.part``) yields all documents that are complete so far.

    Raises
    ------
    FileFormatError
        After the last complete document of a finished run whose file is damaged.
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


def first_document(path: Path) -> Data | None:
    """Return the start document; None when not even that is complete.

    Parameters
    ----------
    path : Path
        File of a journal, of a finished run or of one that goes on.
    """
    with _opened(path, buffering=4096) as file:
        return next((doc for name, doc, _ in records(file) if name == "start"), None)


def stop_document(path: Path) -> Data | None:
    """Return the stop document, or None where there is none.

    It is read from the end of the file, as fast for a long run as for a short one.
    """
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
    """Open the file of a run, also when the run has ended just now and the name has lost its ``.part``."""
    try:
        return path.open("rb", **options)
    except FileNotFoundError:
        if path.suffix != PART:
            raise
        return path.with_suffix("").open("rb", **options)


def records(file: Any) -> Iterator[tuple[str, JSON, int]]:
    """Yield the complete records from here on, each with the position in bytes where it ends.

    Raises
    ------
    FileFormatError
        At an array of Python objects, which is never unpickled.
    """
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
    """Encode arrays and complex numbers; of an array of Python objects the objects, never a pickle that nobody would open."""
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return value.tolist()
    return msgpack_numpy.encode(value)


def _decode(value: Any) -> Any:
    """Decode arrays and complex numbers; refuse a pickle, for a journal may come from anybody."""
    if value.get(b"kind") == b"O":
        raise FileFormatError("A journal holds an array of Python objects: that is a program, not data, and is not opened.")
    return msgpack_numpy.decode(value)
