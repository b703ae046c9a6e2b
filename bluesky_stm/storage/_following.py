"""A journal followed by another process: the runs of the newest campaign from their beginning, and then what is added.

Only files are read, so that whoever writes them never notices.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from bluesky_stm.documents import Document
from bluesky_stm.errors import FileFormatError
from bluesky_stm.storage._journal import PART, first_document, records
from bluesky_stm.storage._listing import Listing


class Follower:
    """Reads along in a journal.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog; it may come into being later.
    """

    def __init__(self, catalog: Path) -> None:
        self._folder = catalog / "journal"
        self._listing = Listing(self._folder)
        self._done: set[str] = set()
        self._name, self._file, self._at, self._ended = "", None, 0, True
        self._waiting: list[str] = []

    _file: BufferedReader | None

    def take(self) -> Iterator[Document]:
        """Yield the documents that have come since the last call, each once, in their order."""
        while self._file is not None or self._next():
            yield from self._read()
            followed = bool(self._waiting) or self._look()
            if not (self._ended or followed):
                return
            yield from self._read()  # one that broke off has got no more by the time another run has begun
            self.close()

    def close(self) -> None:
        """Close the file that is being read."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _next(self) -> bool:
        """Open the next file; False where there is none."""
        if not (self._waiting or self._look()):
            return False
        self._name = self._waiting.pop(0)
        self._done.add(self._name)
        self._at, self._ended = 0, False
        return self._open()

    def _look(self) -> bool:
        """Note the files that are new, at first those of the newest campaign alone."""
        try:
            names = [name.removesuffix(PART) for name in self._listing.names(remember=False)]
        except OSError:
            return False
        fresh = [name for name in names if name not in self._done]
        if not self._done and fresh:
            known = self._of_the_newest(fresh)
            self._done |= set(fresh) - set(known)
            fresh = known
        self._waiting = fresh
        return bool(fresh)

    def _of_the_newest(self, names: list[str]) -> list[str]:
        """Return the names of the runs of the newest campaign, which lie one after the other at the end."""
        starts = ((name, self._start(name)) for name in reversed(names))
        newest: list[str] = []
        campaign = None
        for name, start in starts:
            if newest and (start is None or campaign is None or start.get("campaign") != campaign):
                break
            campaign = (start or {}).get("campaign")
            newest.append(name)
        return newest[::-1]

    def _start(self, name: str) -> dict[str, object] | None:
        try:
            return dict(first_document(self._folder / (name + PART)) or {}) or None
        except (OSError, FileFormatError):
            return None

    def _open(self) -> bool:
        for suffix in (PART, ""):
            with suppress(OSError):
                file = (self._folder / (self._name + suffix)).open("rb")
                self.close()
                self._file = file
                return True
        return False

    def _read(self) -> Iterator[Document]:
        assert self._file is not None
        if self._replaced() and not self._open():
            return
        self._file.seek(self._at)
        before = self._at
        for name, doc, end in records(self._file):
            self._at, self._ended = before + end, name == "stop"
            yield name, doc

    def _replaced(self) -> bool:
        """Return True when the journal was removed and written again: the same records, in another file."""
        assert self._file is not None
        for suffix in (PART, ""):
            with suppress(OSError):
                return os.stat(self._folder / (self._name + suffix)).st_ino != os.fstat(self._file.fileno()).st_ino
        return False
