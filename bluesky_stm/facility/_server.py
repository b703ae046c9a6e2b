"""A Tiled server as a second home of runs: the journal stays the truth, and a server that is down ends nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bluesky_stm.storage import Growing, Index, connect
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.session import Session


def publish(session: Session, uri: str, while_measuring: bool = False) -> Index:
    """Send each run of the session's catalog to a Tiled server, in the background; those it has missed, too.

    Parameters
    ----------
    session : Session
        The documents of its runs are heeded; its catalog is a folder.
    uri : str
        Address of the server.
    while_measuring : bool
        True to send a run while it goes on; otherwise it is sent when it has ended.

    Returns
    -------
    Index
        To be closed when the session ends, which waits for what is being sent.
    """
    catalog = session.catalog
    folder = catalog.path / f"server-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
    mirror = Index(folder, catalog.finished, lambda: connect(uri))
    if while_measuring:
        mirror.grow(Growing(catalog.path, elsewhere=True))
    mirror.look_later()

    def follow(name: str, doc: Data) -> None:
        if name == "stop":
            mirror.look_later()
        else:
            mirror.grow_later()

    session.RE.subscribe(follow)
    return mirror
