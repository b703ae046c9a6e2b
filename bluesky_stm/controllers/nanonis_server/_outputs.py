"""The module UserOut: voltages that are put out as they are set, as another signal reads, or as two signals make them."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import OUTPUTS, SIGNALS
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError

VOLTS: Final = 10.0
"""End of the range of an output, in V, either way."""


class Mode(IntEnum):
    """Codes of ``UserOut.ModeSet``."""

    USER = 0
    MONITOR = 1
    CALCULATED = 2


OPERATIONS: Final[dict[int, Callable[[float, float], float]]] = {
    0: lambda one, other: one,
    1: lambda one, other: one + other,
    2: lambda one, other: one - other,
    3: lambda one, other: one * other,
    4: lambda one, other: one / other if other else 0.0,
    6: lambda one, other: math.log10(abs(one)) if one else 0.0,
}
"""What a calculated signal is made of two signals, by its code; the vendor's text gives 1 to addition and subtraction alike."""


class UserOutModule(Module):
    """The user outputs, each of which can be read as a signal."""

    name = "UserOut"

    def value(self, number: int) -> float:
        """Return what an output puts out now, in its unit, held within its limits.

        Parameters
        ----------
        number : int
            Number of the output, from 1.
        """
        (mode,), (monitored,) = self.registers.get("UserOut.Mode", number), self.registers.get("UserOut.MonitorCh", number)
        if mode == Mode.MONITOR:
            put = self._signal(monitored)
        elif mode == Mode.CALCULATED:
            one, operation, other = self.registers.get("UserOut.CalcSignalConfig", number)
            put = OPERATIONS[operation](self._signal(one), self._signal(other))
        else:
            put = float(self.registers.get("UserOut.Val", number)[0])
        high, low = self._limits(number)
        return min(max(put, low), high)

    def _signal(self, index: int) -> float:
        """Value of a signal; an output does not follow an output, which could be itself."""
        return 0.0 if SIGNALS[index].startswith("Output") else self.software.signals.fresh(index)

    def _limits(self, number: int) -> tuple[float, float]:
        """Highest and lowest value of an output, in its unit: those that were set, and the voltage that it reaches."""
        per_volt, offset = self.registers.get("UserOut.Calibr", number)
        ends = sorted((offset - VOLTS * per_volt, offset + VOLTS * per_volt))
        high, low = self.registers.get("UserOut.Limits", number)
        return min(high, ends[1]), max(low, ends[0])

    def _val_set(self, number: int, value: float) -> None:
        """Answer ``UserOut.ValSet``.

        Parameters
        ----------
        number : int
            Number of the output, from 1.
        value : float
            In the unit of the output.
        """
        _check(number)
        self.registers.set("UserOut.Val", [value], number)

    def _mode_set(self, number: int, mode: int) -> None:
        """Answer ``UserOut.ModeSet`` with a `Mode`."""
        _check(number)
        if mode not in set(Mode):
            raise NanonisError(f"There is no mode {mode} of an output, only 0 to 2.")
        self.registers.set("UserOut.Mode", [mode], number)

    def _monitor_ch_set(self, number: int, signal: int) -> None:
        """Answer ``UserOut.MonitorChSet`` with the index of a signal."""
        _check(number, signal)
        self.registers.set("UserOut.MonitorCh", [signal], number)

    def _calibr_set(self, number: int, per_volt: float, offset: float) -> None:
        """Answer ``UserOut.CalibrSet``.

        Parameters
        ----------
        number : int
            Number of the output, from 1.
        per_volt, offset : float
            Units of the output for a volt, and its value at 0 V.
        """
        _check(number)
        if not per_volt:
            raise NanonisError("An output needs a calibration other than 0.")
        self.registers.set("UserOut.Calibr", [per_volt, offset], number)

    def _calc_signal_config_set(self, number: int, one: int, operation: int, other: int) -> None:
        """Answer ``UserOut.CalcSignalConfigSet``.

        Parameters
        ----------
        number : int
            Number of the output, from 1.
        one : int
            Index of a signal.
        operation : int
            What is made of both, one of `OPERATIONS`.
        other : int
            Index of the other signal.
        """
        _check(number, one, other)
        if operation not in OPERATIONS:
            raise NanonisError(f"There is no operation {operation}, only {sorted(OPERATIONS)}.")
        self.registers.set("UserOut.CalcSignalConfig", [one, operation, other], number)

    def _limits_set(self, number: int, high: float, low: float, raw: int) -> None:
        """Answer ``UserOut.LimitsSet``.

        Parameters
        ----------
        number : int
            Number of the output, from 1.
        high, low : float
            Highest and lowest value.
        raw : int
            1 where these are in V, 0 where they are in the unit of the output.
        """
        _check(number)
        if low > high:
            raise NanonisError(f"The lower limit {low:g} of an output lies above the upper one, {high:g}.")
        per_volt, offset = self.registers.get("UserOut.Calibr", number)
        ends = sorted((offset + per_volt * end if raw else end) for end in (low, high))
        self.registers.set("UserOut.Limits", ends[::-1], number)

    def _limits_get(self, number: int, raw: int) -> Answer:
        """Answer ``UserOut.LimitsGet`` with the highest and the lowest value, in its unit, or in V for 1."""
        _check(number)
        per_volt, offset = self.registers.get("UserOut.Calibr", number)
        return [(end - offset) / per_volt if raw else end for end in self._limits(number)]


def _check(number: int, *signals: int) -> None:
    """Refuse an output that the software keeps for itself, in the words of the vendor's, or a signal that is not there."""
    if number not in OUTPUTS:
        raise NanonisError(
            f"Cannot access the output channel {number}. Please make sure this output is not reserved by the Nanonis software "
            "(like Bias, X, Y, Z...). To access the reserved channels, use the corresponding VI function (e.g. Set Bias)."
        )
    if not all(0 <= signal < len(SIGNALS) for signal in signals):
        raise NanonisError(f"Signals {list(signals)} are not all among the {len(SIGNALS)} signals.")
