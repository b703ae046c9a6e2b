"""The parts of a recorded microscope that stand as they stood: bias, current, set point, gains, lock-in, drift."""

from __future__ import annotations

import math

from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import (
    BiasControl,
    CurrentReadout,
    DriftControl,
    FeedbackGains,
    LockInControl,
    LockInSettings,
    ZControl,
)


class FixedJunction(BiasControl, CurrentReadout, ZControl, LockInControl, DriftControl):
    """Answers with what was recorded, NaN where that is not known. It can be withdrawn and approached, and nothing else.

    The controller refuses what would change the rest: it declares no capability for it.

    Parameters
    ----------
    setpoint : Setpoint
    lockin : LockInSettings
        Gain and offset of the recorded channel, the rest NaN.
    """

    def __init__(self, setpoint: Setpoint, lockin: LockInSettings) -> None:
        self._setpoint, self._lockin = setpoint, lockin
        self._in_contact = True

    def get_bias(self) -> float:
        """Return the bias of the set point, in V."""
        return self._setpoint.bias

    def get_setpoint(self) -> Setpoint:
        """Return the recorded set point."""
        return self._setpoint

    def read_current(self) -> float:
        """Return the current of the set point, in nA; 0 with the tip withdrawn."""
        return math.copysign(self._setpoint.current, self._setpoint.bias) if self._in_contact else 0.0

    def get_feedback(self) -> bool:
        """Return True unless the tip is withdrawn."""
        return self._in_contact

    def get_gains(self) -> FeedbackGains:
        """Return NaN: gains are not recorded."""
        return FeedbackGains(math.nan, math.nan)

    def get_lockin(self) -> LockInSettings:
        """Return gain and offset of the recorded channel, the rest NaN."""
        return self._lockin

    def get_drift(self) -> tuple[float, float]:
        """Return zeros: nothing is compensated."""
        return 0.0, 0.0

    def is_withdrawn(self) -> bool:
        """Return True after `withdraw`."""
        return not self._in_contact

    def withdraw(self) -> None:
        """Sweep and scan nothing until `approach`."""
        self._in_contact = False

    def approach(self) -> None:
        """Go back to where the feedback stood."""
        self._in_contact = True
