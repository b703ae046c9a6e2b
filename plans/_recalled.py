"""A run of an exploration over many scales that was made before, and is not made again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bluesky_stm.geometry import Frame
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from bluesky_stm.devices import AgentDevice


@dataclass(frozen=True, eq=False)
class RecalledRun:
    """A frame that was explored before, to its end or in part.

    Attributes
    ----------
    uid : str
        uid of its run; of several that went on with each other, the last one.
    agent : AgentDevice
        Agent that was taught what was measured there.
    frame : Frame
        Its frame.
    left : int
        Number of spectra that are still to be taken; 0 where it has ended.
    look : bool
        True when no topograph was taken yet.
    hours : float
        Time that it took, in h, on the clock of the microscope.
    broken_off : bool
        True where it did not come to its end, so that the tip was not checked after its last spectra.
    metadata : dict
        Entries of the start document of the run that goes on with it.
    """

    uid: str
    agent: AgentDevice
    frame: Frame
    left: int
    look: bool = False
    hours: float = 0.0
    broken_off: bool = False
    metadata: JSON = field(default_factory=dict)
