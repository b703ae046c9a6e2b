"""The modules Bias, Current and FolMe: bias, preamplifier, and the lateral place of the tip."""

from __future__ import annotations

from contextlib import suppress

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, Pulse
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import MotionStoppedError
from bluesky_stm.geometry import Point
from bluesky_stm.units import CURRENT as NANOAMPERE
from bluesky_stm.units import LENGTH


class BiasModule(Module):
    """The sample bias."""

    name = "Bias"

    def _set(self, bias: float) -> None:
        self.controller.ramp_bias(bias)

    def _get(self) -> Answer:
        return [self.controller.get_bias()]

    def _pulse(self, waited_for: int, width: float, bias: float, hold: int, mode: int) -> None:
        target = bias + (self.controller.get_bias() if mode == Pulse.RELATIVE else 0.0)
        self.software.perform("pulse", lambda: self.controller.pulse(target, width), waited_for)


class CurrentModule(Module):
    """The preamplifier."""

    name = "Current"

    def _get(self) -> Answer:
        signals = self.software.signals
        return [si(signals.publish(CURRENT, signals.current, newest=False), NANOAMPERE)]

    def _gains_get(self) -> Answer:
        return [["1 nA/V", "10 nA/V"], 0, ["full bandwidth"], 0]


class FolMeModule(Module):
    """The moves of the tip ("follow me")."""

    name = "FolMe"

    def move(self, to: Point, speed: float | None = None) -> None:
        """Move the tip; stopped, it ends where it is, which is no error."""
        with suppress(MotionStoppedError):
            self.controller.move_tip(to, speed)

    def place(self, newest: bool) -> Answer:
        """Return the place of the tip in m, as it was published last."""
        tip = self.software.signals.publish("XY", self.controller.get_tip, newest)
        return [si(tip.x, LENGTH), si(tip.y, LENGTH)]

    def _xy_pos_set(self, x: float, y: float, waited_for: int) -> None:
        speed, custom = self.registers.get("FolMe.Speed")
        target = Point(ours(x, LENGTH), ours(y, LENGTH))
        asked = ours(speed, LENGTH) if custom else None
        self.software.perform("move", lambda: self.move(target, asked), waited_for)

    def _xy_pos_get(self, newest: int) -> Answer:
        return self.place(bool(newest))

    def _stop(self) -> None:
        self.software.halt("move")
