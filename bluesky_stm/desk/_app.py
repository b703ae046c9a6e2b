"""The desk on the network: a page, what it shows over a web socket, and requests."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from bluesky_stm.desk._board import Feed
from bluesky_stm.desk._desk import Desk, strict_json
from bluesky_stm.desk._errors import Refused
from bluesky_stm.desk._guard import Door, Guard, body_of, peer_of
from bluesky_stm.desk._people import Person
from bluesky_stm.errors import STMError
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.types import ASGIApp
    from starlette.websockets import WebSocket

SHORTEST_PERIOD: Final = 0.2
"""Time, in s, between two messages to a browser, at least."""
MOST_BROWSERS: Final = 100
PATIENCE: Final = 10.0
"""Time, in s, within which a browser has to say who it is."""

SHARED: Final = (
    "tools.js", "save.js", "map.js", "chart.js", "spectra.js", "waterfall.js", "trust.js", "compare.js", "scale.js",
)  # fmt: skip
"""Scripts of the report page that the desk uses as they are."""
OWN: Final = ("form.js", "panels.js", "desk.js")
"""Scripts of the desk."""

STATE: Final = {
    "run": "run.uid", "label": "run.label", "units": "run.units",
    **{name: name for name in ("now", "log", "checks", "campaign", "proposals", "session", "queue")},
}  # fmt: skip
"""What a script is told of an exploration, and the parts of the board that say so."""

REPORT_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
"""A report draws itself with a script inside of it, so that it is kept apart from the desk, as if of another site."""


def make_app(desk: Desk, door: Door, feed: Feed, *, open_watch: bool = True) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    desk : Desk
        Takes the requests.
    door : Door
        Says who is let in.
    feed : Feed
        Feeds the board; it runs as long as the application does.
    open_watch : bool
        True where whoever reaches the desk may watch; else watching needs a token, too.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route, WebSocketRoute

    pages = _Pages(desk, door, feed, open_watch)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        feed.changed = lambda: loop.call_soon_threadsafe(pages.changed)
        feed.start()
        try:
            yield
        finally:
            await asyncio.to_thread(feed.close)
            desk.close()

    routes: list[Any] = [
        Route("/", pages.page),
        Route("/desk.js", pages.script),
        Route("/desk.css", pages.style),
        Route("/api/me", pages.me),
        Route("/api/state", pages.state),
        Route("/api/runs", pages.runs),
        Route("/api/request", pages.request, methods=["POST"]),
        Route("/api/proposal", pages.proposal, methods=["POST"]),
        Route("/report/{uid}", pages.report),
        WebSocketRoute("/live", pages.live),
    ]
    refusals: Any = {Refused: _refuse, 404: _not_found, 405: _bad_method}
    return Guard(Starlette(routes=routes, lifespan=lifespan, exception_handlers=refusals), door)


class _Pages:
    def __init__(self, desk: Desk, door: Door, feed: Feed, open_watch: bool) -> None:
        self.desk, self.door, self.feed, self.open_watch = desk, door, feed, open_watch
        self._waiting: set[asyncio.Event] = set()
        self._browsers = 0

    def changed(self) -> None:
        """Wake the browsers' tasks."""
        for event in self._waiting:
            event.set()

    # ---- what is read ------------------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        return _text(_own("desk.html"), "text/html")

    async def script(self, request: Request) -> Response:
        return _text("\n".join([*map(_shared, SHARED), *map(_own, OWN)]), "text/javascript")

    async def style(self, request: Request) -> Response:
        return _text(_shared("report.css") + _own("desk.css"), "text/css")

    async def me(self, request: Request) -> Response:
        """Say who asks, and what that person may do."""
        from starlette.responses import JSONResponse

        person = self.door.person(request)
        return JSONResponse(_about(person, self.open_watch))

    async def state(self, request: Request) -> Response:
        """Say how the exploration stands, for a script: what it waits for, and what was asked and refused."""
        self._watcher(request)
        return _text(self.desk.board.shown(STATE), "application/json")

    async def runs(self, request: Request) -> Response:
        """List the runs of the catalog, the newest first."""
        from starlette.responses import JSONResponse

        self._watcher(request)
        return JSONResponse(await asyncio.to_thread(self._listed))

    async def report(self, request: Request) -> Response:
        """Show a stored run, or one that goes on, by the report page."""
        from starlette.responses import HTMLResponse

        self._watcher(request)
        text = await asyncio.to_thread(self._report, request.path_params["uid"])
        return HTMLResponse(text, headers={"content-security-policy": REPORT_POLICY})

    def _watcher(self, request: HTTPConnection) -> None:
        if self.door.person(request) is None and not self.open_watch:
            raise Refused("no-credential", "Watching needs a token here.")

    def _listed(self) -> list[JSON]:
        from bluesky_stm.storage import listed, open_catalog

        with open_catalog(self.desk.catalog, write=False) as catalog:
            rows = listed(catalog, newest=50)
        return [{name: _plain(value) for name, value in row.items()} for row in rows[::-1]]

    def _report(self, uid: str) -> str:
        from bluesky_stm.storage import open_catalog
        from bluesky_stm.views import RunRecord, page

        if not re.fullmatch(r"[0-9a-f-]{8,40}", uid):
            raise Refused("not-found", "There is no such run.")
        try:
            with open_catalog(self.desk.catalog, write=False) as catalog:
                run = catalog[uid]
                record = RunRecord.of(run.documents())
                record.faults = run.faults
                return page([record])
        except STMError as error:
            raise Refused("not-found", str(error)) from None

    # ---- what goes on ------------------------------------------------------------------------------------------------

    async def live(self, socket: WebSocket) -> None:
        """Send the board, and then what changes of it; of what a browser is too slow for, only the last is sent."""
        from starlette.websockets import WebSocketDisconnect

        if self._browsers >= MOST_BROWSERS:
            await socket.close(1013, "too-many")
            return
        await socket.accept()
        self._browsers += 1
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            await self._introduced(socket)
            sending, gone = (asyncio.create_task(one) for one in (self._send(socket, event), _until_gone(socket)))
            try:
                await asyncio.wait([sending, gone], return_when=asyncio.FIRST_COMPLETED)
            finally:  # of a browser that has gone nothing is left
                for one in (sending, gone):
                    one.cancel()
                await asyncio.gather(sending, gone, return_exceptions=True)
        except Refused as refused:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(1008, refused.code)
        except (WebSocketDisconnect, TimeoutError):
            pass
        finally:
            self._browsers -= 1
            self._waiting.discard(event)

    async def _introduced(self, socket: WebSocket) -> None:
        """Let a browser say who it is: a web socket of a browser has no header for that."""
        async with asyncio.timeout(PATIENCE):
            text = await socket.receive_text()
        if len(text) > 1000:
            raise Refused("too-large", "That is too long for a token.")
        token = strict_json(text.encode())
        if not isinstance(token, str):
            raise Refused("bad-request", "A token was expected.")
        if self.open_watch or self.door.person(socket) is not None:
            return
        peer = peer_of(socket)
        if not self.door.failures.passes(peer, spend=False):
            raise Refused("too-many", "Too many credentials that nobody has came from this address.")
        try:
            self.door.people.by_token(token)
        except Refused:
            self.door.failures.passes(peer)
            raise

    async def _send(self, socket: WebSocket, event: asyncio.Event) -> None:
        change = 0
        while True:
            event.clear()
            change, text = self.desk.board.since(change)
            if text:
                await socket.send_text(text)
                await asyncio.sleep(SHORTEST_PERIOD)
            await event.wait()

    # ---- what is asked -----------------------------------------------------------------------------------------------

    async def request(self, request: Request) -> Response:
        """Take a request of a person."""
        return await self._noted(request, self.desk.request)

    async def proposal(self, request: Request) -> Response:
        """Let a person decide on a proposal."""
        answer = await self._noted(request, self.desk.decide)
        self.feed.board.pin("proposals", self.desk.proposals.shown())
        self.changed()
        return answer

    async def _noted(self, request: Request, do: Callable[[Person, str, Any], str]) -> Response:
        """Let a person do something, and note what became of it, in the documents too where it was refused."""
        from starlette.responses import JSONResponse

        person, given, peer = None, None, peer_of(request)
        try:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise Refused("bad-request", "A request is application/json. Nothing was asked.")
            given = strict_json(await body_of(request.stream()))
            person = self.door.asking(request, str(given.get("request")) if isinstance(given, dict) else "")
            said = await asyncio.to_thread(do, person, peer, given)
        except Refused as refused:
            self.desk.note(person.name if person else "", peer, given, refused.code, refused.said)
            if person is not None:
                await asyncio.to_thread(self.desk.note_refusal, person, peer, given, refused)
            raise
        self.desk.note(person.name, peer, given, "", said)
        return JSONResponse({"ok": True, "code": "", "said": said})


def _about(person: Person | None, open_watch: bool) -> JSON:
    from bluesky_stm.desk._people import MAY

    if person is None:
        return {"name": "", "role": "watch" if open_watch else "", "may": []}
    return {"name": person.name, "role": person.role, "may": sorted(MAY[person.role])}


async def _until_gone(socket: WebSocket) -> None:
    from starlette.websockets import WebSocketDisconnect

    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()


async def _refuse(request: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse

    assert isinstance(error, Refused)
    return JSONResponse({"ok": False, "code": error.code, "said": error.said}, error.status)


async def _not_found(request: Request, error: Exception) -> Response:
    return await _refuse(request, Refused("not-found", "There is no such page."))


async def _bad_method(request: Request, error: Exception) -> Response:
    return await _refuse(request, Refused("bad-method", "This page does not take such a request."))


def _own(name: str) -> str:
    return files("bluesky_stm.desk").joinpath("page", name).read_text(encoding="utf-8")


def _shared(name: str) -> str:
    return files("bluesky_stm.views").joinpath("page", name).read_text(encoding="utf-8")


def _text(content: str, kind: str) -> Response:
    from starlette.responses import Response

    return Response(content, media_type=f"{kind}; charset=utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | bool | None):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return str(value)
