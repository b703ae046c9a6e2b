"""The state of the scripted microscope, which its parts share."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bluesky_stm.controllers.fake._script import Script
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, LockInSettings

WITHDRAWN: Final = 150.0
"""Height, in nm, of a withdrawn tip above the surface."""


class FakeState:
    """An ideal microscope on a gently waved metal.

    Attributes
    ----------
    bias, current : float
        Bias, in V, and current, in nA, that the feedback keeps.
    feedback, withdrawn : bool
    lift : float
        Height of a withdrawn tip above the surface, in nm.
    place : Point
        Where the tip is, in nm.
    wanders : (float, float)
        Velocity of the surface under the tip, in nm/s, of which the compensation takes its part.
    time : float
        Time on its own clock, in s, which runs with what is measured.
    """

    def __init__(self) -> None:
        self.bias, self.current, self.feedback, self.withdrawn = -1.0, 0.1, True, False
        self.lift, self.time, self.place = 0.0, 0.0, Point(0.0, 0.0)
        self.gains = FeedbackGains(0.01, 1000.0)
        self.lockin = LockInSettings(amplitude=0.01, frequency=761.0, response=0.7, offset=0.0002)
        self.drift = (0.0, 0.0)
        self.wanders = (0.0, 0.0)

    @property
    def setpoint(self) -> Setpoint:
        """Bias and current that the feedback keeps."""
        return Setpoint(self.bias, self.current)

    @property
    def height(self) -> float:
        """Height of the tip, in nm."""
        return float(wave(self.place)) + self.lift

    def pull_back(self, lift: float) -> None:
        """Open the feedback and pull the tip back by ``lift`` nm."""
        self.feedback, self.withdrawn, self.lift = False, True, lift

    def ohmic(self) -> float:
        """Return the current of the junction, in nA, the tip in reach of the surface."""
        return self.current * float(np.sign(self.bias)) if self.feedback else self.current


class FakePart:
    """A part of the scripted microscope: it follows the script and changes the state."""

    def __init__(self, script: Script, state: FakeState) -> None:
        self.script, self.state = script, state


def wave(place: Any) -> Floats:
    """Return the height of the surface: waves of 0.1 nm, 20 nm long along x and 30 nm along y.

    Parameters
    ----------
    place : (float, float) or pair of ndarray
        x and y, in nm.

    Returns
    -------
    ndarray
        In nm, of the shape of x and y.
    """
    x, y = place
    return 0.1 * np.sin(2 * np.pi * np.asarray(x) / 20) * np.cos(2 * np.pi * np.asarray(y) / 30)
