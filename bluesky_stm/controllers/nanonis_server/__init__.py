"""A simulated Nanonis server to prove the controller against: any controller of ours is the microscope behind it."""

from bluesky_stm.controllers.nanonis_server._faults import Fault, FaultKind
from bluesky_stm.controllers.nanonis_server._server import NanonisServer

__all__ = ["Fault", "FaultKind", "NanonisServer"]
