"""How the tip rests between measurements, remembered before a run and brought back after it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from event_model import DataKey
from ophyd import Device
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._signals import data_key
from bluesky_stm.protocols import Controller

if TYPE_CHECKING:
    from bluesky_stm.devices._stm import STM


@dataclass(frozen=True)
class TunnelingConditions:
    """Bias (V), set-point current (nA) and feedback."""

    bias: float
    current: float
    feedback: bool

    @classmethod
    def of(cls, controller: Controller) -> Self:
        """As it stands now."""
        return cls(controller.get_bias(), controller.get_setpoint().current, controller.get_feedback())

    def reached(self, controller: Controller) -> bool:
        """Whether the tip rests so; a feedback that has been closed meanwhile may stay so."""
        now = TunnelingConditions.of(controller)
        same = not (_differs(now.bias, self.bias) or _differs(now.current, self.current))
        return same and (now.feedback or not self.feedback)

    def restore(self, stm: STM) -> None:
        """Bring back what differs; the feedback is closed where it was, and never opened.

        The tip may have been approached meanwhile, and an open feedback would let it drift into the surface. Found in the air
        at 0 V, it is withdrawn: at that bias nothing would hold it. In the air bias and set point come back, the feedback
        stays open.
        """
        controller = stm.controller
        if self.bias == 0 and not stm.withdrawn:
            stm.withdraw_now()
        if _differs(controller.get_bias(), self.bias):
            stm.bias.go(self.bias)
        if _differs(controller.get_setpoint().current, self.current):
            controller.set_setpoint_current(self.current)
        if self.feedback and not stm.withdrawn and not controller.get_feedback():
            controller.set_feedback(True)


def _differs(now: float, before: float) -> bool:
    return math.isfinite(before) and not math.isclose(now, before, rel_tol=1e-6, abs_tol=1e-6)


class ConditionsKeeper(Device):
    """Settable tunneling conditions of an `STM`: ``bps.mv(stm.conditions, before)``; after a fault that withdraws the tip.

    What is staged - parts, and the guards of plans - is remembered in its order with the rest it found; what is unstaged
    brings that back, whatever was staged after it. So it comes out right in any order: ``halt`` unstages in none.
    """

    timeout = 120.0
    """Longest time to come to rest, in s of wall time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._found: list[tuple[object, TunnelingConditions]] = []

    @property
    def stm(self) -> STM:
        """The microscope."""
        return self.parent

    @property
    def position(self) -> TunnelingConditions:
        """As the tip rests now."""
        return TunnelingConditions.of(self.stm.controller)

    def check_value(self, rest: TunnelingConditions) -> None:
        """Nothing to refuse: it stood before."""

    def set(self, rest: TunnelingConditions) -> Status:
        """End what is under way; then restore ``rest`` or, after a fault or where that fails, withdraw the tip."""
        self.stm.worker.stopping(success=True)
        return self.stm.worker.submit(self, self._bring_back, rest, timeout=self.timeout, urgent=True)

    def enter(self, holder: object) -> TunnelingConditions:
        """Remember for ``holder`` how the tip rests."""
        rest = self.position
        self._found.append((holder, rest))
        return rest

    def leave(self, holder: object) -> None:
        """Bring back what ``holder`` found, and forget who came after it."""
        held = [known for known, _ in self._found]
        if holder in held:
            place = held.index(holder)
            try:
                if not self._holds(rest := self._found[place][1]):
                    self.set(rest).wait()
            finally:
                del self._found[place:]

    def guard(self) -> Guard:
        """Something to stage around a plan."""
        return Guard(self)

    def describe(self) -> dict[str, DataKey]:
        """Bias, set point and feedback."""
        source = self.stm.controller.source
        return {
            f"{self.name}_bias": data_key(source("bias"), units.BIAS, precision=4),
            f"{self.name}_setpoint": data_key(source("setpoint"), units.CURRENT, precision=5),
            f"{self.name}_feedback": data_key(source("feedback"), dtype="boolean"),
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """As the tip rests now."""
        rest, now = self.position, time.time()
        values = zip(self.describe(), (rest.bias, rest.current, rest.feedback), strict=True)
        return {key: {"value": value, "timestamp": now} for key, value in values}

    def _holds(self, rest: TunnelingConditions) -> bool:
        """Whether nothing is left to do; a controller that does not say is not believed."""
        try:
            return self.stm.fault is None and rest.reached(self.stm.controller)
        except Exception:
            return False

    def _is_withdrawn(self) -> bool:
        try:
            return self.stm.withdrawn
        except Exception:
            return False

    def _bring_back(self, rest: TunnelingConditions) -> None:
        """The first way that leads to safety; a way that failed is told even where the next one led there."""
        ways = [self._restore] if self._is_withdrawn() else [self._restore, self._withdraw]
        faults: list[Exception] = []
        for way in reversed(ways) if self.stm.fault is not None else ways:
            try:
                way(rest)
                break
            except Exception as fault:
                faults.append(fault)
        if faults:
            raise faults[0]

    def _withdraw(self, rest: TunnelingConditions) -> None:
        self.stm.withdraw_now()
        self._restore(rest)

    def _restore(self, rest: TunnelingConditions) -> None:
        with self.stm.bias.by_itself():
            self.stm.controller.stop()
            rest.restore(self.stm)
        self.stm.bias.forget_setpoint()


class Guard:
    """Staged around a plan, it remembers how the tip rests; unstaged, also by ``halt``, it brings that back."""

    parent = None

    def __init__(self, keeper: ConditionsKeeper) -> None:
        self.name = f"{keeper.name}_guard"
        self.before: TunnelingConditions | None = None
        self._keeper = keeper

    def stage(self) -> list[object]:
        """Remember."""
        self.before = self._keeper.enter(self)
        return [self]

    def unstage(self) -> list[object]:
        """Bring back."""
        self._keeper.leave(self)
        return [self]
