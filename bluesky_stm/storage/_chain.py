"""The chain of digests over the documents of a run, which its stop document closes.

The last 64 bytes of a journal are a digest in hexadecimal: the SHA-256 of all bytes before them. It stands as the last value of
``chain`` in the stop document. ``chain`` also holds a mark, the beginning of the digest so far, after every hundredth document,
so that an alteration can be placed; the digests of the files with large images; and what the run was closed with: versions,
weights, processor, BLAS and number of threads.

Choice: one hash goes on over the bytes of the records. A program of a hundred lines can then check a run (``examples/``).

An import closes a chain of its own, which holds where the run came from and, where the run had been closed before, the record
that closed it (``within``): that the run itself had been closed stays proved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgpack

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Document, machine, versions

CHAIN: Final = "chain"
"""Name of the entry of a stop document that closes the chain."""
DIGEST: Final = "digest"
WITHIN: Final = "within"
"""Name of the record that closed the chain before an import, in hexadecimal."""
ORIGIN: Final = "origin"
"""Name of where an imported run came from."""
UNFINISHED: Final = "unfinished"
"""Name of the mark of an export of a run that was going on."""
BEFORE: Final = "before"
"""Name of the digest that came with the documents and that these do not hold."""
ALTERED: Final = "altered"
"""Name of what was wrong with a run that was exported all the same."""
OF_THE_RUN: Final = "the run"
"""What closes a chain when the run ends; only this proves that nothing has changed since it was measured."""
SIGNATURE: Final = "signature"
LENGTH: Final = 64
"""Length of a digest, in hexadecimal."""
TAIL: Final = b"\xa6digest\xd9\x40"
"""The bytes before the digest at the end of a journal: the key, and the head of a text of 64 bytes."""
MARKED: Final = 100
"""Number of documents from one mark to the next."""

_AT_ONCE = 2**20
"""Bytes that are hashed at once, in a thread behind. To hash each document by itself would cost a sixth of its write
(``benchmarks/results/trust.md`` has what the chain costs)."""

UNMARKED: Final[Data] = MappingProxyType({})
"""No further entry of a chain."""

Sign = Callable[[bytes], str]
"""Signs the digest of all before the stop document, followed by that document without its signature and digest."""


class Chain:
    """The digest of the documents of one run so far.

    Parameters
    ----------
    behind : Executor, optional
        One thread that does the hashing; without it each document is hashed when it is added.
    journal : Path, optional
        File of the journal, beside whose folder the files with large images are.
    """

    def __init__(self, behind: Executor | None = None, journal: Path | None = None) -> None:
        self._behind = behind
        self._journal = journal
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._size = 0
        self._last: Future[None] | None = None
        self._count = 0
        self._marks: list[str] = []
        self._weights: str | None = None
        self._files: dict[str, Path] = {}

    def add(self, name: str, doc: Data, record: bytes) -> None:
        """Take in a document that has been written.

        Parameters
        ----------
        name : str
            Kind of the document.
        doc : mapping
            Its content.
        record : bytes
            The bytes that were written.
        """
        self._waiting.append(record)
        self._size += len(record)
        if name == "resource":
            self._files[doc["uid"]] = image_file(self._journal, doc["root"], doc["resource_path"])
        elif name == "start" and isinstance(agent := doc.get("agent"), dict):
            self._weights = agent.get("weights")
        if self._size >= _AT_ONCE or self._behind is None:
            self._send()

    def closed(
        self,
        stop: Data,
        pack: Callable[[str, Data], bytes],
        by: str = OF_THE_RUN,
        sign: Sign | None = None,
        marks: Data = UNMARKED,
    ) -> bytes:
        """Return the record of the stop document that closes the chain.

        Documents that come with a chain and hold it keep it, within a new one where that says where they came from. Where they
        do not hold it, the new one says so (``before``).

        Parameters
        ----------
        stop : mapping
            The stop document.
        pack : callable
            Makes the record of a document.
        by : str
            What closes it: ``"the run"``, ``"recovery"`` after the death of its process, ``"import"``, ``"export"``.
        sign : callable, optional
            Signs the record with the key of a facility.
        marks : mapping
            Further entries of the chain: `ORIGIN`, `UNFINISHED`, `ALTERED`.
        """
        self._send()
        if self._last is not None:
            self._last.result()
        earlier = stop.get(CHAIN)
        held = isinstance(earlier, dict) and ends_whole(pack("stop", stop), self._hash.copy())
        kept = pack("stop", stop) if held else b""
        if held and ORIGIN not in marks:
            return kept
        stop = {key: value for key, value in stop.items() if key != CHAIN}  # the chain has to be its last entry
        chain: JSON = {"algorithm": "sha256", "closed_by": by, "documents": self._count + 1, "marks": self._marks}
        chain["files"] = {uid: digest for uid, path in self._files.items() if (digest := digest_of_file(path))}
        chain |= {"weights": self._weights, "versions": versions(), "machine": machine(), **marks}
        if held:
            chain[WITHIN] = kept.hex()
        elif earlier is not None:
            chain[BEFORE] = str(earlier.get(DIGEST, ""))[:LENGTH] if isinstance(earlier, dict) else ""
        if sign is not None:
            chain[SIGNATURE] = sign(self._signed(pack("stop", {**stop, CHAIN: chain})))
        open_end = pack("stop", {**stop, CHAIN: {**chain, DIGEST: "0" * LENGTH}})[:-LENGTH]
        self._hash.update(open_end)
        return open_end + self._hash.hexdigest().encode()

    def _signed(self, record: bytes) -> bytes:
        """Return what is signed: the digest of all documents before the stop, and the stop document itself.

        Its entry ``chain`` is there without the signature and without the digest that closes the record.
        """
        return self._hash.digest() + record

    def _send(self) -> None:
        records, self._waiting, self._size = self._waiting, [], 0
        if self._behind is None:
            self._take(records)
        else:
            self._last = self._behind.submit(self._take, records)

    def _take(self, records: list[bytes]) -> None:
        while records:
            now, records = records[: MARKED - self._count % MARKED], records[MARKED - self._count % MARKED :]
            self._hash.update(b"".join(now))
            self._count += len(now)
            if self._count % MARKED == 0:
                self._marks.append(self._hash.hexdigest()[:8])


def chained(stream: Iterable[Document], pack: Callable[[str, Data], bytes], by: str, marks: Data = UNMARKED) -> Iterator[bytes]:
    """Yield the records of documents, closed by a chain where they end in a stop document.

    Parameters
    ----------
    stream : iterable of (str, mapping)
        Name and content of each document.
    pack : callable
        Makes the record of a document.
    by : str
        What closes the chain, as for `Chain.closed`.
    marks : mapping
        Further entries of the chain.
    """
    return (record for _, _, record in chained_documents(stream, pack, by, marks))


def chained_documents(
    stream: Iterable[Document], pack: Callable[[str, Data], bytes], by: str, marks: Data = UNMARKED
) -> Iterator[tuple[str, Data, bytes]]:
    """Yield documents, each with its record; the stop document holds the chain as in `chained`.

    Parameters are those of `chained`.
    """
    chain = Chain()
    for name, doc in stream:
        if name == "stop":
            record = chain.closed(doc, pack, by, marks=marks)
            yield name, msgpack.unpackb(record, raw=False, strict_map_key=False)[1], record
        else:
            record = pack(name, doc)
            chain.add(name, doc, record)
            yield name, doc, record


def ends_whole(record: bytes, before: Any) -> bool:
    """Return True when a record ends with the digest of all that stands before it.

    Parameters
    ----------
    record : bytes
        The last record of a run.
    before : hash
        Hash of all records before; it is changed.
    """
    before.update(record[:-LENGTH])
    return record[-LENGTH - len(TAIL) : -LENGTH] == TAIL and record[-LENGTH:] == before.hexdigest().encode()


def image_file(journal: Path | None, root: str, file: str) -> Path:
    """Return where a file with large images is: beside the journal, also where the catalog was moved or copied.

    The folder that the documents name counts only where it belongs to no other catalog: what stands in the original says
    nothing about a copy.

    Parameters
    ----------
    journal : Path or None
        File of the journal; None where there is none yet.
    root : str
        Folder that the documents name.
    file : str
        Name of the file in it.
    """
    named = Path(root) / file
    if journal is None:
        return named
    beside = journal.parent.with_name(Path(root).name) / file
    return named if named.exists() and not (Path(root).parent / journal.parent.name).is_dir() else beside


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; empty where there is no such file.

    Parameters
    ----------
    path : Path
        File of any size.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # no name of a file holds a zero
        return ""
