"""What a facility stores runs in, whichever program that is: found by its address or its name."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._journal import Document
from bluesky_stm.storage._run import StoredRun

ADDRESSES = ("http://", "https://")
PROFILE = "tiled:"
"""In front of the name of a profile of Tiled."""
BROKER = "databroker:"
"""In front of the name of a catalog of databroker, 1.x or 2.x."""
CONNECT_TIMEOUT = 5.0
"""Longest time, in s, that a server may take to answer the door."""
_PORTS = {"http": 80, "https": 443}


class Store(Protocol):
    """Runs outside the journal: the index beside it, or what a facility keeps."""

    @property
    def client(self) -> Any:
        """As Tiled or databroker gives it."""

    def holds(self, uid: str) -> bool:
        """Whether the whole run is there."""

    def insert(self, stream: Iterable[Document]) -> None:
        """Take in a finished run."""

    def find(self, beginning: str) -> Sequence[StoredRun]:
        """Runs whose uid begins so: none, one, or more than one."""

    def __reversed__(self) -> Iterator[StoredRun]:
        """The newest run first."""

    def __len__(self) -> int:
        """How many runs it holds."""

    def close(self) -> None:
        """Let go of it."""


def is_elsewhere(place: str) -> bool:
    """Whether this names a facility's catalog, not a folder."""
    return place.startswith((*ADDRESSES, PROFILE, BROKER))


def connect(place: str) -> Store:
    """A Tiled server by its address or, as ``"tiled:NAME"``, its profile; ``"databroker:NAME"``, 1.x or 2.x.

    Raises
    ------
    CatalogError
        When it cannot be reached, or nothing is known by that name.
    """
    try:
        return _connected(place)
    except Exception as error:
        raise CatalogError(
            f"The catalog {place} cannot be reached: {error}. What is measured is kept here and sent there later."
        ) from error


def _connected(place: str) -> Store:
    from bluesky_stm.storage._tiled import TiledStore

    if place.startswith(BROKER):
        return _broker(place.removeprefix(BROKER))
    from tiled.client import from_profile, from_uri

    if place.startswith(PROFILE):
        return TiledStore(from_profile(place.removeprefix(PROFILE)))
    _check_reachable(place)
    return TiledStore(from_uri(place))


def _broker(name: str) -> Store:
    from databroker import catalog

    from bluesky_stm.storage._broker import BrokerStore
    from bluesky_stm.storage._tiled import TiledStore

    known = list(catalog)  # to ask `in` would open it
    if name not in known:
        raise CatalogError(f"databroker knows no catalog {name!r}, only {', '.join(sorted(known)) or 'none'}")
    found = catalog[name]
    return TiledStore(found) if hasattr(found, "context") else BrokerStore(found)


def _check_reachable(place: str) -> None:
    """Refuse at once: the client would go on trying for a minute where nobody listens."""
    address = urlsplit(place)
    socket.create_connection((address.hostname or "", address.port or _PORTS[address.scheme]), timeout=CONNECT_TIMEOUT).close()
