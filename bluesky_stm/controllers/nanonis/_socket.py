"""The socket that the vendor's client is given: it keeps a deadline, takes whole messages, lets out no write where none may.

The client itself would set the time-out to 1000 s after each command, spin on a connection that was closed, send only part of
a long message, and go on with the answer to another command.
"""

from __future__ import annotations

import socket
import time

from bluesky_stm.controllers.nanonis_wire._commands import only_reads
from bluesky_stm.controllers.nanonis_wire._errors import ProtocolError, ReadOnlyError
from bluesky_stm.controllers.nanonis_wire._wire import HEADER, LONGEST_ANSWER, Header


class GuardedSocket:
    """A socket for the vendor's client, which guards it against what that client leaves out.

    ``send`` sends all, ``recv`` answers with all that was asked for or raises, both before ``deadline`` (of `time.monotonic`).
    What is sent has to be what stands in ``declared``, header and body: the request as our own table of commands encodes it.
    """

    def __init__(self, connection: socket.socket, read_only: bool) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = connection.getpeername()[1]
        self.deadline, self.declared = 0.0, b""
        self._connection, self._read_only = connection, read_only
        self._asked = b""
        self._awaits_header = False

    def send(self, message: bytes | bytearray) -> int:
        """Send the whole message before the deadline.

        Parameters
        ----------
        message : bytes or bytearray
            Header and body, which have to be those that are ``declared``.

        Raises
        ------
        ReadOnlyError
            When the socket is read-only and the command changes something. Nothing was sent.
        ProtocolError
            When the vendor's client would send something else than was meant. Nothing was sent.
        """
        command = Header.unpack(bytes(message[: HEADER.size]), len(message)).command
        if self._read_only and not only_reads(command):
            raise ReadOnlyError(f"{command} would change something, and this connection is read-only. Nothing was sent.")
        if message != self.declared:
            raise ProtocolError(
                f"The vendor's client would send {message.hex()} for {command}, and {self.declared.hex()} was meant. Nothing "
                "was sent; the connection was closed. Install the version of nanonis-spm that this package asks for."
            )
        self._asked, self._awaits_header = bytes(message[:32]), True
        self._connection.settimeout(self._left())
        self._connection.sendall(message)
        return len(message)

    def recv(self, size: int) -> bytes:
        """Return exactly that many bytes, received before the deadline.

        Parameters
        ----------
        size : int
            Number of bytes.

        Raises
        ------
        ProtocolError
            When a header answers another command, or claims a length that is not possible.
        OSError
            When the other side hung up, or the time is over.
        """
        if not size:  # the vendor's client asks a thousand times for nothing after each answer
            return b""
        received = bytearray()
        while len(received) < size:
            self._connection.settimeout(self._left())
            part = self._connection.recv(min(size - len(received), 65536))
            if not part:
                raise ConnectionAbortedError("the other side hung up")
            received += part
        if self._awaits_header:
            self._awaits_header = False
            self._check(bytes(received))
        return bytes(received)

    def settimeout(self, seconds: float) -> None:
        """The client would like 1000 s; the deadline stands."""

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return left

    def _check(self, header: bytes) -> None:
        Header.unpack(header, LONGEST_ANSWER)
        if header[:32] != self._asked:
            raise ProtocolError(
                f"{self._asked.rstrip(bytes(1))!r} was answered with {header[:32].rstrip(bytes(1))!r}: the stream is out of "
                "step. It was closed; connect again."
            )
