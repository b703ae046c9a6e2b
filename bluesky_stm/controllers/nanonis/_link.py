"""One connection to a Nanonis controller: the vendor's client over a socket that keeps a deadline.

The client sends the requests. Its answers are decoded by `_wire`, because it ignores the status word, guesses where the text
of an error stands and takes a torn body for a whole one. The socket that it is given hides what else is wrong with it.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from bluesky_stm.controllers.nanonis._socket import GuardedSocket
from bluesky_stm.controllers.nanonis_wire._commands import COMMANDS, RELEASE, only_reads, types_of
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError, ProtocolError, ReadOnlyError, words_of
from bluesky_stm.controllers.nanonis_wire._wire import Header, client_types, decode_answer, encode
from bluesky_stm.errors import LostConnectionError, STMError

log = logging.getLogger("bluesky_stm.nanonis")

LATE: Final = 1.0
"""Time in s after which the answer to a question is late: a round trip takes a few ms."""

FIRST_PAUSE: Final = 0.05
"""Wait before the second attempt to connect, in s; it doubles with each further one."""

Announce = Callable[[str], None]


class Link:
    """A connection that says when it is lost, and connects again when it is asked next.

    Parameters
    ----------
    host : str
    ports : sequence of int
        Tried in this order; a port that another client holds does not answer.
    timeout : float
        Longest time for an answer, in s, where a command does not say more; and for a connection to come about.
    read_only : bool
        Hold back every command that changes something.
    announce : callable, optional
        Told of every such command before it is sent.

    Attributes
    ----------
    on_connect : callable
        Called with the link after it connected, before anything else is sent: reads the state.
    release : int
        Host release, which says what the answers look like.
    losses : int
        How often the connection was lost or hung up.
    sent : int
        How many commands other than questions were sent.
    """

    def __init__(
        self,
        host: str,
        ports: Sequence[int],
        timeout: float,
        *,
        read_only: bool = False,
        announce: Announce | None = None,
    ) -> None:
        self.host, self.ports, self.timeout, self.read_only = host, tuple(ports), timeout, read_only
        self._announce = announce
        self.on_connect: Callable[[Link], object] = bool
        self.release, self.losses, self.sent = RELEASE, 0, 0
        self._lock = threading.RLock()
        self._socket: GuardedSocket | None = None
        self._client: Any = None
        self._closed = self._late = False

    @property
    def connected(self) -> bool:
        """True when the connection stood at its last use."""
        return self._socket is not None

    def ask(self, command: str, *values: object, timeout: float | None = None) -> list[Any]:
        """Send a command and wait for its answer; one at a time.

        Parameters
        ----------
        command : str
            Name of the command.
        *values
            Arguments of the request, in SI.
        timeout : float, optional
            Longest time for this answer, in s.

        Raises
        ------
        ReadOnlyError
            The command changes something, and the link is read-only. Nothing was sent.
        NanonisError
            The controller refused it.
        LostConnectionError
            There was no answer in time, or none that makes sense. Whether the command was done is not known.
        """
        types = types_of(command, self.release)
        declared = encode(types.request, values)
        if not only_reads(command):
            self._permit(command, values)
            self.sent += 1
        with self._lock:
            connection, asked = self._connected(), time.monotonic()
            body = self._exchange(connection, command, values, declared, timeout or self.timeout)
            if command.endswith("Get") and (took := time.monotonic() - asked) > LATE:
                self._say_late(command, took)
            try:
                answer, error = decode_answer(types.answer, body)
                _check_numbers(command, answer, error)
            except ProtocolError:
                self.drop()
                raise
        if error:
            raise NanonisError(f"{command} was refused by the Nanonis controller: {words_of(command, error)}")
        return answer

    def _say_late(self, command: str, took: float) -> None:
        """Warn of an answer that was late, once a connection: the run goes on, and each spectrum takes longer."""
        if not self._late:
            log.warning(
                "%s was answered by %s after %.1f s: look at the network and at the load of both computers.",
                command,
                self.host,
                took,
            )
        self._late = True

    def connect(self) -> None:
        """Connect, if it is not connected, and let ``on_connect`` read the state.

        Raises
        ------
        LostConnectionError
            When none of the ports answers within the time-out, or when the link was closed for good.
        """
        with self._lock:
            self._connected()

    def drop(self) -> None:
        """Hang up; the next command connects again.

        After an answer that came late or made no sense this is the only way to get back into step.
        """
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self.losses += 1
            self._socket = self._client = None

    def close(self) -> None:
        """Hang up for good."""
        self._closed = True
        self.drop()

    def _permit(self, command: str, values: Sequence[object]) -> None:
        if self.read_only:
            raise ReadOnlyError(
                f"{command} would change something, and this connection is read-only. Nothing was sent. "
                "Connect without read_only."
            )
        if self._announce:
            self._announce(f"{command} {' '.join(f'{value!s:.60}' for value in values)}".strip())

    def _exchange(
        self, connection: GuardedSocket, command: str, values: Sequence[object], declared: bytes, timeout: float
    ) -> bytes:
        """Let the vendor's client send a request, and return the body of the answer.

        Parameters
        ----------
        connection : GuardedSocket
            The socket of the client.
        command : str
            Name of the command.
        values : sequence
            Arguments of the request, in SI.
        declared : bytes
            The same, encoded by `COMMANDS`: the client has to send exactly these.
        timeout : float
            Longest time for the answer, in s.
        """
        types = client_types(COMMANDS[command].request)
        fresh = [list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value for value in values]
        connection.deadline = time.monotonic() + timeout
        connection.declared = Header(command, len(declared), wants_answer=True).pack() + declared
        try:
            return bytes(self._client.send(command, fresh, types))
        except STMError:
            self.drop()
            raise
        except OSError as error:
            self.drop()
            raise LostConnectionError(
                f"{command} had no answer from {self.host}:{connection.port} within {timeout:g} s "
                f"({error or type(error).__name__}). Whether it was done is not known. The connection was closed; "
                "the next command connects again."
            ) from error
        except BaseException:  # Ctrl-C in the middle of an answer: the rest of it would be taken for the next one
            self.drop()
            raise

    def _connected(self) -> GuardedSocket:
        if self._closed:
            raise LostConnectionError("This connection was closed for good. Nothing was sent. Make a new controller.")
        if self._socket is None:
            self._connect()
            try:
                self.on_connect(self)
            except BaseException:
                self.drop()
                raise
        assert self._socket is not None
        return self._socket

    def _connect(self) -> None:
        """Try the ports in turn, with longer and longer pauses, until one of them answers or the time is over."""
        end, pause, faults = time.monotonic() + self.timeout, FIRST_PAUSE, dict[int, str]()
        while True:
            for port in self.ports:
                try:
                    return self._open(port, min(1.0, self.timeout))
                except (OSError, NanonisError) as error:
                    faults[port] = str(error) or type(error).__name__
                    self.drop()
            if time.monotonic() + pause > end:
                break
            time.sleep(pause)
            pause *= 2
        told = "; ".join(f"port {port}: {fault}" for port, fault in faults.items())
        raise LostConnectionError(
            f"No Nanonis controller answers at {self.host} ({told}). Nothing was sent; where the tip stands is not known: look "
            "at it if a run was under way. Start the software, look at the TCP programming interface in its options, and who "
            "else holds these ports."
        )

    def _open(self, port: int, patience: float) -> None:
        client = _client_class()
        self._socket = GuardedSocket(socket.create_connection((self.host, port), patience), self.read_only)
        self._client = client(self._socket)
        self._exchange(self._socket, "Util.VersionGet", [], b"", patience)


def _client_class() -> Any:
    try:
        from nanonis_spm import Nanonis
    except ImportError as error:
        raise STMError(
            f"The vendor's client is not installed ({error}). Nothing was sent. Install it: pip install 'bluesky-stm[nanonis]'."
        ) from error
    return Nanonis


def _check_numbers(command: str, answer: Sequence[object], error: str) -> None:
    """A number that is none is not taken for a value; in a matrix it stands for what was not measured."""
    if not error and any(isinstance(value, float) and not np.isfinite(value) for value in answer):
        raise ProtocolError(
            f"{command} was answered with {list(answer)}: not a number. It was not used; the connection was closed."
        )
