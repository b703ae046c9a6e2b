"""A desk on a loopback port over a catalog that a recorder writes, asked by plain sockets as anybody may ask it."""

import http.client
import json
import threading

import pytest
import uvicorn

from bluesky_stm.desk import People, new_person, put_together
from bluesky_stm.desk._serve import server_settings
from bluesky_stm.errors import SettingsError


class Served:
    """An application behind uvicorn, in a thread."""

    def __init__(self, app):
        self.server = uvicorn.Server(server_settings(app, "127.0.0.1", 0))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the server has ended"
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)

    def ask(self, method, path, body=None, token="", **headers):
        """Status and content of an answer; what is given as content is sent as JSON, bytes as they are."""
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            said["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            said.setdefault("Content-Type", "application/json")
        try:
            wire.request(method, path, body, said)
            answer = wire.getresponse()
            content = answer.read()
        finally:
            wire.close()
        kind = answer.headers.get("content-type", "")
        return answer.status, json.loads(content) if "json" in kind else content, answer.headers


@pytest.fixture
def served():
    """``served(app)``: an application behind a server, closed at the end."""
    made = []

    def serve(app):
        made.append(Served(app))
        return made[-1]

    yield serve
    for one in made:
        one.close()


class Session:
    """What a session's door does, written down."""

    def __init__(self):
        self.asked, self.refused, self.refuse = [], [], ""

    def ask(self, request, who, source, settings, reason="", refused=""):
        if refused:
            self.refused.append((request, who, refused))
            return ""
        if self.refuse:
            raise SettingsError(self.refuse)
        if settings.get("point") == [5000, 0]:
            raise SettingsError("outside of the limits")
        self.asked.append((request, who, source, settings, reason))
        return f"{who} asks: {request}"


@pytest.fixture
def session():
    return Session()


@pytest.fixture(scope="module")
def tokens():
    return {role: new_person(role.title(), role) for role in ("watch", "propose", "steer", "operate")}


@pytest.fixture
def serve(tmp_path, tokens, session, served, monkeypatch):
    """``serve(**options)``: a desk, closed at the end."""
    monkeypatch.setattr("bluesky_stm.desk._serve.Ways.ask", lambda self, *args, **kwargs: session.ask(*args, **kwargs))
    monkeypatch.setattr("bluesky_stm.desk._serve.DoorClient.state", lambda self: {"engine": "running", "fault": ""})

    def make(people=None, **options):
        known = People(tuple(person for person, _ in tokens.values())) if people is None else people
        return served(put_together(tmp_path / "catalog", known, **options))

    return make


@pytest.fixture
def desk(serve):
    return serve()
