"""Faults of the simulated server: which one, at which command, and when."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np

from bluesky_stm.controllers.nanonis_server._further import ANSWERED
from bluesky_stm.controllers.nanonis_wire._wire import HEADER, Header
from bluesky_stm.errors import SettingsError, UnknownNameError

CONNECT = "connect"
"""In place of a command: when somebody connects."""

PIECE: Final = 0.01
"""Pause after each piece of an answer that comes in pieces, in s."""


class FaultKind(StrEnum):
    """A kind of fault."""

    REFUSE = "refuse"
    """The connection is closed before anything is answered."""
    DELAY = "delay"
    """The answer comes late."""
    DROP = "drop"
    """The command is done, and the connection closed in the middle of the answer."""
    LENGTH = "length"
    """The header claims more bytes than follow."""
    ECHO = "echo"
    """The answer carries another command's name."""
    GARBAGE = "garbage"
    """Random bytes in place of the answer."""
    SPLIT = "split"
    """The answer comes in pieces, which is legal."""
    ERROR = "error"
    """The command is refused, with an error section."""
    CRASH = "crash"
    """The tip touches: Safe Tip withdraws it, and the command is refused."""
    IGNORE = "ignore"
    """The command is answered as if it were done, and nothing was done; a question is answered."""
    OPEN = "open"
    """Somebody at the instrument opens the feedback, and the command is ignored."""
    HOLD = "hold"
    """Somebody at the instrument holds the feedback; then the command is done."""
    WITHDRAW = "withdraw"
    """Somebody at the instrument withdraws the tip; then the command is done."""
    HOLES = "holes"
    """Some numbers of an image or a spectrum are none."""
    OVERCURRENT = "overcurrent"
    """The current runs to the end of the preamplifier's range before the command is done."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong once.

    Attributes
    ----------
    kind : FaultKind
    command : str
        At which command, or ``"connect"``, or ``"*"`` for any.
    at : int
        Number of the command, from now, at which it happens: 1 for the next one.
    seconds : float
        How late, for `FaultKind.DELAY`.
    """

    kind: FaultKind
    command: str = "*"
    at: int = 1
    seconds: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a fault from ``kind[:command[:at[:seconds]]]``, as in ``"drop:BiasSpectr.Start:3"``.

        Raises
        ------
        SettingsError
            When there is no such fault or command.
        """
        kind, command, at, seconds = [*text.split(":"), "", "", ""][:4]
        if kind not in set(FaultKind):
            raise UnknownNameError.among("fault", kind, FaultKind)
        if command not in {"", "*", CONNECT, *ANSWERED}:
            raise UnknownNameError.among("command", command, ANSWERED)
        try:
            return cls(FaultKind(kind), command or "*", int(at or 1), float(seconds or 1.0))
        except ValueError:
            raise SettingsError(f"A fault is kind:command:at:seconds, not {text!r}. Nothing has been started.") from None


class Faults:
    """Faults that are still to come."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], Fault] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Let something go wrong, counted from the commands that come from now on.

        Parameters
        ----------
        fault : Fault
            What goes wrong, at which command, and at which of its times.
        """
        with self._lock:
            self._waiting[fault.command, self._counts[fault.command] + fault.at] = fault

    @property
    def pending(self) -> int:
        """Number of faults that are still to come."""
        return len(self._waiting)

    def clear(self) -> None:
        """Forget the faults that are still to come. What has gone wrong stays wrong."""
        with self._lock:
            self._waiting.clear()

    def take(self, command: str) -> Fault | None:
        """Count a command, and return the fault that it meets.

        A fault of this command comes before one of any command, ``"*"``; connecting does not count as a command.

        Parameters
        ----------
        command : str
            Name of the command, or ``"connect"``.

        Returns
        -------
        Fault or None
            None where all goes well.
        """
        with self._lock:
            names = (command,) if command == CONNECT else (command, "*")
            for name in names:
                self._counts[name] += 1
            found = [self._waiting.pop((name, self._counts[name]), None) for name in names]
        return next((fault for fault in found if fault), None)


def pieces(command: str, body: bytes, kind: FaultKind | None) -> list[bytes]:
    """Return what is sent for an answer, piece by piece, with what is wrong on the wire.

    Parameters
    ----------
    command : str
        Command that is answered.
    body : bytes
        Body of the right answer.
    kind : FaultKind or None
        What is wrong; None for nothing.
    """
    message = Header(command, len(body)).pack() + body
    if kind is FaultKind.ECHO:
        message = Header("Wrong.Echo", len(body)).pack() + body
    if kind is FaultKind.LENGTH:
        message = Header(command, len(body) + 7).pack() + body
    if kind is FaultKind.GARBAGE:
        message = random.Random(len(message)).randbytes(len(message))
    if kind is FaultKind.DROP:
        message = message[: HEADER.size + len(body) // 2]
    return [message[:7], message[7:39], message[39:]] if kind is FaultKind.SPLIT else [message]


def punched(value: Any) -> Any:
    """Return a matrix without the last three numbers of its last row, which are NaN; any other value comes back as it is."""
    if not isinstance(value, np.ndarray) or value.ndim != 2:
        return value
    holed = value.astype(float)
    holed[-1:, -3:] = np.nan
    return holed
