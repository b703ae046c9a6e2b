"""A simulated Nanonis server with a simulated microscope behind it, on ports that are free."""

import contextlib
import io
import socket
import threading

import numpy as np
import pytest

from bluesky_stm import units
from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import NanonisServer

NO_CLIENT = "the vendor's client is not installed: pip install 'bluesky-stm[nanonis]'"


@pytest.fixture
def microscope():
    return SimulatedController(seed=3)


@pytest.fixture
def server(microscope):
    """Publishes its signals every millisecond, so that nobody waits for the newest."""
    with NanonisServer(microscope, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        yield server
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("nanonis-sim")]


@pytest.fixture
def ask(server):
    """``ask(command, *values)``: what the software answers; a refusal fails."""

    def ask(command, *values):
        answer, error = server.software.answer(command, list(values))
        assert not error, error
        return answer

    return ask


@pytest.fixture
def refused(server):
    """``refused(command, *values)``: the words with which the software refuses."""

    def refused(command, *values):
        _, error = server.software.answer(command, list(values))
        assert error, f"{command} was not refused"
        return error

    return refused


@pytest.fixture
def connect(server):
    """``connect(**options)``: a controller at the server, closed afterwards; patient, for the machine may be busy."""
    pytest.importorskip("nanonis_spm", reason=NO_CLIENT)
    made = []

    def connect(**options):
        made.append(NanonisController(ports=server.ports, **{"timeout": 10.0, **options}))
        return made[-1]

    yield connect
    for controller in made:
        server.faults.clear()
        controller.close()


@pytest.fixture
def controller(connect):
    return connect()


@pytest.fixture
def heard(server, monkeypatch):
    """Commands in the order in which the server did them."""
    commands, answer = [], server.software.answer
    monkeypatch.setattr(server.software, "answer", lambda command, values: commands.append(command) or answer(command, values))
    return commands


@pytest.fixture
def impatient(controller):
    """The controller waits only a second for what never happens, but as long as before for an answer."""
    controller._links.timeout = 1.0


class Client:
    """The vendor's client, its answers made plain; what it prints is read for errors."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.client = pytest.importorskip("nanonis_spm", reason=NO_CLIENT).Nanonis(self.socket)

    def __getattr__(self, command):
        method = getattr(self.client, command)
        return lambda *args: self.plain(method, *args)

    def quick(self, command, body=(), types=(), answer=()):
        return self.plain(self.client.quickSend, command, list(body), list(types), list(answer))

    @staticmethod
    def plain(method, *args):
        with contextlib.redirect_stdout(io.StringIO()):
            error, _, values = method(*args)
        if error:
            raise RuntimeError(error)
        return [
            [item[0] if isinstance(item, tuple) else item for item in value] if isinstance(value, list) else value
            for value in values
        ]


@pytest.fixture
def dial():
    """``dial(port)``: the vendor's client at a port, hung up afterwards."""
    made = []
    yield lambda port: made.append(Client(port)) or made[-1]
    for client in made:
        client.client.close()


@pytest.fixture
def clients(server, dial):
    return [dial(port) for port in server.ports[:2]]


@pytest.fixture
def client(clients):
    return clients[0]


@pytest.fixture
def slow(dial):
    """A server whose acts take the time they take, and two clients."""
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0, 0)) as server:
        yield server, *map(dial, server.ports)


@pytest.fixture
def sent():
    """``sent(values, unit)``: what float32 in SI carries of values in one of our units."""
    return lambda values, unit="nm": np.float32(units.to_si(values, unit)).astype(float)


@pytest.fixture
def received(sent):
    """``received(value, unit)``: the same, in our unit again."""
    return lambda value, unit="nm": float(units.from_si(sent(value, unit), unit))


class Impostor:
    """Listens on two ports and answers every request with whatever ``answer(command, body)`` gives; None: nothing."""

    def __init__(self, answer):
        self.answer, self.closing = answer, threading.Event()
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.ports = [listener.getsockname()[1] for listener in self.listeners]
        self.threads = [threading.Thread(target=self.serve, args=[listener], daemon=True) for listener in self.listeners]
        for thread in self.threads:
            thread.start()

    def serve(self, listener):
        listener.settimeout(0.05)
        while not self.closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            connection.settimeout(0.05)
            with connection:
                self.talk(connection)

    def talk(self, connection):
        received = b""
        while not self.closing.is_set():
            try:
                part = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not part:
                return
            received += part
            if len(received) < 40 + int.from_bytes(received[32:36], "big"):
                continue
            try:
                for piece in self.answer(received[:32], received[40:]):
                    connection.sendall(piece)
            except OSError:
                return
            received = b""

    def close(self):
        self.closing.set()
        for thread in self.threads:
            thread.join()
        for listener in self.listeners:
            listener.close()


@pytest.fixture
def impostor():
    """``impostor(answer)``: a server that talks nonsense."""
    made = []
    yield lambda answer: made.append(Impostor(answer)) or made[-1]
    for one in made:
        one.close()
