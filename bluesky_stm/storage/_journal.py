"""The journal: one msgpack file for each run, complete after every document. It is the truth; a catalog is its index.

A record is ``[name, document]``, so that the folder is a databroker 1.2 catalog as it is
(``BlueskyMsgpackCatalog("journal/*.msgpack")``). The file of a run is called ``*.part`` until its stop document is written, and
does not exist before its start document is. Arrays come back bit for bit; tuples and arrays of Python objects come back as
lists.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import msgpack

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Document, decode, encode
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.storage._chain import Chain, Sign

SUFFIX = ".msgpack"
PART = ".part"
NEW = "begun.new"
"""Name of a file that has no start document yet."""
STOP_RECORD = b"\x92\xa4stop"
"""First bytes of a stop record: an array of two whose first item is a string of four letters."""

_LARGEST_RECORD = 2**31 - 1
_TAIL = 2**16
_AT_ONCE = 2**20

log = logging.getLogger(__name__)


@dataclass
class _Open:
    """The file of a run that goes on, with the chain of its documents."""

    path: Path
    file: FileIO
    chain: Chain

    def in_place(self) -> bool:
        """Return False when the file has been removed, or its folder renamed: what is written then goes into nothing."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self.file.fileno()))
        except OSError:
            return False


class Journal:
    """Writes every document of every run at once to the run's own file. Subscribe it to a RunEngine.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    fsync : bool
        True to force every document onto the disk. The journal then survives a power cut, for some milliseconds a document.
        Without it a run survives the death of the process, not that of the machine.
    sign : callable, optional
        Signs the stop document of each run.

    Raises
    ------
    CatalogError
        When a document cannot be written. The run has to end then, for what is not in a document did not happen.
    """

    def __init__(self, folder: Path, fsync: bool = False, sign: Sign | None = None) -> None:
        self.folder = folder
        self._fsync = fsync
        self._sign = sign
        self._files: dict[str, _Open] = {}
        self._run_of: dict[str, str] = {}
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="bluesky_stm chain")

    def __call__(self, name: str, doc: Data) -> None:
        """Write one document to the file of its run."""
        if name == "start":
            self._begin(doc, pack(name, doc))
            return
        run = self._run(name, doc)
        opened = self._files[run]
        record = pack(name, doc) if name != "stop" else opened.chain.closed(doc, pack, sign=self._sign)
        if not opened.in_place():
            self._write_again(opened)
        self._append(opened.file, name, record)
        if name == "stop":
            self._finish(run)
        else:
            opened.chain.add(name, doc, record)

    def close(self) -> None:
        """Close the files; a run without its stop document stays a ``.part``."""
        for opened in self._files.values():
            opened.file.close()
        self._files.clear()
        self._hashing.shutdown()

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
            self._files[str(start["uid"])] = opened = _Open(part, FileIO(part, "a+"), Chain(self._hashing, part))
            self._settle()
            opened.chain.add("start", start, record)
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
            _write(file, record)
            if self._fsync or name == "stop":
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                file.seek(whole)
                file.truncate()  # a torn record in the middle would hide all that follows
            raise CatalogError(
                f"A document ({name}) cannot be written to {file.name!r}: {error}. All documents before it are kept. "
                "Free the disk, then resume the run."
            ) from error

    def _write_again(self, opened: _Open) -> None:
        """Write the documents of a run once more where its file was: somebody has removed or renamed it, or its folder.

        The open file still has them all, whatever its name is now; what somebody else has appended to it is left out.

        Raises
        ------
        CatalogError
            When that cannot be done. The run has to end then.
        """
        path = opened.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(path, "x+")
            whole = opened.file.tell()  # behind the last document that was written here
            opened.file.seek(0)
            while rest := whole - opened.file.tell():
                _write(file, opened.file.read(min(rest, _AT_ONCE)))
            os.fsync(file.fileno())
        except OSError as error:
            raise CatalogError(
                f"The journal {path} was removed while its run goes on, and cannot be written again: {error}. The run ends, "
                "for nothing more could be kept. Bring the folder back, or open another catalog."
            ) from error
        opened.file.close()
        opened.file = file
        log.warning("The journal %s was removed while its run goes on: all of its documents have been written again.", path)

    def _finish(self, run: str) -> None:
        opened = self._files.pop(run)
        opened.file.close()
        self._run_of = {uid: owner for uid, owner in self._run_of.items() if owner != run}
        try:
            opened.path.rename(opened.path.with_suffix(""))
            self._settle()
        except OSError as error:
            raise CatalogError(
                f"The journal {opened.path} is complete, and cannot be given its final name: {error}. Bring its folder back; "
                "when the catalog is opened to write the next time, the run is finished."
            ) from error

    def _settle(self) -> None:
        """Force the names in the folder onto the disk as well, where the system can do that."""
        if self._fsync and os.name == "posix":
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _write(file: FileIO, data: bytes) -> None:
    """Write all of something; the system may take less at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


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
        return bytes(msgpack.packb([name, doc], default=encode, use_bin_type=True))
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

    It is read from the end of the file, as fast for a long run as for a short one, and from further ahead where it is large.
    """
    with path.open("rb") as file:
        size, length = file.seek(0, os.SEEK_END), _TAIL
        while True:
            file.seek(max(0, size - length))
            tail = file.read()
            at = tail.rfind(STOP_RECORD)
            while at >= 0:
                with suppress(ValueError, TypeError):  # those bytes stood inside a document
                    doc = msgpack.unpackb(tail[at:], object_hook=decode, raw=False, strict_map_key=False)[1]
                    if isinstance(doc, dict) and "run_start" in doc:
                        return doc
                at = tail.rfind(STOP_RECORD, 0, at)
            if length >= size:
                return None
            length *= 8


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
        At an array of anything but plain numbers, booleans and text: Python objects are never built.
    """
    unpacker = msgpack.Unpacker(file, object_hook=decode, raw=False, strict_map_key=False, max_buffer_size=_LARGEST_RECORD)
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
