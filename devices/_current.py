"""The tunneling current."""

from __future__ import annotations

import time
from typing import Any

from event_model import DataKey

from bluesky_stm import units
from bluesky_stm.devices._signals import data_key
from bluesky_stm.devices._stm_device import STMDevice


class TunnelingCurrent(STMDevice):
    """Tunneling current now, in nA, with the sign of the bias; ``_over`` says whether it exceeds the limit."""

    def get(self) -> float:
        """Current now, in nA."""
        return self.controller.read_current()

    @property
    def hints(self) -> dict[str, list[str]]:
        """Plots take the current."""
        return {"fields": [self.name]}

    def describe(self) -> dict[str, DataKey]:
        """Current and over-current flag."""
        source = self.controller.source("current")
        limit = self.stm.limits_of("current")[1]
        return {
            self.name: data_key(source, units.CURRENT, precision=5, limits=(-limit, limit)),
            f"{self.name}_over": data_key(source, dtype="boolean"),
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """One reading of the preamplifier."""
        current, now = self.get(), time.time()
        over = not abs(current) <= self.stm.limits_of("current")[1]
        return {self.name: {"value": current, "timestamp": now}, f"{self.name}_over": {"value": over, "timestamp": now}}
