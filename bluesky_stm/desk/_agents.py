"""The door for language-model agents, put together and served."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from bluesky_stm.desk._errors import Refused
from bluesky_stm.desk._guard import LOOPBACK
from bluesky_stm.desk._people import People, Person
from bluesky_stm.errors import SettingsError, STMError

if TYPE_CHECKING:
    from bluesky_stm.facility import Facility


def serve_mcp(settings: Facility, catalog: Path, people: People, token: str = "", port: int = 0) -> None:
    """Serve the tools until the client goes away, or until Ctrl-C.

    Parameters
    ----------
    settings : Facility
        Settings of the place, of which the twin is made.
    catalog : Path
        Folder of the catalog.
    people : People
        Everybody who is known.
    token : str
        Over stdio, who proposes; empty for an agent without a name of its own, which may propose.
    port : int
        Port on this host where it is served over HTTP; 0 for stdio.

    Raises
    ------
    STMError
        When the package mcp is not installed, or nobody has the token.
    """
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise STMError("The package mcp is not installed: pip install 'bluesky-stm[mcp]'.") from None
    from bluesky_stm.desk._cards import Cards
    from bluesky_stm.desk._mcp import http_app, make_server
    from bluesky_stm.desk._tools import Tools

    tools = Tools(catalog, Cards(settings))
    try:
        if port:
            import uvicorn

            from bluesky_stm.desk._serve import server_settings

            uvicorn.Server(server_settings(http_app(tools, people, LOOPBACK), "127.0.0.1", port)).run()
        else:
            person = _person(people, token)
            make_server(tools, lambda headers: person).run("stdio")
    finally:
        tools.close()


def _person(people: People, token: str) -> Person:
    if not token:  # whoever has started this process is known to the system: it may propose, and accept nothing
        return Person(name="an agent over stdio", role="propose", sha256=hashlib.sha256(b"stdio").hexdigest())
    try:
        person = people.by_token(token)
    except Refused as refused:
        raise SettingsError(refused.said) from None
    if not person.may("propose"):
        raise SettingsError(f"{person.name} has the role {person.role!r}, which may not propose. Nothing has been started.")
    return person
