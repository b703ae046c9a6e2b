"""How the tip rests between measurements, remembered before a run and brought back after it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from event_model import DataKey
from ophyd import Device
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._bias import ramp_holding
from bluesky_stm.devices._signals import data_key
from bluesky_stm.protocols import Controller

if TYPE_CHECKING:
    from bluesky_stm.devices._stm import STM


@dataclass(frozen=True)
class Rest:
    """Bias (V), set-point current (nA) and feedback."""

    bias: float
    current: float
    feedback: bool

    @classmethod
    def of(cls, controller: Controller) -> Self:
        """As it stands now."""
        return cls(controller.get_bias(), controller.get_setpoint().current, controller.get_feedback())

    def restore(self, controller: Controller) -> None:
        """Bring back what differs; the feedback is closed where it was, and never opened.

        The tip may have been approached meanwhile, and an open feedback would let it drift into the surface.
        """
        if _differs(controller.get_bias(), self.bias):
            ramp_holding(controller, self.bias)
        if _differs(controller.get_setpoint().current, self.current):
            controller.set_setpoint_current(self.current)
        if self.feedback and not controller.get_feedback():
            controller.set_feedback(True)


def _differs(now: float, before: float) -> bool:
    return math.isfinite(before) and not math.isclose(now, before, rel_tol=1e-6, abs_tol=1e-6)


class RestKeeper(Device):
    """Settable state of rest of an `STM`: ``bps.mv(stm.rest, before)`` brings it back, or withdraws the tip after a fault."""

    timeout = 120.0
    """Longest time to come to rest, in s of wall time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._staged_parts: set[Device] = set()
        self._before: Rest | None = None

    @property
    def stm(self) -> STM:
        """The microscope."""
        return self.parent

    @property
    def position(self) -> Rest:
        """As the tip rests now."""
        return Rest.of(self.stm.controller)

    def check_value(self, rest: Rest) -> None:
        """Nothing to refuse: it stood before."""

    def set(self, rest: Rest) -> Status:
        """End what is under way; then restore ``rest`` or, after a fault or where that fails, withdraw the tip."""
        self.stm.worker.drop_queued()
        return self.stm.worker.submit(self, self._go_home, rest, timeout=self.timeout, urgent=True)

    def enter(self, part: Device) -> None:
        """A part was staged; the first one remembers how the tip rests."""
        if not self._staged_parts:
            self._before = self.position
        self._staged_parts.add(part)

    def leave(self, part: Device) -> None:
        """A part was unstaged; with the last one the tip comes to rest as before."""
        if part in self._staged_parts:
            self._staged_parts.remove(part)
            if not self._staged_parts and self._before is not None:
                self.set(self._before).wait()

    def describe(self) -> dict[str, DataKey]:
        """Bias, set point and feedback."""
        source = self.stm.controller.source
        return {
            f"{self.name}_bias": data_key(source("bias"), units.BIAS, precision=4),
            f"{self.name}_setpoint": data_key(source("setpoint"), units.CURRENT, precision=5),
            f"{self.name}_feedback": data_key(source("feedback"), dtype="boolean"),
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """As the tip rests now."""
        rest, now = self.position, time.time()
        values = zip(self.describe(), (rest.bias, rest.current, rest.feedback), strict=True)
        return {key: {"value": value, "timestamp": now} for key, value in values}

    def _go_home(self, rest: Rest) -> None:
        if self.stm.withdrawn:
            return
        try:
            self.stm.controller.stop()
            if self.stm.fault is None:
                rest.restore(self.stm.controller)
                self.stm.bias.forget_setpoint()
        except Exception:
            self.stm.withdraw_now()
            raise
        if self.stm.fault is not None:
            self.stm.withdraw_now()
