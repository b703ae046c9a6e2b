"""A desk to be measured: in a thread or a process of its own, with people who may do everything, and a line that can be cut."""

import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from bluesky_stm.desk._serve import server_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "system"))

SCALE = {"name": "small", "frame": 20, "pixels": 32, "patch": 2, "step": 1, "budget": 200, "seeds": 4, "agent": "gp-xy"}


class Server:
    """An application behind uvicorn, in a thread."""

    def __init__(self, app):
        self._server = uvicorn.Server(server_settings(app, "127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def close(self):
        self._server.should_exit = True
        self._thread.join(20)


@contextmanager
def desk_process(folder, catalog, port, people=None):
    """A desk in a process of its own, which listens when this begins; gives the process.

    One that dies before it listens is an error with what it said.
    """
    command = [Path(sys.executable).parent / "bluesky-stm", "desk", "--catalog", catalog, "--port", port]
    if people:
        command += ["--people", people]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([str(part) for part in command], stdout=said, stderr=subprocess.STDOUT, cwd=folder)
        try:
            wait_for(lambda: process.poll() is not None or answers(port))
            if process.poll() is not None:
                said.seek(0)
                raise RuntimeError(f"the desk ended with {process.returncode}: {said.read().decode(errors='replace')}")
            yield process
        finally:
            process.kill()
            process.wait()


def answers(port):
    """True where somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, seconds=900):
    """Look again and again until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not in {seconds} s")
        time.sleep(0.02)


class Line:
    """A line to a port of this host that can be cut: who talks over it is reset, and nobody gets through till it is mended."""

    def __init__(self, port):
        self._to, self.whole, self._pairs = port, True, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def cut(self):
        """Reset everybody."""
        self.whole = False
        pairs, self._pairs = self._pairs, []
        for one in (one for pair in pairs for one in pair):
            _reset(one)

    def mend(self):
        """Let everybody through."""
        self.whole = True

    def _listen(self):
        while True:
            near, _ = self._listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._to)) if self.whole else None
            except OSError:
                far = None
            if far is None:
                _reset(near)
                continue
            self._pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _reset(wire):
    with suppress(OSError):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        wire.shutdown(socket.SHUT_RDWR)
    wire.close()


def _pump(one, other):
    with suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
    for wire in (one, other):
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
