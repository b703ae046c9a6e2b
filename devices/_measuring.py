"""The base of sweep, scanner and grid: one measurement at a time, which a pause ends and which never starts twice."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ophyd.status import Status

from bluesky_stm.devices._signals import Result
from bluesky_stm.devices._stm_device import STMDevice


class Measuring(STMDevice):
    """A detector whose `trigger` is one act of the controller."""

    unit = "point"
    """Unit in which its progress is counted."""

    _status: Status | None = None

    def trigger(self) -> Status:
        """Measure, and return the status of the measurement.

        Triggered again while a measurement is under way, as bluesky does when it replays messages, it returns the same status
        and begins no second measurement.

        Raises
        ------
        STMError
            After a fault that nobody has cleared, or with the tip withdrawn. Nothing is measured then.
        """
        if self._status is None or self._status.done:
            self.stm.require_contact()
            self._status = self.begin()
        return self._status

    def begin(self) -> Status:
        """Start the measurement and return its status."""
        raise NotImplementedError

    def fill(self, values: Mapping[str, object]) -> None:
        """Put the values of a measurement into the signals of these names, with one time stamp."""
        now = time.time()
        for attribute, value in values.items():
            signal: Result = getattr(self, attribute)
            signal.fill(value, now)

    def pause(self) -> None:
        """End the measurement under way; its data are not used, and a replayed `trigger` measures anew."""
        self.break_off()

    def unstage(self) -> list[object]:
        """End the measurement under way, whatever ended the plan, and unstage the device."""
        self.break_off()
        return super().unstage()

    def under_way(self) -> bool:
        """Return True when a measurement is under way."""
        return self._status is not None and not self._status.done

    def break_off(self) -> None:
        """End the measurement under way, and never raise, because this is on the way out of a plan.

        A controller that cannot be stopped counts as a fault: it is latched, and the tip is withdrawn.
        """
        if self.under_way():
            try:
                self.stm.hold_still(success=True)
            except Exception as fault:
                self.stm.latch(fault)
        self._status = None
