"""The base of all devices of a microscope: controller, limits, worker, and tunneling conditions that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ophyd import Device
from ophyd.ophydobj import OphydObject

from bluesky_stm.protocols import Controller

if TYPE_CHECKING:
    from bluesky_stm.devices._stm import STM

OphydValue = Any
"""A value of a signal, or an argument of a constructor, as ophyd takes it: ophyd declares no types."""


def stm_of(part: OphydObject) -> STM:
    """Return the microscope that a device or signal belongs to.

    Raises
    ------
    AttributeError
        When it belongs to none.
    """
    owner: OphydValue = part
    while not hasattr(owner, "controller_of_parts"):
        owner = owner.parent
        if owner is None:
            raise AttributeError(f"{part.name!r} is no part of an STM: make an STM(controller=...) and use its components.")
    return owner


class STMDevice(Device):
    """A component of an `STM`."""

    @property
    def stm(self) -> STM:
        """Return the microscope."""
        return stm_of(self)

    @property
    def controller(self) -> Controller:
        """Return the controller that does the work."""
        return self.stm.controller

    def stage(self) -> list[object]:
        """Make the device ready for a run, and remember the tunneling conditions.

        When the whole microscope is staged, it has remembered them already.
        """
        if not self.stm.is_staged:
            self.stm.conditions.enter(self)
        return super().stage()

    def unstage(self) -> list[object]:
        """End what is under way; restore the tunneling conditions, or withdraw the tip after a fault."""
        try:
            return super().unstage()
        finally:
            self.stm.conditions.leave(self)

    def stop(self, *, success: bool = False) -> None:
        """Hold still: end motion, scan and sweep, with the feedback closed. The tip is never retracted by this.

        bluesky calls it at each end of a plan. With ``success`` True what is ended has not failed; bluesky asks for that when
        it pauses.
        """
        self.stm.hold_still(success)
