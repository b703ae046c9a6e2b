"""A desk put together and served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluesky_stm.desk._app import make_app
from bluesky_stm.desk._board import Board, Feed
from bluesky_stm.desk._desk import TERMINAL, Desk, Way
from bluesky_stm.desk._guard import LOOPBACK, Door
from bluesky_stm.desk._people import People, Person
from bluesky_stm.desk._proposals import Proposals
from bluesky_stm.errors import STMError
from bluesky_stm.facility import DoorClient, QueueClient
from bluesky_stm.parts import acquisition_functions, scalarizers
from bluesky_stm.storage import Follower
from bluesky_stm.validated import JSON
from bluesky_stm.views import colors

if TYPE_CHECKING:
    from starlette.types import ASGIApp


@dataclass
class Surroundings:
    """What is pinned to the board beside the runs: whether a session answers, and the queue.

    Attributes
    ----------
    board : Board
        The board.
    session : DoorClient
        Door of the session that writes the catalog.
    proposals : Proposals
        Proposals of programs.
    queue : QueueClient, optional
        The queue server.
    """

    board: Board
    session: DoorClient
    proposals: Proposals
    queue: QueueClient | None = None

    def look(self) -> None:
        """Pin how things are."""
        self.board.pin("session", self._session())
        self.board.pin("proposals", self.proposals.shown())
        if self.queue is not None:
            self.board.pin("queue", self._queue(self.queue))

    def _session(self) -> JSON:
        try:
            return {"there": True, **self.session.state()}
        except STMError:
            return {"there": False}

    def _queue(self, queue: QueueClient) -> JSON:
        try:
            return queue.items()
        except STMError as error:
            return {"state": str(error), "running": None, "waiting": []}


class Ways:
    """The door of the session where there is one on this host, else the queue server."""

    def __init__(self, session: DoorClient, queue: QueueClient | None) -> None:
        self._session, self._queue = session, queue

    def ask(self, request: str, who: str, source: str, settings: Any, reason: str = "", refused: str = "") -> str:
        """Ask something of the exploration that goes on; see `facility.ask`."""
        way: Way = self._session if self._queue is None or self._session.there else self._queue
        return way.ask(request, who, source, settings, reason, refused)


def put_together(catalog: Path, people: People, *, queue: str = "", **options: Any) -> ASGIApp:
    """Return the application of a desk for a catalog.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog; it may come into being later.
    people : People
        Everybody who is known.
    queue : str
        Control address of the queue server; empty for none.
    **options
        ``open_watch`` of `make_app`, and fields of `Door`.
    """
    catalog.mkdir(parents=True, exist_ok=True)
    board, session = Board(), DoorClient(catalog)
    server = QueueClient(queue) if queue else None
    follower = Follower(catalog)
    desk = Desk(catalog, board, Ways(session, server), server)
    open_watch = options.pop("open_watch", True)
    board.pin("colors", colors())
    board.pin("parts", {"scalarizers": scalarizers.names, "acquisitions": acquisition_functions.names})
    feed = Feed(board, follower.take, Surroundings(board, session, desk.proposals, server).look, follower.close)
    return make_app(desk, Door(people, **options), feed, open_watch=open_watch)


def decide(catalog: Path, person: Person, proposal: str, verdict: str, reason: str = "", queue: str = "") -> str:
    """Accept or decline a proposal in a terminal; see `Desk.decide`.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog.
    person : Person
        Who decides.
    proposal : str
        Id of the proposal, whose card the person has seen.
    verdict : str
        ``"accept"`` or ``"decline"``.
    reason : str
        Reason, for the record.
    queue : str
        Control address of the queue server; empty for none.

    Raises
    ------
    Refused
        With the reason.
    """
    board, follower = Board(), Follower(catalog)
    server = QueueClient(queue) if queue else None
    desk = Desk(catalog, board, Ways(DoorClient(catalog), server), server)
    try:
        board.take(follower.take())
        digest = desk.proposals[proposal].digest
        given = {"proposal": proposal, "digest": digest, "verdict": verdict, "reason": reason}
        return desk.decide(person, TERMINAL, given)
    finally:
        follower.close()
        desk.close()


def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 8642) -> None:
    """Serve an application until Ctrl-C.

    Parameters
    ----------
    app : ASGI application
        As `put_together` returns it.
    host : str
        Address to listen on.
    port : int
        Port to listen on.
    """
    import uvicorn

    uvicorn.Server(server_settings(app, host, port)).run()


def server_settings(app: ASGIApp, host: str, port: int) -> Any:
    """Return the settings of the server: small limits, and nothing said of itself or believed of a proxy."""
    import uvicorn

    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",
        h11_max_incomplete_event_size=32_768,
        ws="websockets-sansio",
        ws_max_size=4096,
        ws_per_message_deflate=host not in LOOPBACK,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=300,
        timeout_graceful_shutdown=2,
        log_config=None,
        access_log=False,
    )
