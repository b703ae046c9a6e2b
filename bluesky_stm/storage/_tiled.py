"""Tiled as the index in this process (SQLite, no server, no socket), and as the server of a facility."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from bluesky_stm.data import Data
from bluesky_stm.documents import Document, fault_of_fields, validate_quickly
from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._index import DATABASE, MixedFieldError
from bluesky_stm.storage._run import StoredRun

ROOT_SPEC = {"name": "CatalogOfBlueskyRuns", "version": "3.0"}
BATCH = 2000
"""Number of Events that go into the tables at once: one by one they become thousands of little files, all at once they fill
the memory.
"""


class TiledStore:
    """Runs in a Tiled catalog.

    Parameters
    ----------
    client : Container
        Client of Tiled for the catalog.
    """

    def __init__(self, client: Any) -> None:
        self._root = client

    @property
    def client(self) -> Any:
        """Return the client in the layout v3.

        It is asked for each time, because a look through ``.v1`` changes what the client returns.
        """
        return self._root.v3 if getattr(self._root, "is_sql", False) else self._root

    def holds(self, uid: str) -> bool:
        """Return True when the whole run is there.

        Half of a run, from a process that died while it was sending, is removed.
        """
        if uid not in self._root:
            return False
        whole = bool(self._root[uid].metadata.get("stop"))
        if not whole:
            self._root.delete_contents(uid, recursive=True, external_only=False)
        return whole

    def insert(self, stream: Iterable[Document]) -> None:
        """Write a finished run.

        Raises
        ------
        CatalogError
            When the names of its fields can't be kept.
        MixedFieldError
            When a field stands in a file in one stream, and in the Events of another.
        """
        write = self.writer(BATCH)
        for name, doc in stream:
            write(name, doc)

    def writer(self, batch: int) -> Callable[[str, Data], None]:
        """Return what takes in the documents of one run, one after the other.

        Parameters
        ----------
        batch : int
            Number of Events of a stream that go into the tables at once.
        """
        from bluesky_tiled_plugins import TiledWriter

        validate_quickly()
        writer, outside = TiledWriter(self._root, batch_size=batch), dict[str, bool]()

        def write(name: str, doc: Data) -> None:
            if name == "descriptor":
                if fault := fault_of_fields(doc["data_keys"]):
                    raise CatalogError(fault)
                for key, about in doc["data_keys"].items():
                    # bluesky-tiled-plugins 2 takes a field that is external in one stream for external in all, and fails
                    if outside.setdefault(key, "external" in about) != ("external" in about):
                        raise MixedFieldError(f"The field {key!r} stands in files in one stream alone.")
            writer(name, copy.copy(doc))

        return write

    def find(self, beginning: str) -> Sequence[StoredRun]:
        """Return the runs whose uid begins like this.

        Parameters
        ----------
        beginning : str
            First characters of the uid, or all of them; capital letters count as such.
        """
        from tiled.queries import Like

        like = map(_run, self.client.search(Like("start.uid", f"{beginning}%")).values())
        return [run for run in like if run.uid.startswith(beginning)]  # to Like "_" and "%" are any letters, and A is a

    def __reversed__(self) -> Iterator[StoredRun]:
        newest = self.client.sort(("start.time", -1)).values()
        return (_run(node) for node in newest if "start" in node.metadata)

    def __len__(self) -> int:
        return len(self.client)

    def close(self) -> None:
        """End the connection."""
        self._root.context.close()


def embedded(folder: Path) -> TiledStore:
    """Open a Tiled catalog in a folder, without a server or a socket.

    Parameters
    ----------
    folder : Path
        An existing folder. Its database, tables and arrays are made where there are none.
    """
    from bluesky_tiled_plugins.exporters import json_seq_exporter
    from tiled.catalog import from_uri
    from tiled.client import Context, from_context
    from tiled.media_type_registration import default_serialization_registry
    from tiled.server.app import build_app

    (folder / "data").mkdir(exist_ok=True)
    database = folder / DATABASE
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
        with _client_by_httpx():
            return TiledStore(from_context(Context.from_app(build_app(tree, serialization_registry=registry))))


@contextmanager
def _client_by_httpx() -> Iterator[None]:
    """Let Tiled find a client of starlette that takes the addresses of httpx, also where httpx2 is installed (MCP brings it).

    The client is a copy of the module, made while httpx2 is out of sight; whoever else uses starlette's keeps his own.
    """
    name = "starlette.testclient"
    if find_spec("httpx2") is None:
        yield
        return
    seen = {each: sys.modules.get(each) for each in ("httpx2", name)}
    sys.modules["httpx2"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        loaded = seen[name]
        spec = find_spec("starlette.testclient") if loaded is None else loaded.__spec__
        assert spec is not None and spec.loader is not None
        sys.modules[name] = copied = module_from_spec(spec)
        spec.loader.exec_module(copied)
        _put_back("httpx2", seen["httpx2"])
        yield
    finally:
        for each, module in seen.items():
            _put_back(each, module)


def _put_back(name: str, module: ModuleType | None) -> None:
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def _run(node: Any) -> StoredRun:
    metadata = node.item["attributes"]["metadata"]
    return StoredRun(node, metadata["start"], metadata.get("stop") or None)
