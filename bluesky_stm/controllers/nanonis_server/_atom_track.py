"""The module AtomTrack: the tip goes round in a small circle, and climbs to where the height does not change on its way.

A feature that is held so moves with the drift of the sample: its places and times are the measurement of the drift.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Point
from bluesky_stm.units import LENGTH

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

AROUND: Final = 8
"""Places of a circle at which the height is read."""

PACE: Final = 0.05
"""Time between two circles, in s of the software."""

KEPT: Final = 10_000
"""Circles that are remembered for the measurement of drift."""

QUICK: Final = 20
"""Circles of a quick compensation."""

BUSY: Final = ("move", "scan", "sweep", "z sweep", "approach", "pulse", "withdraw", "switch off", "grid")
"""Acts between which nothing is tracked."""


class Control(IntEnum):
    """Codes of what ``AtomTrack.CtrlSet`` switches."""

    MODULATION = 0
    CONTROLLER = 1
    DRIFT = 2


class Compensation(IntEnum):
    """Codes of ``AtomTrack.QuickCompStart``."""

    TILT = 0
    DRIFT = 1


class AtomTrackModule(Module):
    """The atom tracking.

    Attributes
    ----------
    centers : deque of tuple of float
        Time (s), x, y and z (nm) of the centre of each circle since the drift is measured.
    """

    name = "AtomTrack"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.centers: deque[tuple[float, float, float, float]] = deque(maxlen=KEPT)

    def _on(self, control: Control) -> bool:
        return bool(self.registers.get("AtomTrack.Ctrl", control)[0])

    def _ctrl_set(self, which: int, on: int) -> None:
        """Answer ``AtomTrack.CtrlSet``: switch modulation (0), controller (1) or drift measurement (2).

        The controller switches the modulation on with it, and averages the place over the switch-off delay when it is
        switched off.
        """
        if which not in set(Control):
            raise NanonisError(f"There is no atom tracking control {which}, only 0 to 2.")
        if on and not self.software.z.is_on:
            raise NanonisError("The Z-Controller is off: no height is tracked. Switch it on first.")
        control, was = Control(which), self._on(Control.CONTROLLER)
        self.registers.set("AtomTrack.Ctrl", [bool(on)], control)
        if control == Control.CONTROLLER and on:
            self.registers.set("AtomTrack.Ctrl", [True], Control.MODULATION)
            if not self.software.is_doing("tracking"):
                self.software.begin("tracking", self._track)
        elif control == Control.CONTROLLER and was:
            self.software.wait_for("tracking")
        if control == Control.DRIFT and on:
            self.centers.clear()

    def _status_get(self, which: int) -> Answer:
        """Answer ``AtomTrack.StatusGet`` with 1 for a control that is on."""
        if which not in set(Control):
            raise NanonisError(f"There is no atom tracking control {which}, only 0 to 2.")
        return list(self.registers.get("AtomTrack.Ctrl", which))

    def end(self) -> None:
        """Let the tracking end after the circle that is being gone."""
        for control in Control:
            self.registers.set("AtomTrack.Ctrl", [False], control)

    # ---- the circle ----

    def circle(self) -> tuple[Point, float, tuple[float, float]]:
        """Go round once.

        Returns
        -------
        tuple
            Centre (nm), mean height (nm), and slope of the height along x and y there (nm/nm).
        """
        _, _, amplitude, *_ = self.registers.get("AtomTrack.Props")
        center, radius = self.controller.get_tip().point, ours(amplitude, LENGTH)
        angles = 2 * np.pi * np.arange(AROUND) / AROUND
        heights = []
        for angle in angles:
            self.controller.move_tip(Point(center.x + radius * math.cos(angle), center.y + radius * math.sin(angle)))
            heights.append(self.controller.get_tip().z)
        self.controller.move_tip(center)
        slopes = 2 / (AROUND * radius) * np.array([np.cos(angles), np.sin(angles)]) @ np.array(heights)
        return center, float(np.mean(heights)), (float(slopes[0]), float(slopes[1]))

    def step(self) -> None:
        """Go round once and climb, by the gain times what the height changes on the circle; the phase turns the direction."""
        gain, _, amplitude, phase, _ = self.registers.get("AtomTrack.Props")
        center, height, slopes = self.circle()
        radius, turn = ours(amplitude, LENGTH), math.radians(phase)
        far = gain * radius * complex(*slopes) * complex(math.cos(turn), math.sin(turn))
        far *= min(1.0, radius / abs(far)) if far else 1.0  # it follows what it saw, and it saw no further than the circle
        after = Point(center.x + far.real, center.y + far.imag)
        self.controller.move_tip(after)
        self.centers.append((self.controller.now(), *after, height))

    def _track(self) -> None:
        while self._on(Control.CONTROLLER) and not self.software.closing.is_set() and not self.software.z.withdrawn:
            if not self.software.is_doing(*BUSY) and self.software.z.is_on:
                try:
                    self.step()
                except STMError:
                    self.end()
                    raise
            self.software.pause(PACE)
        *_, delay = self.registers.get("AtomTrack.Props")
        if not self.software.z.withdrawn and (last := self._since(delay)) and not self.software.is_doing(*BUSY):
            x, y = np.mean([place[1:3] for place in last], axis=0)
            self.controller.move_tip(Point(float(x), float(y)))

    def _since(self, seconds: float) -> list[tuple[float, float, float, float]]:
        now = self.controller.now()
        return [place for place in self.centers if now - place[0] <= seconds]

    # ---- drift and tilt ----

    def drift(self) -> tuple[float, float, float]:
        """Return how fast what is tracked moves along x, y and z, in nm/s.

        Raises
        ------
        NanonisError
            When it has not been tracked long enough.
        """
        places = np.array(self.centers)
        if len(places) < AROUND or np.ptp(places[:, 0]) <= 0:
            raise NanonisError("The drift was not measured long enough: track a feature with the drift measurement on.")
        times = places[:, 0] - places[0, 0]
        x, y, z = (float(np.polyfit(times, places[:, axis], 1)[0]) for axis in (1, 2, 3))
        return x, y, z

    def _drift_comp(self) -> None:
        """Answer ``AtomTrack.DriftComp``: add the drift that was measured to what is compensated.

        Raises
        ------
        NanonisError
            When the drift measurement is off, or has not seen enough.
        """
        if not self._on(Control.DRIFT):
            raise NanonisError("The drift measurement of the atom tracking is off: there is no drift to compensate.")
        self._compensate()

    def _compensate(self) -> None:
        on, *before, percent = self.registers.get("Piezo.DriftComp")
        measured = [si(value, LENGTH) for value in self.drift()]
        velocities = [new + (old if on else 0.0) for new, old in zip(measured, before, strict=True)]
        self.software.piezo.compensate((1, *velocities, percent))
        self.centers.clear()

    def _quick_comp_start(self, which: int) -> None:
        """Answer ``AtomTrack.QuickCompStart``: correct the tilt (0), or follow what is here and correct the drift (1)."""
        if which not in set(Compensation):
            raise NanonisError(f"There is no quick compensation {which}, only 0 and 1.")
        if not self.software.z.is_on:
            raise NanonisError("The Z-Controller is off: no height is tracked. Switch it on first.")
        with self.software.doing("move"):
            if which == Compensation.TILT:
                slopes = np.mean([self.circle()[2] for _ in range(QUICK)], axis=0)
                self.registers.set("Piezo.Tilt", [math.degrees(math.atan(slope)) for slope in slopes.tolist()])
                return
            self.centers.clear()
            for _ in range(QUICK):
                self.step()
            self._compensate()
