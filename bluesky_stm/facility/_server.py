"""A Tiled server as a second home of finished runs: the journal stays the truth, and a server that is down ends nothing."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage import Index

if TYPE_CHECKING:
    from bluesky_stm.session import Session

PATIENCE = 5.0
"""Longest time, in s, that a server may take to answer the door."""
_PORTS = {"http": 80, "https": 443}


def publish_finished(session: Session, uri: str) -> Index:
    """Send each finished run of the session's catalog to a Tiled server, in the background; those it has missed, too."""
    folder = session.catalog.path / f"server-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
    mirror = Index(folder, session.catalog.finished, lambda _: connect(uri))
    mirror.look_later()

    def follow(name: str, doc: Mapping[str, Any]) -> None:
        mirror.look_later()

    session.RE.subscribe(follow, "stop")
    return mirror


def connect(uri: str) -> Any:
    """A client of a Tiled server; its key is in the environment variable ``TILED_API_KEY``.

    Raises
    ------
    CatalogError
        When nobody answers there.
    """
    from tiled.client import from_uri

    address = urlsplit(uri)
    try:
        # the client would go on trying for a minute where nobody listens
        socket.create_connection((address.hostname or "", address.port or _PORTS[address.scheme]), timeout=PATIENCE).close()
        return from_uri(uri)
    except Exception as error:
        raise CatalogError(f"No Tiled server answers at {uri}: {error}. Nothing was sent; the journal has all.") from error
