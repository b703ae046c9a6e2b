"""The modules SafeTip, AutoApproach, Motor and TipShaper: what brings the tip away from the surface, back, and changes it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.errors import STMError
from bluesky_stm.units import CURRENT

SAFE_TIP_PERIOD: Final = 0.02
"""How often Safe Tip looks at the current, in s."""


class SafeTipModule(Module):
    """The interlock that withdraws the tip at a large current.

    Attributes
    ----------
    overload : bool
        True when the preamplifier is at the end of its range, whatever the microscope says.
    """

    name = "SafeTip"
    overload = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Look after the tip from now on, whether anybody is connected or not."""
        self._thread = threading.Thread(target=self._look_after_the_tip, name="nanonis-sim-safe-tip", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until it looks no more: the software is closing."""
        if self._thread:
            self._thread.join()

    def check_current(self, largest: float) -> None:
        """Withdraw the tip at a current, in nA, above the threshold."""
        _, _, threshold = self.registers.get("SafeTip.Props")
        if self.registers.get("SafeTip.OnOff") == (1,) and abs(si(largest, CURRENT)) > threshold:
            self.retract()

    def retract(self) -> None:
        """Withdraw the tip in a Safe Tip event."""
        self.software.z.withdraw()
        self.software.z.tip_event = True

    def overload_now(self) -> None:
        """The current runs to the end of the range of the preamplifier."""
        self.overload = True
        self.check_current(self.software.signals.full_scale)

    def _look_after_the_tip(self) -> None:
        while not self.software.closing.wait(SAFE_TIP_PERIOD):
            with suppress(STMError):
                if not self.software.z.withdrawn:
                    self.software.signals.current()

    def _signal_get(self) -> Answer:
        return [si(self.software.signals.current(), CURRENT)]


class AutoApproachModule(Module):
    """The coarse approach."""

    name = "AutoApproach"

    def _open(self) -> None:
        """Nothing to open."""

    def _on_off_set(self, on: int) -> None:
        if not on:
            return self.software.halt("approach")
        self.software.wait_for("withdraw")
        self.software.begin("approach", self.software.z.approach)
        return None

    def _on_off_get(self) -> Answer:
        return [self.software.is_doing("approach")]


class MotorModule(Module):
    """The coarse motor; nothing follows from its steps."""

    name = "Motor"

    def _start_move(self, direction: int, steps: int, group: int, waited_for: int) -> None:
        self.software.z.require_open()

    def _stop_move(self) -> None:
        """A step is over at once."""


class TipShaperModule(Module):
    """The tip shaper, of which only the pulse is simulated."""

    name = "TipShaper"

    def _start(self, waited_for: int, timeout: int) -> None:
        _, change, bias, _, first, lifted, *_ = self.registers.get("TipShaper.Props")
        pulse = bias if change else lifted
        self.software.perform("pulse", lambda: self.controller.pulse(pulse, first), waited_for, timeout)
