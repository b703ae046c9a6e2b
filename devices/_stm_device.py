"""What all parts of a microscope share: its controller, its limits, its worker, and no trace after a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ophyd import Device
from ophyd.ophydobj import OphydObject

from bluesky_stm.protocols import Controller

if TYPE_CHECKING:
    from bluesky_stm.devices._stm import STM


def stm_of(part: OphydObject) -> STM:
    """The microscope that a device or signal belongs to."""
    owner: Any = part
    while not hasattr(owner, "controller_of_parts"):
        owner = owner.parent
        if owner is None:
            raise AttributeError(f"{part.name!r} is no part of an STM: make an STM(controller=...) and use its components.")
    return owner


class STMDevice(Device):
    """A component of an `STM`."""

    @property
    def stm(self) -> STM:
        """The microscope."""
        return stm_of(self)

    @property
    def controller(self) -> Controller:
        """What does the work."""
        return self.stm.controller

    def stage(self) -> list[object]:
        """Make ready for a run, and remember how the tip rests."""
        if not self.stm.is_staged:
            self.stm.conditions.enter(self)
        return super().stage()

    def unstage(self) -> list[object]:
        """End what is under way; put the tip back to rest, or withdraw it after a fault."""
        try:
            return super().unstage()
        finally:
            self.stm.conditions.leave(self)

    def stop(self, *, success: bool = False) -> None:
        """Hold still: end motion, scan and sweep, feedback closed. Never a retract; called at each end of a plan, too.

        With ``success`` what is ended so has not failed: bluesky asks for that when it pauses.
        """
        self.stm.hold_still(success)
