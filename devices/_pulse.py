"""Bias pulses, which change the tip and cannot be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from ophyd.status import Status

from bluesky_stm.devices._part import Part


@dataclass(frozen=True, eq=False)
class Pulse:
    """One pulse: bias in V, width in s. It is fired once, however often a plan comes back to it."""

    bias: float
    width: float


class TipPulse(Part):
    """Fires pulses: ``bps.mv(stm.pulse, Pulse(4.0, 0.05))``.

    After a pause bluesky repeats the messages since the last checkpoint. The repeated message carries the same `Pulse`, and a
    pulse that has been fired is not fired again; to fire two, make two.
    """

    timeout = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fired: WeakSet[Pulse] = WeakSet()

    def check_value(self, pulse: Pulse) -> None:
        """Refuse a bias outside the interlock, or a pulse longer than the dose allows."""
        self.stm.check("bias", pulse.bias, f"{self.name} bias")
        self.stm.check_dose(self.name, pulse.width)

    def set(self, pulse: Pulse) -> Status:
        """Fire ``pulse``, unless it has been fired."""
        self.check_value(pulse)
        if pulse in self._fired:
            status = Status(self)
            status.set_finished()
            return status
        self.stm.require_contact()
        self._fired.add(pulse)
        return self.stm.worker.submit(self, self.controller.pulse, pulse.bias, pulse.width, timeout=self.timeout)
