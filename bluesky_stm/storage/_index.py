"""The index: the finished runs once more, where other programs look for them, filled from the journals.

It is a Tiled catalog in this process or the catalog of a facility. It holds nothing that the journals do not hold. It is
therefore not written to while measuring unless somebody asks for that, cannot end a run, and may be removed: the next access
builds it again. Importing Tiled takes seconds, so it is imported at that access and not before.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._connect import INSTALL_INDEX, Store
from bluesky_stm.storage._growing import Growing, GrowingStore
from bluesky_stm.storage._run import JournalRun

log = logging.getLogger(__name__)

DATABASE = "catalog.db"
"""File of the Tiled catalog in the folder of an index."""
GROWN_EVERY = 2.0
"""Time, in s, between two looks for documents of a run that goes on."""
LOCK_TIMEOUT = 120.0
"""Longest time, in s, to wait for another process that is indexing the same runs."""


class MixedFieldError(CatalogError):
    """A field stands in a file in one stream, and in the Events of another."""


class Index:
    """Catalog of the finished runs of a folder.

    Parameters
    ----------
    folder : Path
        Folder of the index, made when it is needed.
    runs : callable
        Returns the finished runs, oldest first.
    connect : callable, optional
        Returns the store of a facility that the runs are sent to; without it a Tiled catalog in the folder is used.

    Attributes
    ----------
    faults : dict of str
        Runs that could not be indexed, by uid, and why. They are in the journal all the same.
    """

    def __init__(
        self, folder: Path, runs: Callable[[], Sequence[JournalRun]], connect: Callable[[], Store] | None = None
    ) -> None:
        self._folder = folder
        self._runs = runs
        self._connect = connect
        self._opened: Store | None = None
        self._opening = threading.Lock()
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="bluesky_stm index")
        self._next: Future[None] | None = None
        self._growing: Growing | None = None
        self._grown = -math.inf
        self.faults: dict[str, str] = {}

    @property
    def store(self) -> Store:
        """Return the store, opened at the first call, with the runs that have arrived so far.

        The first call may take seconds, since it imports Tiled or connects to a facility. Threads may call it at once.
        """
        with self._opening:
            if self._opened is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                if self._connect is None and not (self._folder / DATABASE).exists():
                    self._list.unlink(missing_ok=True)  # of what was in it nothing is left
                self._opened = self._connect() if self._connect else _embedded(self._folder)
        return self._opened

    @property
    def client(self) -> Any:
        """Return the client of Tiled or databroker, with every finished run in it.

        Raises
        ------
        CatalogError
            When another process has been indexing for longer than `LOCK_TIMEOUT`.
        """
        self.catch_up()
        return self.store.client

    @property
    def indexed(self) -> set[str]:
        """Return the uids of the runs that have arrived."""
        return set(self._list.read_text(encoding="utf-8").split()) if self._list.exists() else set()

    def catch_up(self) -> None:
        """Index the finished runs that are not in it yet.

        A run that fails is noted in ``faults`` and tried again next time.

        Raises
        ------
        CatalogError
            When another process has been indexing for longer than `LOCK_TIMEOUT`.
        """
        from filelock import FileLock, Timeout

        store = self.store
        try:
            with FileLock(self._folder / "index.lock", timeout=LOCK_TIMEOUT, thread_local=False):
                self._feed(store)
                done = self.indexed
                for run in self._runs():
                    if run.uid not in done:
                        self._insert(store, run)
        except Timeout:
            raise CatalogError(
                f"Another process has been indexing {self._folder} for {LOCK_TIMEOUT:g} s. The journals are not touched; try "
                "again when it is done."
            ) from None

    def catch_up_later(self) -> None:
        """Catch up in the background, for a facility or where somebody has looked into the index already.

        Otherwise nothing is done, so that measuring never opens an index that nobody asks for.
        """
        if self._connect or self._opened is not None:
            self.look_later()

    def grow(self, growing: Growing) -> None:
        """Take in runs while they go on, from now on."""
        self._growing = growing
        self.look_later()

    def grow_later(self) -> None:
        """There is a document more: look in the background, at most every `GROWN_EVERY` seconds, where runs are to grow."""
        if self._growing is not None and time.monotonic() > self._grown + GROWN_EVERY:
            self._grown = time.monotonic()
            self.look_later()

    def look_later(self) -> None:
        """Open the store if need be and catch up, in the background; what fails is noted in ``faults``.

        It returns at once. A call while another one still waits adds nothing, as that one will see the same runs.
        """
        if self._next is None or self._next.running() or self._next.done():  # one that waits will see this run, too
            self._next = self._behind.submit(self._catch_up_quietly)

    def close(self) -> None:
        """Finish the work in the background and close the store."""
        self._behind.shutdown(wait=True)
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        if self._growing is not None:
            self._growing.close()

    def _catch_up_quietly(self) -> None:
        try:
            self.catch_up()
        except Exception as error:  # the flag is there to be seen; a run must not end over its index
            self.faults["index"] = str(error)
            log.exception("The index in %s could not be caught up.", self._folder)
        else:
            self.faults.pop("index", None)

    def _feed(self, store: Store) -> None:
        """Take in what runs that go on have got since the last time, where that is asked for."""
        if self._growing is None:
            return
        try:
            for uid in self._growing.feed(cast(GrowingStore, store), self.indexed):
                self._note(uid)
        except Exception as error:  # of a damaged journal: the other runs are taken in all the same
            log.warning("Runs enter the index when they have ended, from now on: %s", error)
            self._growing.close()
            self._growing = None

    def _insert(self, store: Store, run: JournalRun) -> None:
        try:
            if not store.holds(run.uid):
                from bluesky_stm.storage._documents import inlined

                for fault in run.faults:
                    log.warning("Run %s goes into the index as it is now, and it was ALTERED: %s", run.uid, fault)
                try:
                    # the index reads the files of large images where they are; another machine could not
                    store.insert(inlined(run.documents()) if self._connect else run.documents())
                except MixedFieldError:
                    store.holds(run.uid)  # what has arrived of it is removed
                    store.insert(inlined(run.documents()))
        except Exception as error:
            self.faults[run.uid] = f"{type(error).__name__}: {error}"
            refused = self._connect is not None and any(code in str(error) for code in ("401", "403"))
            do = " Put a key that may write into TILED_API_KEY of the process that measures." if refused else ""
            log.warning("Run %s is not in the index: %s. The journal has it.%s", run.uid, self.faults[run.uid], do)
        else:
            self._note(run.uid)

    def _note(self, uid: str) -> None:
        """Note that a run has arrived as a whole."""
        self.faults.pop(uid, None)
        with self._list.open("a", encoding="utf-8") as file:
            file.write(f"{uid}\n")

    @property
    def _list(self) -> Path:
        return self._folder / "indexed.txt"


def _embedded(folder: Path) -> Store:
    try:
        from bluesky_stm.storage._tiled import embedded

        return embedded(folder)
    except ModuleNotFoundError as missing:
        raise CatalogError(
            f"The index stands on packages that are not all installed here: {missing.name} is missing. All runs are in the "
            f"journal, and everything but the index works without. {INSTALL_INDEX}"
        ) from missing
