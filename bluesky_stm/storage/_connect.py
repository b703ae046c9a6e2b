"""Connections to the store of a facility, of whichever program, found by its address or its name."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError

if TYPE_CHECKING:
    from bluesky_stm.storage._run import StoredRun

ADDRESSES = ("http://", "https://")
PROFILE = "tiled:"
"""Prefix of the name of a profile of Tiled."""
BROKER = "databroker:"
"""Prefix of the name of a catalog of databroker, 1.x or 2.x."""
CONNECT_TIMEOUT = 5.0
"""Longest time, in s, until a server accepts a connection."""
INSTALL_INDEX = "Install what is missing with: pip install 'bluesky-stm[index]'."
_PORTS = {"http": 80, "https": 443}


class Store(Protocol):
    """Runs outside the journal: the index beside it, or what a facility keeps.

    A `TiledStore` and a `BrokerStore` are such stores; `connect` makes one from an address or a name.
    """

    @property
    def client(self) -> Any:
        """Return the client of Tiled or databroker."""

    def holds(self, uid: str) -> bool:
        """Return True when the whole run is there.

        Parameters
        ----------
        uid : str
            The whole uid of the run.

        Raises
        ------
        CatalogError
            When a part of the run is there that the store cannot remove.
        """

    def insert(self, stream: Iterable[Document]) -> None:
        """Take in a finished run.

        Parameters
        ----------
        stream : iterable of (str, mapping)
            Name and content of each of its documents, the stop document last.
        """

    def find(self, beginning: str) -> Sequence[StoredRun]:
        """Return the runs whose uid begins like this: none, one, or more than one.

        Parameters
        ----------
        beginning : str
            First characters of the uid, or all of them.

        Raises
        ------
        CatalogError
            When more than one run begins like this and the store cannot list them.
        """

    def __reversed__(self) -> Iterator[StoredRun]:
        """Iterate over the runs, newest first."""

    def __len__(self) -> int:
        """Return the number of runs."""

    def close(self) -> None:
        """Close the connection."""


def is_elsewhere(place: str) -> bool:
    """Return True when this names the catalog of a facility, and not a folder.

    Parameters
    ----------
    place : str
        An address (``http://``, ``https://``), ``"tiled:PROFILE"``, ``"databroker:NAME"``, or the path of a folder.
    """
    return place.startswith((*ADDRESSES, PROFILE, BROKER))


def connect(place: str) -> Store:
    """Connect to a Tiled server or to a catalog of databroker.

    A Tiled server is given by its address or, as ``"tiled:NAME"``, by its profile; a catalog of databroker 1.x or 2.x as
    ``"databroker:NAME"``.

    Raises
    ------
    CatalogError
        When it cannot be reached, or nothing is known by that name.
    """
    try:
        return _connected(place)
    except ModuleNotFoundError as missing:
        raise CatalogError(
            f"The catalog {place} cannot be reached without {missing.name}, which is not installed. What is measured is kept "
            f"here and sent there later. {INSTALL_INDEX}"
        ) from missing
    except Exception as error:
        raise CatalogError(
            f"The catalog {place} cannot be reached: {error}. What is measured is kept here and sent there later."
        ) from error


def write_status(address: str, patience: float) -> int:
    """Return the HTTP status with which a Tiled server answers a request to write that says nothing.

    Who may not write is told so (401, 403), and who may is told what is missing.

    Parameters
    ----------
    address : str
        Of the server, ``http://`` or ``https://``, with its key or without.
    patience : float
        Time for the answer, in s.

    Raises
    ------
    Exception
        Of the client, where no Tiled server answers.
    """
    import httpx
    from tiled.client.context import Context

    with Context.from_any_uri(address)[0] as context:
        answer = context.http_client.post(f"{context.api_uri}metadata/", json={}, timeout=httpx.Timeout(patience))
        return int(answer.status_code)


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
    """Raise at once where nobody listens: the client would go on trying for a minute."""
    address = urlsplit(place)
    socket.create_connection((address.hostname or "", address.port or _PORTS[address.scheme]), timeout=CONNECT_TIMEOUT).close()
