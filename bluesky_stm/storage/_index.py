"""The index: a databroker/Tiled catalog in this process (SQLite, no server, no socket), caught up from the journals.

It holds nothing that the journals do not hold, so it is never written to while measuring, cannot end a run, and may be
thrown away: the next look into it builds it again. Importing Tiled takes seconds: it is imported at that look and not before.
"""

from __future__ import annotations

import copy
import logging
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._run import JournalRun

log = logging.getLogger(__name__)

ROOT_SPEC = {"name": "CatalogOfBlueskyRuns", "version": "3.0"}
BATCH = 500
"""Events that go into the tables at once: one by one they become thousands of little files, all at once they fill memory."""
PROFILE = "tiled:"
"""In front of the name of a profile of Tiled."""
PATIENCE = 120.0
"""How long to wait for another process that is indexing the same runs, in s."""


class Index:
    """Tiled catalog of the finished runs of a folder.

    Parameters
    ----------
    folder : Path
        Its own; made when it is needed.
    runs : callable
        Gives the finished runs, oldest first.
    connect : callable, optional
        Gives the Tiled client that they go to, from the folder; else a catalog inside it.

    Attributes
    ----------
    faults : dict of str
        Runs that could not be indexed, by uid, and why. They are in the journal all the same.
    """

    def __init__(
        self, folder: Path, runs: Callable[[], Sequence[JournalRun]], connect: Callable[[Path], Any] | None = None
    ) -> None:
        self._folder = folder
        self._runs = runs
        self._connect = connect or _open_tiled
        self._asked_for = connect is not None
        self._client: Any = None
        self._opening = threading.Lock()
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="bluesky_stm index")
        self._next: Future[None] | None = None
        self.faults: dict[str, str] = {}

    @property
    def client(self) -> Any:
        """The Tiled client, with every finished run in it."""
        with self._opening:
            if self._client is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._client = self._connect(self._folder)
        self.catch_up()
        return self._client

    def catch_up(self) -> None:
        """Index the finished runs that are not in it yet; one that fails is noted in ``faults`` and tried again next time."""
        try:
            with FileLock(self._folder / "index.lock", timeout=PATIENCE, thread_local=False):
                done = self._done()
                for run in self._runs():
                    if run.uid not in done:
                        self._insert(run)
        except Timeout:
            raise CatalogError(
                f"Another process has been indexing {self._folder} for {PATIENCE:g} s. The journals are not touched; try "
                "again when it is done."
            ) from None

    def catch_up_later(self) -> None:
        """The same in the background: for a facility, or where somebody has looked into the index already."""
        if self._asked_for or self._client is not None:
            self.look_later()

    def look_later(self) -> None:
        """Open it if need be, and catch up, in the background; what fails is noted in ``faults``."""
        if self._next is None or self._next.running() or self._next.done():  # one that waits will see this run, too
            self._next = self._behind.submit(self._catch_up_quietly)

    def close(self) -> None:
        """Finish what goes on in the background and let go of the files."""
        self._behind.shutdown(wait=True)
        if self._client is not None:
            self._client.context.close()
            self._client = None

    def _catch_up_quietly(self) -> None:
        try:
            _ = self.client
        except Exception as error:  # the flag is there to be seen; a run must not end over its index
            self.faults["index"] = str(error)
            log.exception("The index in %s could not be caught up.", self._folder)
        else:
            self.faults.pop("index", None)

    def _insert(self, run: JournalRun) -> None:
        from bluesky_tiled_plugins import TiledWriter

        try:
            if not self._holds(run.uid):
                writer = TiledWriter(self._client, batch_size=BATCH)
                for name, doc in run.documents():
                    writer(name, copy.copy(doc))
        except Exception as error:
            self.faults[run.uid] = f"{type(error).__name__}: {error}"
            log.warning("Run %s is not in the index: %s. The journal has it.", run.uid, self.faults[run.uid])
        else:
            self.faults.pop(run.uid, None)
            with self._list.open("a", encoding="utf-8") as file:
                file.write(f"{run.uid}\n")

    def _holds(self, uid: str) -> bool:
        """Whether the run is there; half of it, from a process that died in between, is removed."""
        if uid not in self._client:
            return False
        whole = bool(self._client[uid].metadata.get("stop"))
        if not whole:
            self._client.delete_contents(uid, recursive=True, external_only=False)
        return whole

    @property
    def _list(self) -> Path:
        return self._folder / "indexed.txt"

    def _done(self) -> set[str]:
        return set(self._list.read_text(encoding="utf-8").split()) if self._list.exists() else set()


def connect(where: str) -> Any:
    """Client of a Tiled server, by address or, as ``"tiled:NAME"``, by profile.

    Raises
    ------
    CatalogError
        When it cannot be reached.
    """
    from tiled.client import from_profile, from_uri

    try:
        return from_profile(where.removeprefix(PROFILE)) if where.startswith(PROFILE) else from_uri(where)
    except Exception as error:
        raise CatalogError(
            f"The catalog {where} cannot be reached: {error}. What is measured is kept here and sent there later."
        ) from error


def _open_tiled(folder: Path) -> Any:
    from bluesky_tiled_plugins.exporters import json_seq_exporter
    from tiled.catalog import from_uri
    from tiled.client import Context, from_context
    from tiled.media_type_registration import default_serialization_registry
    from tiled.server.app import build_app

    (folder / "data").mkdir(exist_ok=True)
    database = folder / "catalog.db"
    tree = from_uri(
        str(database),
        init_if_not_exists=not database.exists(),
        writable_storage=[str(folder / "data"), f"sqlite:///{folder / 'tables.db'}"],
        readable_storage=[str(folder.parent)],
        specs=[ROOT_SPEC],
    )
    registry = copy.deepcopy(default_serialization_registry)
    registry.register("BlueskyRun", "application/json-seq", json_seq_exporter)  # without it run.documents() is refused
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its web framework, about its own client
        return from_context(Context.from_app(build_app(tree, serialization_registry=registry)))
