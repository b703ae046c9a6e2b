"""A Tiled server as a second home of finished runs: the journal stays the truth, and a server that is down ends nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bluesky_stm.storage import Index, connect
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.session import Session


def publish_finished(session: Session, uri: str) -> Index:
    """Send each finished run of the session's catalog to a Tiled server, in the background; those it has missed, too.

    Parameters
    ----------
    session : Session
        The end of each of its runs is heeded; its catalog is a folder.
    uri : str
        Address of the server.

    Returns
    -------
    Index
        To be closed when the session ends, which waits for what is being sent.
    """
    folder = session.catalog.path / f"server-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
    mirror = Index(folder, session.catalog.finished, lambda: connect(uri))
    mirror.look_later()

    def follow(name: str, doc: Data) -> None:
        mirror.look_later()

    session.RE.subscribe(follow, "stop")
    return mirror
