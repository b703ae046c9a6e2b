"""What defines an act, read before it and after it: what differs was changed by somebody else, and is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bluesky_stm.controllers.nanonis._bias import BIAS_TOLERANCE
from bluesky_stm.controllers.nanonis._guard import ARRIVED
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint

SAME: Final = 1e-5
"""Part of a number by which it may differ for the rounding to float32."""


@dataclass(frozen=True)
class Standing:
    """The settings that define an act, as they stand at one moment; what was not read is None.

    Attributes
    ----------
    setpoint : Setpoint
        Bias (V) and current (nA).
    place : Point or None
        Of the tip, in nm.
    others : mapping of str to float
        Whatever else was read, by what a person calls it: settings of the lock-in, gains, drift compensation.
    """

    setpoint: Setpoint
    place: Point | None = None
    others: Mapping[str, float] = field(default_factory=dict)

    def changes(self, later: Standing, status: ZStatus | None = None) -> str:
        """Return in words what differs in a later one, empty where nothing does.

        Parameters
        ----------
        later : Standing
            As it stands after the act.
        status : ZStatus, optional
            What the z controller says then: somebody may be opening the feedback.
        """
        found = []
        if abs(later.setpoint.bias - self.setpoint.bias) > BIAS_TOLERANCE:
            found.append(f"bias from {self.setpoint.bias:g} to {later.setpoint.bias:g} V")
        if not same(later.setpoint.current, self.setpoint.current):
            found.append(f"set point from {self.setpoint.current:g} to {later.setpoint.current:g} nA")
        if self.place and later.place and (moved := math.dist(self.place, later.place)) > ARRIVED:
            found.append(f"tip by {moved:.3g} nm")
        if others := differences(self.others, later.others):
            found.append(others)
        if status is ZStatus.SWITCHING_OFF:
            found.append("somebody is opening the feedback")
        return "; ".join(found)


def differences(earlier: Mapping[str, float], later: Mapping[str, float]) -> str:
    """Return in words which numbers differ, empty where none does.

    Parameters
    ----------
    earlier, later : mapping of str to float
        By what a person calls them.
    """
    return "; ".join(
        f"{name} from {before:g} to {later[name]:g}" if name in later else f"{name} counts no longer"
        for name, before in earlier.items()
        if name not in later or not same(before, later[name])
    )


def same(one: float, other: float) -> bool:
    """Return True when two numbers differ by no more than their rounding to float32.

    Parameters
    ----------
    one, other : float
        In any unit.
    """
    return bool(np.isclose(one, other, rtol=SAME, atol=1e-12))


def disturbed(changes: str) -> Quality:
    """Return the quality of a measurement during which something was changed.

    Parameters
    ----------
    changes : str
        What was changed, empty for nothing.
    """
    return Quality.DISTURBED if changes else Quality.GOOD
