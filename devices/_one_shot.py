"""What is done to the tip and cannot be undone: bias pulses, and dips into the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from ophyd.status import Status

from bluesky_stm.devices._stm_device import STMDevice
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.protocols import TipShape

DEEPEST_DIP: Final = 10.0
"""Depth of a dip, in nm, beyond which a tip is not shaped but broken."""


@dataclass(frozen=True, eq=False)
class BiasPulse:
    """One pulse: bias in V, width in s. It is fired once, however often a plan comes back to it."""

    bias: float
    width: float

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise SettingsError(f"A pulse needs a positive width, in s, not {self.width:g}. Nothing was done.")


class OneShot(STMDevice):
    """Does each act that it is set to once: ``bps.mv(stm.pulse, BiasPulse(4.0, 0.05))``.

    After a pause bluesky repeats the messages since the last checkpoint. The repeated message carries the same object, and what
    has been done is not done again; to do it twice, make two.
    """

    timeout = 60.0
    """Longest time for an act, in s of wall time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: WeakSet[Any] = WeakSet()

    def check_value(self, act: Any) -> None:
        """Refuse what lies outside the interlocks."""
        raise NotImplementedError

    def perform(self, act: Any) -> None:
        """Let the controller do it; blocks."""
        raise NotImplementedError

    def set(self, act: Any) -> Status:
        """Do ``act``, unless it has been done."""
        self.check_value(act)
        if act in self._done:
            status = Status(self)
            status.set_finished()
            return status
        self.stm.require_contact()
        self._done.add(act)
        return self.stm.worker.submit(self, self.perform, act, timeout=self.timeout)


class TipPulse(OneShot):
    """Fires pulses: ``bps.mv(stm.pulse, BiasPulse(4.0, 0.05))``."""

    def check_value(self, pulse: BiasPulse) -> None:
        """Refuse a bias outside the interlock, or a pulse longer than the dose allows."""
        self.stm.check("bias", pulse.bias, f"{self.name} bias")
        self.stm.check_dose(self.name, pulse.width)

    def perform(self, pulse: BiasPulse) -> None:
        """Fire."""
        self.controller.pulse(pulse.bias, pulse.width)


class TipShaper(OneShot):
    """Dips the tip into the surface: ``bps.mv(stm.shaper, TipShape(depth=1.0))``."""

    def check_value(self, shape: TipShape) -> None:
        """Refuse a bias or a height outside the interlocks, a dip that is too deep, or longer than the dose allows."""
        if not shape.depth <= DEEPEST_DIP:
            raise LimitError(
                f"{self.name} depth = {shape.depth:g} nm is more than {DEEPEST_DIP:g} nm: that breaks the tip. Nothing has "
                "moved. Dip less."
            )
        self.stm.check("bias", shape.bias, f"{self.name} bias")
        self.stm.check_dose(self.name, shape.hold)
        here = self.controller.get_tip().z
        for way in (-shape.depth, shape.lift):
            self.stm.check("z", here + way, f"{self.name} z")

    def perform(self, shape: TipShape) -> None:
        """Dip."""
        self.controller.shape_tip(shape)
