"""Nanonis over TCP: the controller of a real microscope, and a simulated server to prove it against."""

from bluesky_stm.controllers.nanonis._channels import ChannelNames
from bluesky_stm.controllers.nanonis._check import Finding, check
from bluesky_stm.controllers.nanonis._controller import NanonisController
from bluesky_stm.controllers.nanonis._errors import NanonisError, ProtocolError, ReadOnlyError
from bluesky_stm.controllers.nanonis._faults import Fault, FaultKind
from bluesky_stm.controllers.nanonis._interlocks import Interlocks
from bluesky_stm.controllers.nanonis._server import PORTS, NanonisServer

__all__ = [
    "PORTS",
    "ChannelNames",
    "Fault",
    "FaultKind",
    "Finding",
    "Interlocks",
    "NanonisController",
    "NanonisError",
    "NanonisServer",
    "ProtocolError",
    "ReadOnlyError",
    "check",
]
