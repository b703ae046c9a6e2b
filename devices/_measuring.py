"""What sweep and scanner share: one measurement at a time, ended by a pause, never started twice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ophyd.status import Status

from bluesky_stm.devices._signals import Result
from bluesky_stm.devices._stm_device import STMDevice


class Measuring(STMDevice):
    """A detector whose `trigger` is one act of the controller."""

    unit = "point"
    """What its progress counts."""

    _status: Status | None = None

    def trigger(self) -> Status:
        """Measure; asked again while that is under way, it gives the same status: no second measurement is begun."""
        if self._status is None or self._status.done:
            self.stm.require_contact()
            self._status = self.begin()
        return self._status

    def begin(self) -> Status:
        """Start the measurement."""
        raise NotImplementedError

    def fill(self, values: Mapping[str, Any]) -> None:
        """Leave the values of a measurement in the signals of these names."""
        now = time.time()
        for attribute, value in values.items():
            signal: Result = getattr(self, attribute)
            signal.fill(value, now)

    def pause(self) -> None:
        """End the measurement under way; its data are not used, and a replayed `trigger` measures anew."""
        self.break_off()

    def unstage(self) -> list[object]:
        """End the measurement under way, whatever ended the plan."""
        self.break_off()
        return super().unstage()

    def under_way(self) -> bool:
        """Whether a measurement is under way."""
        return self._status is not None and not self._status.done

    def break_off(self) -> None:
        """End what is under way; never fails, for the way out goes on: a controller that can't be stopped is a fault."""
        if self.under_way():
            try:
                self.stm.hold_still(success=True)
            except Exception as fault:
                self.stm.latch(fault)
        self._status = None
