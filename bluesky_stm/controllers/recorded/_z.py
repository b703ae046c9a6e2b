"""The part of a recorded microscope that stands as it stood: bias, set point, gains, lock-in, drift."""

from __future__ import annotations

import math
from typing import NoReturn

from bluesky_stm.errors import NotCapableError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, LockInSettings, TipShape


class Standing:
    """Getters answer with what was recorded, NaN where that is not known; setters are refused.

    Parameters
    ----------
    name : str
        Of the controller.
    setpoint : Setpoint
    lockin : LockInSettings
    """

    def __init__(self, name: str, setpoint: Setpoint, lockin: LockInSettings) -> None:
        self.name = name
        self._setpoint, self._lockin = setpoint, lockin
        self._in_contact = True

    def get_bias(self) -> float:
        """Bias of the set point, in V."""
        return self._setpoint.bias

    def get_setpoint(self) -> Setpoint:
        """As recorded."""
        return self._setpoint

    def read_current(self) -> float:
        """Current of the set point, in nA; 0 with the tip withdrawn."""
        return math.copysign(self._setpoint.current, self._setpoint.bias) if self._in_contact else 0.0

    def get_feedback(self) -> bool:
        """Closed unless withdrawn."""
        return self._in_contact

    def get_gains(self) -> FeedbackGains:
        """Not recorded: NaN."""
        return FeedbackGains(math.nan, math.nan)

    def get_lockin(self) -> LockInSettings:
        """Gain and offset of the recorded channel, the rest NaN."""
        return self._lockin

    def get_drift(self) -> tuple[float, float]:
        """None."""
        return 0.0, 0.0

    def is_withdrawn(self) -> bool:
        """Whether `withdraw` was called."""
        return not self._in_contact

    def withdraw(self) -> None:
        """Nothing is swept or scanned until `approach`."""
        self._in_contact = False

    def approach(self) -> None:
        """Back to where the feedback stood."""
        self._in_contact = True

    def ramp_bias(self, bias: float) -> None:
        """Refused."""
        self._refuse("bias")

    def set_feedback(self, on: bool) -> None:
        """Refused."""
        self._refuse("feedback")

    def set_setpoint_current(self, current: float) -> None:
        """Refused."""
        self._refuse("set point")

    def set_gains(self, gains: FeedbackGains) -> None:
        """Refused."""
        self._refuse("gains")

    def set_lockin(self, settings: LockInSettings) -> None:
        """Refused."""
        self._refuse("lock-in")

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Refused."""
        self._refuse("drift compensation")

    def home(self) -> None:
        """Refused."""
        self._refuse("height of the tip")

    def shape_tip(self, shape: TipShape) -> None:
        """Refused."""
        self._refuse("tip")

    def pulse(self, bias: float, width: float) -> None:
        """Refused."""
        self._refuse("tip")

    def _refuse(self, what: str) -> NoReturn:
        raise NotCapableError(
            f"{self.name} can't change the {what}: it stands as it was recorded. Nothing has changed. Ask a simulated or a "
            "real microscope."
        )
