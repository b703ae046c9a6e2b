"""The simulated server: four ports, one client each, and the frame and error rules of the protocol to the byte.

A further port is that of the TCP logger, which only sends.
"""

from __future__ import annotations

import logging
import socket
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bluesky_stm.controllers.nanonis_server._faults import CONNECT, PIECE, Fault, FaultKind, Faults, pieces, punched
from bluesky_stm.controllers.nanonis_server._further import answered_types
from bluesky_stm.controllers.nanonis_server._software import Software
from bluesky_stm.controllers.nanonis_wire._commands import PORTS, RELEASE, only_reads
from bluesky_stm.controllers.nanonis_wire._errors import ProtocolError, refusal
from bluesky_stm.controllers.nanonis_wire._wire import (
    HEADER,
    LONGEST_REQUEST,
    Header,
    decode,
    defaults,
    encode_answer,
)
from bluesky_stm.errors import SettingsError, STMError
from bluesky_stm.protocols import Controller

log = logging.getLogger("bluesky_stm.nanonis")

POLL: Final = 0.02
"""How often a port that nobody calls looks whether it is to close, in s."""


class NanonisServer:
    """Speaks the Nanonis TCP protocol for any microscope; a context manager, open between `start` and `close`.

    Parameters
    ----------
    controller : Controller
        The microscope behind it; it stays the caller's to close.
    ports : sequence of int
        0 for any that is free; `ports` then says which.
    host : str
        Loopback. Another address is refused unless ``anywhere``: there is no password, and who connects moves the tip.
    folder : path, optional
        Session path, where images and spectra are saved; a temporary one if not given.
    release : int
        Host release that it claims.
    speed : float
        Number of times by which its own delays (switch-off delay, acquisition period) pass faster than they say. Those of the
        microscope behind it are those of its clock.
    log_port : int, optional
        Port of the TCP logger, 6590 in the vendor's software, 0 for any that is free; without one there is no such logger.

    Examples
    --------
    >>> with NanonisServer(SimulatedController(seed=1), ports=(0, 0)) as server:  # doctest: +SKIP
    ...     controller = NanonisController(ports=server.ports)
    """

    def __init__(
        self,
        controller: Controller,
        ports: Sequence[int] = PORTS,
        *,
        host: str = "127.0.0.1",
        anywhere: bool = False,
        folder: str | Path | None = None,
        release: int = RELEASE,
        speed: float = 1.0,
        log_port: int | None = None,
    ) -> None:
        if not (anywhere or _is_loopback(host)):
            raise SettingsError(
                f"{host!r} is not a loopback address: everybody who reaches it could move the tip. Nothing listens. "
                "Allow it explicitly if that is meant."
            )
        self.host, self.faults = host, Faults()
        self.software = Software(controller, release, speed)
        self._folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._asked, self._asked_log = tuple(ports), log_port
        self._log_listener: socket.socket | None = None
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports that it listens on."""
        return tuple(listener.getsockname()[1] for listener in self._listeners)

    @property
    def log_port(self) -> int | None:
        """Port of the TCP logger; None where there is none."""
        return self._log_listener.getsockname()[1] if self._log_listener else None

    @property
    def folder(self) -> Path:
        """Session path."""
        return self.software.util.folder

    def start(self) -> Self:
        """Listen on all ports, make the session path, and let Safe Tip watch.

        Returns
        -------
        NanonisServer
            This server, for ``with``.

        Raises
        ------
        OSError
            When a port is taken.
        """
        folder = self._folder
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="nanonis-sim-")
            folder = self._temporary.name
        self.software.util.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        for port in self._asked:
            listener = socket.create_server((self.host, port), backlog=1)
            listener.settimeout(POLL)
            self._listeners.append(listener)
        self._threads = [
            threading.Thread(target=self._serve, args=[listener], name=f"nanonis-sim-{port}", daemon=True)
            for listener, port in zip(self._listeners, self.ports, strict=True)
        ]
        if self._asked_log is not None:
            self._log_listener = socket.create_server((self.host, self._asked_log), backlog=1)
            self._log_listener.settimeout(POLL)
            self.software.logger.there = True
            self._threads.append(
                threading.Thread(target=self._log, args=[self._log_listener], name="nanonis-sim-log", daemon=True)
            )
        for thread in self._threads:
            thread.start()
        self.software.safe_tip.start()
        return self

    def close(self) -> None:
        """End what is under way, hang up, and stop listening. It may be called repeatedly.

        A temporary session path is removed with what was saved in it.
        """
        self.software.closing.set()
        with self._lock:
            for connection in self._connections:
                _hang_up(connection)
        self.software.close()
        for thread in self._threads:
            thread.join()
        for listener in (*self._listeners, *([self._log_listener] if self._log_listener else [])):
            listener.close()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def drop_connections(self) -> None:
        """Hang up on everybody, as when a cable is pulled."""
        with self._lock:
            for connection in self._connections:
                _hang_up(connection)

    # ---- one port ----

    def _serve(self, listener: socket.socket) -> None:
        while not self.software.closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            with self._lock:
                self._connections.add(connection)
            try:
                if not self.faults.take(CONNECT):
                    self._talk(connection)
            except OSError:
                pass  # the other side has hung up
            except Exception:  # a fault of this simulation: it is told, and the port stays open
                log.exception("The simulated Nanonis server failed; the connection was closed.")
            finally:
                with self._lock:
                    self._connections.discard(connection)
                connection.close()

    def _log(self, listener: socket.socket) -> None:
        """Send what the TCP logger logs to one listener after the other."""
        logger = self.software.logger
        while not self.software.closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            with self._lock:
                self._connections.add(connection)
            logger.connected = True
            try:
                connection.settimeout(None)
                while not (self.software.closing.is_set() or _has_hung_up(connection)):
                    if logger.running:
                        connection.sendall(logger.frame())
                    self.software.pause(logger.period)
            except OSError:
                pass  # the other side has hung up
            finally:
                logger.connected = False
                with self._lock:
                    self._connections.discard(connection)
                connection.close()

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self.software.closing.is_set():
            head = _receive(connection, HEADER.size)
            if head is None:
                return
            try:
                request = Header.unpack(head, LONGEST_REQUEST)
            except ProtocolError as wrong:
                said = encode_answer("", [], str(wrong))
                connection.sendall(HEADER.pack(head[:32], len(said), 0, 0) + said)
                return
            body = _receive(connection, request.length)
            if body is None:
                return
            fault = self.faults.take(request.command)
            if fault and fault.kind is FaultKind.REFUSE:
                return
            answer = self._answer(request.command, body, fault)
            if request.wants_answer and not self._send(connection, request.command, answer, fault):
                return

    def _answer(self, command: str, body: bytes, fault: Fault | None) -> bytes:
        """Return the body of the answer to a request; an unknown command gets an error section only.

        Parameters
        ----------
        command : str
            Name of the command.
        body : bytes
            Body of the request.
        fault : Fault or None
            What goes wrong with it.
        """
        types = answered_types(command, self.software.release)
        if types is None:
            return encode_answer("", [], refusal(command, "it is not a command that this simulation knows."))
        try:
            values = decode(types.request, body)
            error = self._strike(fault)
        except ProtocolError as wrong:
            values, error = [], str(wrong)
        idle = error or (fault and fault.kind in {FaultKind.IGNORE, FaultKind.OPEN} and not only_reads(command))
        done, text = (defaults(types.answer), error) if idle else self.software.answer(command, values)
        if fault and fault.kind is FaultKind.HOLES:
            done = [punched(value) for value in done]
        text = refusal(command, text) if text else ""
        try:
            return encode_answer(types.answer, done, text)
        except STMError as wrong:
            return encode_answer(types.answer, defaults(types.answer), refusal(command, str(wrong)))

    def _strike(self, fault: Fault | None) -> str:
        """Let a fault of the microscope happen, and return the text with which the command is refused, empty if it is not.

        Parameters
        ----------
        fault : Fault or None
            What goes wrong; a fault on the wire does nothing here.
        """
        if fault is None:
            return ""
        if fault.kind is FaultKind.CRASH:
            self.software.safe_tip.retract()
            return "The tip touched the surface. Safe Tip has withdrawn it."
        if fault.kind is FaultKind.OPEN:
            self.software.controller.set_feedback(False)
        if fault.kind is FaultKind.HOLD:
            self.software.z.hold()
        if fault.kind is FaultKind.WITHDRAW:
            self.software.z.withdraw()
        if fault.kind is FaultKind.OVERCURRENT:
            self.software.safe_tip.overload_now()
        return "This command was made to fail." if fault.kind is FaultKind.ERROR else ""

    def _send(self, connection: socket.socket, command: str, body: bytes, fault: Fault | None) -> bool:
        """Send an answer, as badly as the fault wants it, and return True when the connection stays open.

        Parameters
        ----------
        connection : socket
            To the client.
        command : str
            Name of the command that is answered.
        body : bytes
            Body of the right answer.
        fault : Fault or None
            What goes wrong on the wire.
        """
        if fault and fault.kind is FaultKind.DELAY:
            self.software.closing.wait(fault.seconds)
        for piece in pieces(command, body, fault.kind if fault else None):
            connection.sendall(piece)
            if fault:
                self.software.closing.wait(PIECE)
        return not (fault and fault.kind is FaultKind.DROP)


def _receive(connection: socket.socket, length: int) -> bytes | None:
    """Exactly ``length`` bytes, or None when the other side hung up."""
    parts: list[bytes] = []
    while length:
        part = connection.recv(min(length, 65536))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _has_hung_up(connection: socket.socket) -> bool:
    """True where whoever listened to a port that only sends is gone."""
    connection.settimeout(0.0)
    try:
        return connection.recv(4096) == b""
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(None)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
