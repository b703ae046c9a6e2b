"""Errors on the wire."""

from __future__ import annotations

from bluesky_stm.errors import LostConnectionError, NotCapableError, STMError


class NanonisError(STMError):
    """The controller refused a command, and this is what it said; the connection is as it was."""


class ProtocolError(LostConnectionError):
    """An answer that is no message of the protocol: the connection was closed, the state is unknown."""


class ReadOnlyError(NotCapableError):
    """A command that changes something was held back; nothing was sent."""
