"""The parts of a recorded microscope that stand as they stood: bias, current, set point, gains, lock-in, drift."""

from __future__ import annotations

import math

from typing_extensions import override

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

    @override
    def get_bias(self) -> float:
        return self._setpoint.bias

    @override
    def get_setpoint(self) -> Setpoint:
        return self._setpoint

    @override
    def read_current(self) -> float:
        """Return the current of the set point, in nA, with the sign of the bias.

        No other current was recorded. It is 0 while the tip is withdrawn.
        """
        return math.copysign(self._setpoint.current, self._setpoint.bias) if self._in_contact else 0.0

    @override
    def get_feedback(self) -> bool:
        return self._in_contact

    @override
    def get_gains(self) -> FeedbackGains:
        """Return NaN: gains are not recorded."""
        return FeedbackGains(math.nan, math.nan)

    @override
    def get_lockin(self) -> LockInSettings:
        return self._lockin

    @override
    def get_drift(self) -> tuple[float, float]:
        """Return zeros: nothing is compensated."""
        return 0.0, 0.0

    @override
    def is_withdrawn(self) -> bool:
        return not self._in_contact

    @override
    def withdraw(self) -> None:
        """Withdraw the tip: neither a sweep nor a scan is answered until `approach`.

        Nothing takes time here, and nothing was recorded of a withdrawn tip.
        """
        self._in_contact = False

    @override
    def approach(self) -> None:
        self._in_contact = True
