"""The catalog of a folder: every document kept, every run found again."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._index import PROFILE, Index, connect
from bluesky_stm.storage._journal import PART, SUFFIX, Document, Journal, finish_torn
from bluesky_stm.storage._lock import WriterLock
from bluesky_stm.storage._run import JournalRun, Run, uid_of

_ADDRESSES = ("http://", "https://")
_SETTLED = 100_000_000
"""How long, in ns, a folder must have been unchanged before its time of change tells one listing from another."""


class Catalog:
    """Runs in a folder. ``RE.subscribe(catalog)`` keeps every document.

    ``catalog[-1]`` is the newest run, ``catalog["3f2a"]`` the one whose uid begins so; iteration goes from the oldest. A run
    that was measured elsewhere is found in a facility's catalog by its whole uid.

    Parameters
    ----------
    folder : path
    write : bool
        False to read along while another session writes.
    fsync : bool
        See `Journal`.
    connect : callable, optional
        Gives the client of a facility's catalog, which every finished run is sent to; see `open_catalog`.

    Attributes
    ----------
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
        connect: Callable[[Path], Any] | None = None,
    ) -> None:
        self.path = Path(folder).expanduser().absolute()
        self._journals = self.path / "journal"
        self._lock: WriterLock | None = None
        self._journal: Journal | None = None
        self._facility = connect is not None
        self._index = Index(self.path / "index", self.finished, connect)
        self._listed: tuple[int, list[str]] = (0, [])
        self.recovered: list[JournalRun] = []
        if write:
            self._begin(fsync)
        elif not self._journals.is_dir():
            raise CatalogError(
                f"There is no catalog in {self.path}. Nothing has been made; name another folder, or open it to write."
            )

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Keep one document."""
        if self._journal is None:
            raise CatalogError(f"The catalog {self.path} was opened to read, or is closed: this {name} is not kept.")
        self._journal(name, doc)
        if name == "stop":
            self._index.catch_up_later()

    def insert(self, stream: Iterable[Document]) -> JournalRun:
        """Keep a whole run that was recorded elsewhere, with the uid it has.

        Raises
        ------
        CatalogError
            When a run of that uid is there, or the documents don't belong together; nothing is changed.
        """
        documents = list(stream)
        uid = documents[0][1]["uid"]
        if uid in self:
            raise CatalogError(f"{self.path} holds run {uid} already. Nothing has been imported.")
        try:
            for name, doc in documents:
                self(name, doc)
        except Exception:
            self._drop(uid)
            raise
        return self._ended(uid)

    def finished(self) -> list[JournalRun]:
        """Runs that have ended, oldest first."""
        return [self._run(name) for name in self._names() if name.endswith(SUFFIX)]

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[JournalRun]:
        return (self._run(name) for name in self._names())

    def __reversed__(self) -> Iterator[JournalRun]:
        return (self._run(name) for name in reversed(self._names()))

    def __contains__(self, uid: object) -> bool:
        return any(uid_of(name) == uid for name in self._names())

    def __getitem__(self, key: int | str) -> Run:
        names = self._names()
        if isinstance(key, int):
            if not -len(names) <= key < len(names):
                raise CatalogError(f"There is no run {key}: {self.path} holds {len(names)}.")
            return self._run(names[key])
        found = [name for name in names if uid_of(name).startswith(key)]
        if len(found) == 1:
            return self._run(found[0])
        if not found and self._facility and key in self.client:
            return Run(self.client[key], self)
        raise CatalogError(
            f"{len(found) or 'No'} runs of {len(names)} in {self.path} have a uid that begins with {key!r}"
            + (f": {', '.join(uid_of(name) for name in found)}. Give more of it." if found else ".")
        )

    @property
    def client(self) -> Any:
        """The finished runs as a databroker/Tiled client (layout v3): ``catalog.client[uid]["primary"].read()``."""
        client = self._index.client
        return getattr(client, "v3", client)  # said each time: a look through .v1 changes what the client gives

    @property
    def index_faults(self) -> dict[str, str]:
        """Runs that are not in ``client``, by uid, and why; all of them are here."""
        return dict(self._index.faults)

    def close(self) -> None:
        """End the session: what is written is complete. Idempotent."""
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
        return f"<Catalog {self.path}: {len(self)} runs{faults}>"

    def _begin(self, fsync: bool) -> None:
        try:
            self._journals.mkdir(parents=True, exist_ok=True)
            self._lock = WriterLock(self.path)
        except OSError as error:
            raise CatalogError(
                f"No catalog can be kept in {self.path}: {error}. Nothing has been measured; choose a folder that can be "
                "written."
            ) from error
        self._journal = Journal(self._journals, fsync)
        left = [self._journals / name for name in self._names() if name.endswith(PART)]
        self.recovered = [self._run(path.name) for part in left if (path := finish_torn(part))]
        self._index.catch_up_later()

    def _ended(self, uid: str) -> JournalRun:
        """The run, with a stop document if it came without."""
        run = self._named(uid)
        if run.stop is None and self._journal is not None:
            self._journal.abandon(uid)
            finish_torn(run.path)
        return run

    def _drop(self, uid: str) -> None:
        """Forget a run of which only a part could be kept."""
        if self._journal is not None and uid in self:
            self._journal.abandon(uid)
            self._named(uid).path.unlink()

    def _named(self, uid: str) -> JournalRun:
        return next(self._run(name) for name in self._names() if uid_of(name) == uid)

    def _names(self) -> list[str]:
        """Names of the files, oldest run first; read again when the folder has changed."""
        changed = os.stat(self._journals).st_mtime_ns
        if changed != self._listed[0]:
            settled = time.time_ns() - changed > _SETTLED  # a later change in the same tick of the clock would go unseen
            remembered = self._remembered(changed) if settled else None
            names = remembered or sorted(name for name in os.listdir(self._journals) if name.endswith((SUFFIX, PART)))
            if settled and remembered is None and self._lock is not None:
                self._remember(changed, names)
            self._listed = (changed if settled else 0), names
        return self._listed[1]

    def _remembered(self, changed: int) -> list[str] | None:
        """The names as a session listed them since the folder last changed: to ask the disk for all of them takes longer."""
        try:
            when, *names = self._list.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError):
            return None
        return names if when == str(changed) else None

    def _remember(self, changed: int, names: list[str]) -> None:
        under_way = self._list.with_suffix(".new")
        with suppress(OSError):  # it only saves time
            under_way.write_text("\n".join([str(changed), *names]), encoding="utf-8")
            under_way.replace(self._list)

    @property
    def _list(self) -> Path:
        return self.path / "journal.list"

    def _run(self, name: str) -> JournalRun:
        return JournalRun(self._journals / name, self)


def open_catalog(
    where: str | os.PathLike[str], *, write: bool = True, fsync: bool = False, folder: str | os.PathLike[str] | None = None
) -> Catalog:
    """The catalog in a folder, made where there is none; or a facility's, with a journal here.

    Parameters
    ----------
    where : str or path
        A folder; or the address of a Tiled server (``"https://..."``; its key in ``TILED_API_KEY``), or ``"tiled:NAME"``, a
        profile of Tiled, which databroker 2 calls a catalog. A facility is sent each run when it is finished, in the
        background; while it cannot be reached the runs wait here and the run goes on.
    write, fsync : bool
        See `Catalog`.
    folder : path, optional
        Of the journal where the catalog is a facility's; by default below ``~/.bluesky_stm``.
    """
    place = str(where)
    if not place.startswith((*_ADDRESSES, PROFILE)):
        return Catalog(where, write=write, fsync=fsync)
    here = folder or Path.home() / ".bluesky_stm" / re.sub(r"\W+", "_", place)
    return Catalog(here, write=write, fsync=fsync, connect=lambda _: connect(place))
