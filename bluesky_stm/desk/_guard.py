"""What stands before the pages of the desk: hosts, sites, sizes and rates; nothing that fails here reaches anything behind."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bluesky_stm.desk._errors import Refused
from bluesky_stm.desk._people import People, Person, Rate

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 16_384
LARGEST_HEADERS: Final = 16_384
LONGEST_PATH: Final = 200
"""Sizes, in bytes, beyond which nobody listens."""

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")

SECURE: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Headers of every answer; one that has such a header already keeps its own."""

_PATH: Final = re.compile(r"^/(?:[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)?$")


@dataclass
class Door:
    """Who is let in, and from where.

    Attributes
    ----------
    people : People
        Everybody who is known.
    hosts : tuple of str
        Names, without port, under which the desk is reached; a request for another one is refused.
    user_header : str
        Header in which a proxy names its user; empty where there is no proxy, and such a header counts for nothing.
    proxies : tuple of str
        Addresses from which that header is believed.
    """

    people: People
    hosts: tuple[str, ...] = LOOPBACK
    user_header: str = ""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    writes: Rate = field(default_factory=lambda: Rate(2.0, 20))
    failures: Rate = field(default_factory=lambda: Rate(0.2, 10))

    def check(self, request: HTTPConnection) -> None:
        """Refuse what comes for another host, from another site, or in an odd form.

        Raises
        ------
        Refused
            With the reason.
        """
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        path = raw.decode("latin-1").partition("?")[0]
        if len(raw) > LONGEST_PATH or not _PATH.match(path) or any(part in {".", ".."} for part in path.split("/")):
            raise Refused("not-found", "There is no such page.")
        if request.scope.get("query_string"):
            raise Refused("bad-request", "The desk takes nothing behind a question mark, a token least of all.")
        headers = request.scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > LARGEST_HEADERS:
            raise Refused("too-large", "The headers are too long.")
        names = [name.lower() for name, _ in headers]
        once = {b"host", b"origin", b"authorization", b"content-length", b"content-type", self.user_header.lower().encode()}
        if any(names.count(name) > 1 for name in once):
            raise Refused("bad-request", "A header that counts stands twice.")
        host = request.headers.get("host", "")
        name = re.sub(r":\d+$", "", host).lower()
        if name not in self.hosts:
            raise Refused("wrong-host", "The desk does not go by this name. Start it with --host-name, if that is its name.")
        self._check_site(request, host)

    def _check_site(self, request: HTTPConnection, host: str) -> None:
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        writes = request.scope["type"] == "websocket" or request.scope.get("method") not in {"GET", "HEAD"}
        if not writes:
            return
        if origin is not None and re.sub(r"^https?://", "", origin).lower() != host.lower():
            raise Refused("cross-site", "This was asked by the page of another site. Nothing was asked of the microscope.")
        if site is not None and site not in {"same-origin", "none"}:
            raise Refused("cross-site", "This was asked by the page of another site. Nothing was asked of the microscope.")
        if self.user_header and origin is None:
            raise Refused("cross-site", "Behind a proxy a request has to say from which page it comes (Origin).")

    def person(self, request: HTTPConnection) -> Person | None:
        """Return who asks; None for somebody without a credential.

        Raises
        ------
        Refused
            For a credential that nobody has, and after too many of them.
        """
        given, peer = request.headers.get("authorization"), peer_of(request)
        if given is None and not (self.user_header and request.headers.get(self.user_header)):
            return None
        if not self.failures.passes(peer, spend=False):
            raise Refused("too-many", "Too many credentials that nobody has came from this address. Wait a minute.")
        try:
            if given is None:
                if peer not in self.proxies:
                    raise Refused("bad-credential", "Only the proxy of the facility may say who its user is.")
                return self.people.by_user(request.headers[self.user_header])
            scheme, _, token = given.partition(" ")
            if scheme.lower() != "bearer":
                raise Refused("bad-credential", "A credential is a token: Authorization: Bearer TOKEN.")
            return self.people.by_token(token.strip())
        except Refused:
            self.failures.passes(peer)
            raise

    def asking(self, request: HTTPConnection, act: str) -> Person:
        """Return who asks for something, when that is not asked too often.

        A withdrawal and a pause are never too often.

        Raises
        ------
        Refused
            With the reason.
        """
        person = self.person(request)
        if person is None:
            raise Refused(
                "no-credential", "Nothing is asked without a token. Give yours on the page, or as Authorization: Bearer."
            )
        if not self.writes.passes(person.credential) and act not in {"withdraw", "pause"}:
            raise Refused("too-many", "That was asked too often. Nothing was asked. Wait some seconds.")
        return person


def peer_of(request: HTTPConnection) -> str:
    """Return the address from which a request comes."""
    client = request.scope.get("client")
    return str(client[0]) if client else "a socket"


async def body_of(pieces: AsyncIterable[bytes]) -> bytes:
    """Return the body of a request, as long as it is not too long.

    Raises
    ------
    Refused
        Before more of it is read.
    """
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > LARGEST_BODY:
            raise Refused("too-large", f"A request has at most {LARGEST_BODY} bytes. Nothing was asked.")
    return body


class Guard:
    """Refuses in front of an application what does not belong there, and gives each answer its headers.

    Parameters
    ----------
    app : ASGI application
        What stands behind.
    door : Door
        Who is let in.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        from starlette.requests import HTTPConnection

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in SECURE.items() if k.encode() not in there]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        try:
            self._door.check(HTTPConnection(scope))
        except Refused as refused:
            await answer_of(refused)(scope, receive, send if scope["type"] == "websocket" else with_headers)
            return
        await self._app(scope, receive, with_headers)


def answer_of(refused: Refused) -> ASGIApp:
    """Return the answer that says a refusal, to HTTP as JSON, to a web socket by closing it."""
    from starlette.responses import JSONResponse

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused.code})
            return
        content = {"ok": False, "code": refused.code, "said": refused.said}
        await JSONResponse(content, refused.status)(scope, receive, send)

    return answer
