"""The parts of a recorded microscope that stand as they stood: bias, current, set point, gains, lock-in, drift."""

from __future__ import annotations

import math
from typing import NoReturn

from typing_extensions import override

from bluesky_stm.errors import NotCapableError
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


def refuse(what: str, name: str = "A recording") -> NoReturn:
    """Say that a recording cannot do ``what``, a verb with its object.

    Raises
    ------
    NotCapableError
    """
    raise NotCapableError(
        f"{name} cannot {what}: it stands as it was recorded. Nothing has changed. Ask a simulated or a real microscope."
    )


class FixedJunction(BiasControl, CurrentReadout, ZControl, LockInControl, DriftControl):
    """Answers with what was recorded, NaN where that is not known.

    It can be withdrawn and approached; it refuses everything else.

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

    @override
    def ramp_bias(self, bias: float) -> None:
        """Refuse: the bias stands as it was recorded."""
        refuse("change the bias")

    @override
    def set_feedback(self, on: bool) -> None:
        """Refuse: only a withdrawal opens the feedback."""
        refuse("change the feedback")

    @override
    def set_setpoint_current(self, current: float) -> None:
        """Refuse: the set point stands as it was recorded."""
        refuse("change the set point")

    @override
    def set_gains(self, gains: FeedbackGains) -> None:
        """Refuse: gains are not recorded."""
        refuse("change the gains")

    @override
    def home(self) -> None:
        """Refuse: a recorded tip has no home height."""
        refuse("lift the tip to a home height")

    @override
    def set_lockin(self, settings: LockInSettings) -> None:
        """Refuse: the lock-in stands as it was recorded."""
        refuse("change the lock-in")

    @override
    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Refuse: what was recorded does not drift."""
        refuse("compensate a drift")
