"""The TCP protocol of Nanonis, as both of its ends need it: commands and codes, bytes, ports, errors, and SI units."""

from bluesky_stm.controllers.nanonis_wire._commands import PORTS
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError, ProtocolError, ReadOnlyError

__all__ = ["PORTS", "NanonisError", "ProtocolError", "ReadOnlyError"]
