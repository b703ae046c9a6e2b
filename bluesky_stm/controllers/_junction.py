"""Tip and sample as they stand: place, height, bias, feedback; and what happens when the tip touches."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bluesky_stm.controllers._instrument import Instrument
from bluesky_stm.controllers._piezo import Piezo
from bluesky_stm.errors import TipCrashError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint

WITHDRAWN: Final = 500.0
"""Height of a withdrawn tip, in nm: the end of the range."""

CONTACT: Final = 0.25
"""Gap, in nm, below which the tip touches."""


class Junction:
    """The state of a simulated microscope. Heights are those of the tip, in nm.

    Attributes
    ----------
    asked : Point
        Where the tip was asked to be; drift, creep and hysteresis make it another place.
    z : float
    setpoint : Setpoint
        Bias that is applied and current that the closed feedback keeps.
    feedback, withdrawn : bool
    """

    def __init__(self, instrument: Instrument, setpoint: Setpoint) -> None:
        profile = instrument.profile
        self.instrument = instrument
        self.piezo = Piezo(profile.drift, profile.creep, profile.hysteresis, profile.hysteresis_range)
        self.asked = Point(0.0, 0.0)
        self.setpoint = setpoint
        self.feedback, self.withdrawn = True, False
        self.z = self._followed(0.0)

    def place(self, time: float) -> Floats:
        """Where the tip really is; shape (1, 2)."""
        return np.array([self.asked]) + self.piezo.displacement(time)

    def go_to(self, point: Point, time: float) -> None:
        """Be at ``point``, the feedback as it is.

        Raises
        ------
        TipCrashError
            When the surface was in the way of an open feedback.
        """
        start, self.asked = self.asked, Point(float(point[0]), float(point[1]))
        self.piezo.move(start, self.asked, time)
        if not self.feedback and not self.withdrawn and self._highest(start, self.asked) + CONTACT > self.z:
            self._crash("The tip was moved with the feedback open, and the surface was in its way.")
        self.settle(time)

    def settle(self, time: float) -> None:
        """Let a closed feedback find its height.

        Raises
        ------
        TipCrashError
            When nothing carries the current, so that the feedback drives the tip into the surface.
        """
        if not self.feedback:
            return
        self.z = self._followed(time)
        if self.z - self._relief(self.place(time)) < CONTACT:
            self._crash(
                f"No states carry {self.setpoint.current:g} nA at {self.setpoint.bias:g} V at ({self.asked.x:.2f}, "
                f"{self.asked.y:.2f}) nm: the feedback drove the tip into the surface."
            )

    def close_feedback(self, time: float) -> None:
        """Close the feedback and let it settle."""
        self.feedback, self.withdrawn = True, False
        self.settle(time)

    def withdraw(self) -> None:
        """Open the feedback, pull the tip back to the end of its range."""
        self.feedback, self.withdrawn, self.z = False, True, WITHDRAWN

    def current(self, time: float) -> float:
        """Current, in nA, noise left out."""
        if self.withdrawn:
            return 0.0
        if self.feedback:
            return math.copysign(self.setpoint.current, self.setpoint.bias)
        place = self.place(time)
        return float(self.instrument.current(place, self.setpoint.bias, self.z - self._relief(place))[0])

    def _followed(self, time: float) -> float:
        return float(self.instrument.image(self.place(time), self.setpoint)[0]) + self.instrument.profile.z_drift * time

    def _relief(self, places: Floats) -> Floats:
        return self.instrument.surface.relief(places, self.instrument.profile.slope)

    def _highest(self, start: Point, end: Point) -> float:
        """Highest relief on the way, looked at every 0.2 nm."""
        steps = 2 + int(math.dist(start, end) / 0.2)
        return float(self._relief(np.linspace(start, end, steps)).max())

    def _crash(self, what: str) -> None:
        self.withdraw()
        raise TipCrashError(f"{what} It has been withdrawn. Inspect it, go to a clean place, and approach.")
