"""Nanonis over TCP: the controller of a real microscope."""

from bluesky_stm.controllers.nanonis._channels import ChannelNames
from bluesky_stm.controllers.nanonis._check import Finding, check
from bluesky_stm.controllers.nanonis._controller import NanonisController
from bluesky_stm.controllers.nanonis._interlocks import Interlocks
from bluesky_stm.controllers.nanonis._part import Nanonis
from bluesky_stm.controllers.nanonis_wire import PORTS, NanonisError, ProtocolError, ReadOnlyError

__all__ = [
    "PORTS",
    "ChannelNames",
    "Finding",
    "Interlocks",
    "Nanonis",
    "NanonisController",
    "NanonisError",
    "ProtocolError",
    "ReadOnlyError",
    "check",
]
