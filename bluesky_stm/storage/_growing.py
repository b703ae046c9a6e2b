"""Runs that enter the index while they go on, in chunks, read along from their journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from bluesky_stm.data import Data
from bluesky_stm.documents import Document
from bluesky_stm.storage._documents import Inlining
from bluesky_stm.storage._following import Follower

log = logging.getLogger(__name__)

CHUNK: Final = 50
"""Number of Events of a stream that enter the index together: one by one they become thousands of little files."""


class GrowingStore(Protocol):
    """A store that takes a run piece by piece; a `TiledStore` does."""

    def holds(self, uid: str) -> bool:
        """Return True when the whole run is there; half of a run is removed."""

    def writer(self, batch: int) -> Callable[..., Any]:
        """Return what takes in the documents of one run, one after the other."""


class Growing:
    """Feeds the documents that a journal has got since the last time.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog.
    chunk : int
        Number of Events of a stream that are written at once.
    elsewhere : bool
        True for a store on another machine, which cannot read the files of large images: these are put into the Events.
    """

    def __init__(self, catalog: Path, chunk: int = CHUNK, elsewhere: bool = False) -> None:
        self._follower, self._chunk, self._elsewhere = Follower(catalog), chunk, elsewhere
        self._writer: Callable[..., Any] | None = None
        self._uid = ""

    def feed(self, store: GrowingStore, arrived: Collection[str]) -> Iterator[str]:
        """Write what has come, and yield the uid of each run that is now there as a whole.

        A run that cannot be written is left to whoever takes in finished runs.

        Parameters
        ----------
        store : GrowingStore
            Nobody else writes into it meanwhile.
        arrived : collection of str
            Uids of the runs that are there as a whole.
        """
        if self._uid in arrived:  # somebody else was quicker
            self._writer = None
        for name, doc in self._follower.take():
            if self._take((name, doc), store, arrived):
                yield self._uid

    def close(self) -> None:
        """Close the journal."""
        self._follower.close()

    def _take(self, document: Document, store: GrowingStore, arrived: Collection[str]) -> bool:
        """Write a document, and return True when that makes the run whole."""
        name, doc = document
        try:
            if name == "start":
                self._uid, self._writer = doc["uid"], None
                if self._uid not in arrived and not store.holds(self._uid):
                    self._writer = store.writer(self._chunk)
                    if self._elsewhere:
                        self._writer = _with_arrays(self._writer)
            if self._writer is None:
                return False
            self._writer(name, doc)
        except Exception as error:
            log.warning("Run %s enters the index when it has ended, and not before: %s", self._uid, error)
            self._writer = None
            return False
        if name == "stop":
            self._writer = None
        return name == "stop"


def _with_arrays(write: Callable[..., Any]) -> Callable[..., Any]:
    """Put the arrays that are stored in files into the Events that are written."""
    inlining = Inlining()

    def inline(name: str, doc: Data) -> None:
        for document in inlining(name, doc):
            write(*document)

    return inline
