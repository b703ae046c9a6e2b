"""Errors on the wire."""

from __future__ import annotations

from bluesky_stm.errors import LostConnectionError, NotCapableError, STMError


class NanonisError(STMError):
    """The controller refused a command, and this is what it said; the connection is as it was."""


class ProtocolError(LostConnectionError):
    """An answer that is no message of the protocol: the connection was closed, the state is unknown."""


class ReadOnlyError(NotCapableError):
    """A command that changes something was held back; nothing was sent."""


def refusal(command: str, text: str) -> str:
    """Return the text of a refusal as the vendor's software writes it: before its words stands the command, in small letters.

    Parameters
    ----------
    command : str
        Name of the command.
    text : str
        Why it was refused.
    """
    return f"Error in command: {command.lower()}: {text}"


def words_of(command: str, text: str) -> str:
    """Return what a refusal says beside the name of the command, which whoever asked knows.

    Parameters
    ----------
    command : str
        Name of the command.
    text : str
        As the software sent it.
    """
    return text.removeprefix(refusal(command, ""))
