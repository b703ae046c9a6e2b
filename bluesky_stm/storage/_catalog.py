"""The catalog of a folder: it keeps every document and finds every run again."""

from __future__ import annotations

import heapq
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bluesky_stm.data import Data
from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._connect import Store, connect, is_elsewhere
from bluesky_stm.storage._growing import CHUNK, Growing
from bluesky_stm.storage._index import Index
from bluesky_stm.storage._journal import NEW, PART, SUFFIX, Journal
from bluesky_stm.storage._listing import Listing
from bluesky_stm.storage._quarantine import QUARANTINE, quarantined
from bluesky_stm.storage._recovery import finish_torn
from bluesky_stm.storage._run import JournalRun, Run, uid_of
from bluesky_stm.storage._signature import signer

if TYPE_CHECKING:
    from bluesky_stm.storage._lock import WriterLock

log = logging.getLogger(__name__)


class Catalog:
    """Runs in a folder. ``RE.subscribe(catalog)`` keeps every document.

    ``catalog[-1]`` is the newest run, and ``catalog["3f2a"]`` the one whose uid begins like this. Iteration goes from the
    oldest run to the newest. With the catalog of a facility behind it, the runs of that are among them. While the facility
    cannot be reached, ``index_faults`` says so and only the runs in the folder are listed.

    Parameters
    ----------
    folder : path
        Folder of the catalog, made where there is none.
    write : bool
        False to read along while another session writes.
    fsync : bool
        True to force every document onto the disk; see `Journal`.
    facility : str, optional
        Address or name of the catalog that every finished run is sent to; see `open_catalog`.

    Attributes
    ----------
    path : Path
        Folder of the catalog.
    recovered : list of JournalRun
        Runs that a process left behind when it died, and which were given their stop document just now.

    Raises
    ------
    CatalogError
        When the folder cannot be used, or another session writes there.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        write: bool = True,
        fsync: bool = False,
        facility: str | None = None,
    ) -> None:
        self.path = Path(folder).expanduser().absolute()
        self._journals = self.path / "journal"
        self._lock: WriterLock | None = None
        self._journal: Journal | None = None
        self._facility = facility is not None
        self._index = (
            Index(self.path / "sent" / _as_name(facility), self.finished, partial(connect, facility))
            if facility
            else Index(self.path / "index", self.finished)
        )
        self._listing = Listing(self._journals)
        self.recovered: list[JournalRun] = []
        if self._facility and not write:
            self._journals.mkdir(parents=True, exist_ok=True)
        if write:
            self._begin(fsync)
        elif not self._journals.is_dir():
            raise CatalogError(
                f"There is no catalog in {self.path}. Nothing has been made; name another folder, or open it to write."
            )

    def __call__(self, name: str, doc: Data) -> None:
        """Keep one document; this is what the RunEngine calls.

        Raises
        ------
        CatalogError
            When the document cannot be kept. The run has to end then.
        """
        if self._journal is None:
            raise CatalogError(f"The catalog {self.path} was opened to read, or is closed: this {name} is not kept.")
        self._journal(name, doc)
        if name == "stop":
            self._index.catch_up_later()
        else:
            self._index.grow_later()

    def index_while_measuring(self, chunk: int = CHUNK) -> None:
        """Let runs enter the index while they go on, in a thread that reads their journal; else they do when they have ended.

        It costs processor time beside the measurement, and cannot end it. What a killed session has left is removed from the
        index, and taken in anew.

        Parameters
        ----------
        chunk : int
            Number of Events of a stream that enter it together.

        Raises
        ------
        CatalogError
            When this is the catalog of a facility, which is sent runs when they have ended, or it was opened to read.
        """
        if self._facility or self._journal is None:
            why = "a facility is sent whole runs, a sink each document." if self._facility else "nobody measures into it."
            raise CatalogError(f"Runs enter the index of {self.path} when they have ended: {why}")
        self._index.grow(Growing(self.path, chunk))

    def insert(self, stream: Iterable[Document], origin: Data | None = None) -> JournalRun:
        """Keep a whole run that was recorded elsewhere, with the uid it has. It is marked as imported.

        The documents are judged and written in a folder of their own; only a whole run is moved in, by one rename. Documents
        without a stop are given one, as after a crash.

        Parameters
        ----------
        stream : iterable of (str, mapping)
            Name and content of each document; arrays stand in them, and not in files beside.
        origin : mapping, optional
            Where they came from, as plain JSON.

        Raises
        ------
        FileFormatError
            When they are not one run that can be kept: the catalog is as before then, to the last byte.
        CatalogError
            When a run of that uid is there, or the folder cannot be written.
        """
        if self._journal is None:
            raise CatalogError(f"The catalog {self.path} was opened to read, or is closed. Nothing has been imported.")
        try:
            with quarantined(self.path, stream, origin or {}) as (whole, start):
                if start["uid"] in self:
                    raise CatalogError(f"{self.path} holds run {start['uid']} already. Nothing has been imported.")
                settled = self._journals / whole.name
                whole.rename(settled)
        except OSError as error:
            raise CatalogError(f"{self.path} cannot be written: {error}. Nothing has been imported.") from error
        self._index.catch_up_later()
        return self._run(settled.name)

    def finished(self) -> list[JournalRun]:
        """Return the runs that have ended, oldest first."""
        return [self._run(name) for name in self._names() if name.endswith(SUFFIX)]

    def __len__(self) -> int:
        names = self._names()
        if not self._facility or not (store := self._reached()):
            return len(names)
        arrived = self._index.indexed
        return len(store) + sum(uid_of(name) not in arrived for name in names)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(reversed(self))[::-1]) if self._facility else (self._run(name) for name in self._names())

    def __reversed__(self) -> Iterator[Run]:
        here: Iterator[Run] = (self._run(name) for name in reversed(self._names()))
        return self._with_facility(here) if self._facility else here

    def __contains__(self, uid: object) -> bool:
        return bool(uid) and any(run.uid == uid for run in self._found(str(uid)))

    def __getitem__(self, key: int | str) -> Run:
        if isinstance(key, int):
            return self._numbered(key)
        found = self._found(key)
        whole = [run for run in found if run.uid == key]  # one uid may be the beginning of others
        if key and (len(found) == 1 or whole):
            return (whole or found)[0]
        raise CatalogError(
            f"{len(found) or 'No'} runs of {len(self)} in {self.path} have a uid that begins with {key!r}"
            + (
                f": {', '.join(run.uid for run in found)}. Give more of it."
                if found
                else ". Those that are there: bluesky-stm ls."
            )
        )

    @property
    def client(self) -> Any:
        """Return a client of databroker or Tiled (layout v3) for the finished runs.

        An example is ``catalog.client[uid]["primary"].read()``.
        """
        return self._index.client

    @property
    def index_faults(self) -> dict[str, str]:
        """Return why runs are not in ``client``, by uid; all of them are in the folder.

        It is empty when nothing failed. The key ``"index"`` stands for a fault of the index as a whole.
        """
        return dict(self._index.faults)

    def close(self) -> None:
        """End the session: what is written is complete. A second call does nothing."""
        self._index.close()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        faults = f", {len(self._index.faults)} not in the index" if self._index.faults else ""
        return f"<Catalog {self.path}: {len(self)} {'run' if len(self) == 1 else 'runs'}{faults}>"

    def _begin(self, fsync: bool) -> None:
        from bluesky_stm.storage._lock import WriterLock, refuse_links

        sign = signer()
        try:
            self._journals.mkdir(parents=True, exist_ok=True)
            refuse_links(self.path, self._journals)
            self._lock = WriterLock(self.path)
        except OSError as error:
            raise CatalogError(
                f"No catalog can be kept in {self.path}: {error}. Nothing has been measured; choose a folder that can be "
                "written."
            ) from error
        self._journal = Journal(self._journals, fsync, sign)
        (self._journals / NEW).unlink(missing_ok=True)
        for left_behind in self.path.glob(f"{QUARANTINE}*"):  # by an import whose process was killed
            shutil.rmtree(left_behind, ignore_errors=True)
        left = [self._journals / name for name in self._names() if name.endswith(PART)]
        self.recovered = [self._run(path.name) for part in left if (path := finish_torn(part, sign))]
        self._index.catch_up_later()

    def _numbered(self, number: int) -> Run:
        """Return a run by its place in the order of time.

        Counted from the end, no more runs are looked at than needed.
        """
        if self._facility:
            wanted = islice(reversed(self), -number - 1, None) if number < 0 else islice(self, number, None)
            if (run := next(wanted, None)) is not None:
                return run
        elif -len(names := self._names()) <= number < len(names):
            return self._run(names[number])
        raise CatalogError(f"There is no run {number}: {self.path} holds {len(self)}. Those that are there: bluesky-stm ls.")

    def _here(self, beginning: str) -> list[JournalRun]:
        return [self._run(name) for name in self._names() if uid_of(name).startswith(beginning)]

    def _found(self, beginning: str) -> Sequence[Run]:
        """Return the runs whose uid begins like this; a facility is asked only for what is not in the folder."""
        here = self._here(beginning)
        if here or not self._facility or not (store := self._reached()):
            return here
        return [self._ours(run) for run in store.find(beginning)]

    def _with_facility(self, here: Iterator[Run]) -> Iterator[Run]:
        """Merge the runs of the folder with those of the facility, newest first.

        What was measured here is read from the folder.
        """
        store = self._reached()
        known = {uid_of(name) for name in self._names()}
        theirs = (self._ours(run) for run in reversed(store) if run.uid not in known) if store else iter(())
        return heapq.merge(here, theirs, key=lambda run: -run.start["time"])

    def _ours(self, run: Run) -> Run:
        """Let a run of the facility find the runs that it refers to in this catalog."""
        run.catalog = self
        return run

    def _reached(self) -> Store | None:
        try:
            store = self._index.store
        except CatalogError as error:
            self._index.faults["index"] = str(error)
            log.warning("Only the runs in %s are listed. %s", self.path, error)
            return None
        self._index.faults.pop("index", None)
        return store

    def _names(self) -> list[str]:
        return self._listing.names(remember=self._lock is not None)

    def _run(self, name: str) -> JournalRun:
        return JournalRun(self._journals / name, self)


def open_catalog(
    where: str | os.PathLike[str], *, write: bool = True, fsync: bool = False, folder: str | os.PathLike[str] | None = None
) -> Catalog:
    """Open the catalog in a folder, or that of a facility with a journal here.

    Parameters
    ----------
    where : str or path
        A folder, made where there is none. Or the address of a Tiled server (``"https://..."``; its key in ``TILED_API_KEY``),
        ``"tiled:NAME"`` for a profile of Tiled, or ``"databroker:NAME"`` for a catalog of databroker 1.x or 2.x. A facility is
        sent each run in the background when it is finished; while it cannot be reached the runs wait here and the measurement
        goes on. Its runs are listed, loaded and replayed like those here.
    write : bool
        False to read along while another session writes.
    fsync : bool
        True to force every document onto the disk; see `Journal`.
    folder : path, optional
        Folder of the journal where the catalog is a facility's; by default below ``~/.bluesky_stm``.

    Returns
    -------
    Catalog
        To be subscribed to a RunEngine.

    Raises
    ------
    CatalogError
        When the folder cannot be used, or another session writes there.
    """
    if not isinstance(where, str | os.PathLike) or not os.fspath(where):
        raise CatalogError(f"A catalog is a folder or the address of a facility's, and not {where!r}. Nothing has been opened.")
    place = str(where)
    if not is_elsewhere(place):
        return Catalog(where, write=write, fsync=fsync)
    return Catalog(folder or Path.home() / ".bluesky_stm" / _as_name(place), write=write, fsync=fsync, facility=place)


def _as_name(place: str) -> str:
    """Turn an address into a word that can name a folder."""
    return re.sub(r"\W+", "_", place)
