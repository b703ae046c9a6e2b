"""The chain of digests over the documents of a run, which its stop document closes.

The last 64 bytes of a journal are a digest in hexadecimal: the SHA-256 of all bytes before them. It stands as the last value of
``chain`` in the stop document. ``chain`` also holds a mark, the beginning of the digest so far, after every hundredth document,
so that an alteration can be placed; the digests of the files with large images; and what the run was closed with: versions,
weights, processor, BLAS and number of threads.

Choice: one hash goes on over the bytes of the records. A program of a hundred lines can then check a run (``examples/``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Final

from bluesky_stm.documents import Document, machine, versions
from bluesky_stm.validated import JSON, Data

CHAIN: Final = "chain"
"""Name of the entry of a stop document that closes the chain."""
DIGEST: Final = "digest"
SIGNATURE: Final = "signature"
LENGTH: Final = 64
"""Length of a digest, in hexadecimal."""
TAIL: Final = b"\xa6digest\xd9\x40"
"""The bytes before the digest at the end of a journal: the key, and the head of a text of 64 bytes."""
MARKED: Final = 100
"""Number of documents from one mark to the next."""

_AT_ONCE = 2**18
"""Bytes that are hashed at once, in a thread behind. To hash each document by itself would cost a sixth of its write
(``benchmarks/results/chain.md``)."""

Sign = Callable[[bytes], str]
"""Signs the digest of all before the stop document, followed by that document without its signature and digest."""


class Chain:
    """The digest of the documents of one run so far.

    Parameters
    ----------
    behind : Executor, optional
        One thread that does the hashing; without it each document is hashed when it is added.
    """

    def __init__(self, behind: Executor | None = None) -> None:
        self._behind = behind
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
            self._files[doc["uid"]] = Path(doc["root"]) / doc["resource_path"]
        elif name == "start" and isinstance(agent := doc.get("agent"), dict):
            self._weights = agent.get("weights")
        if self._size >= _AT_ONCE or self._behind is None:
            self._send()

    def closed(self, stop: Data, pack: Callable[[str, Data], bytes], by: str = "the run", sign: Sign | None = None) -> bytes:
        """Return the record of the stop document that closes the chain.

        Documents that come with a chain and hold it keep it. Where they do not hold it, the new one says so (``before``).

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
        """
        self._send()
        if self._last is not None:
            self._last.result()
        earlier = stop.get(CHAIN)
        if isinstance(earlier, dict) and ends_whole(kept := pack("stop", stop), self._hash.copy()):
            return kept
        stop = {key: value for key, value in stop.items() if key != CHAIN}  # the chain has to be its last entry
        chain: JSON = {"algorithm": "sha256", "closed_by": by, "documents": self._count + 1, "marks": self._marks}
        chain["files"] = {uid: digest for uid, path in self._files.items() if (digest := digest_of_file(path))}
        chain |= {"weights": self._weights, "versions": versions(), "machine": machine()}
        if earlier is not None:
            chain["before"] = earlier.get(DIGEST, "") if isinstance(earlier, dict) else ""
        if sign is not None:
            chain[SIGNATURE] = sign(self._signed(pack("stop", {**stop, CHAIN: chain})))
        open_end = pack("stop", {**stop, CHAIN: {**chain, DIGEST: "0" * LENGTH}})[:-LENGTH]
        self._hash.update(open_end)
        return open_end + self._hash.hexdigest().encode()

    def _signed(self, record: bytes) -> bytes:
        """Return what is signed: the digest of all documents before the stop, and the stop document itself."""
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


def chained(stream: Iterable[Document], pack: Callable[[str, Data], bytes], by: str) -> Iterator[bytes]:
    """Yield the records of documents, closed by a chain where they end in a stop document.

    Parameters
    ----------
    stream : iterable of (str, mapping)
        Name and content of each document.
    pack : callable
        Makes the record of a document.
    by : str
        What closes the chain, as for `Chain.closed`.
    """
    chain = Chain()
    for name, doc in stream:
        if name == "stop":
            yield chain.closed(doc, pack, by)
        else:
            record = pack(name, doc)
            chain.add(name, doc, record)
            yield record


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
    except OSError:
        return ""
