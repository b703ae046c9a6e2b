"""The tunneling current, read on demand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from event_model import DataKey

from bluesky_stm import units
from bluesky_stm.devices._signals import data_key
from bluesky_stm.devices._stm_device import STMDevice

if TYPE_CHECKING:
    from bluesky.protocols import Reading


class TunnelingCurrent(STMDevice):
    """Tunneling current now, in nA, with the sign of the bias.

    The field ``_over`` of its reading is True when the magnitude exceeds the current limit.
    """

    def get(self) -> float:
        """Return the current now, in nA."""
        return self.controller.read_current()

    @property
    def hints(self) -> dict[str, list[str]]:
        """Tell plots to take the current."""
        return {"fields": [self.name]}

    def describe(self) -> dict[str, DataKey]:
        """Describe the current, in nA, and the over-current flag."""
        source = self.controller.source("current")
        limit = self.stm.limits_of("current")[1]
        return {
            self.name: data_key(source, units.CURRENT, precision=5, limits=(-limit, limit)),
            f"{self.name}_over": data_key(source, dtype="boolean"),
        }

    def read(self) -> dict[str, Reading]:
        """Read the preamplifier once.

        A current that is no number counts as too large: ``_over`` is True then.
        """
        current, now = self.get(), time.time()
        over = not abs(current) <= self.stm.limits_of("current")[1]
        return {self.name: {"value": current, "timestamp": now}, f"{self.name}_over": {"value": over, "timestamp": now}}
