"""Nanonis over TCP: the controller of a real microscope, and a simulated server to prove it against."""

from bluesky_stm.controllers.nanonis._errors import NanonisError, ProtocolError, ReadOnlyError
from bluesky_stm.controllers.nanonis._faults import Fault, FaultKind
from bluesky_stm.controllers.nanonis._server import PORTS, NanonisServer

__all__ = ["PORTS", "Fault", "FaultKind", "NanonisError", "NanonisServer", "ProtocolError", "ReadOnlyError"]
