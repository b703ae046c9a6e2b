"""The tunneling conditions (bias, set point, feedback): remembered before a run and restored after it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from event_model import DataKey
from ophyd import Device
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._signals import data_key, refusal
from bluesky_stm.devices._stm_device import OphydValue
from bluesky_stm.protocols import Controller

if TYPE_CHECKING:
    from bluesky.protocols import Reading

    from bluesky_stm.devices._stm import STM


@dataclass(frozen=True)
class TunnelingConditions:
    """Bias, set point and feedback, as they hold the tip between measurements.

    Attributes
    ----------
    bias : float
        Sample bias, in V.
    current : float
        Set-point current, in nA.
    feedback : bool
        True when the feedback is closed.
    """

    bias: float
    current: float
    feedback: bool

    @classmethod
    def of(cls, controller: Controller) -> Self:
        """Read the conditions as they are now."""
        return cls(controller.get_bias(), controller.get_setpoint().current, controller.get_feedback())

    def reached(self, controller: Controller) -> bool:
        """Return True when the controller has these conditions.

        A feedback that was open and has been closed meanwhile may stay closed.
        """
        now = TunnelingConditions.of(controller)
        same = not (_differs(now.bias, self.bias) or _differs(now.current, self.current))
        return same and (now.feedback or not self.feedback)

    def restore(self, stm: STM) -> None:
        """Restore what differs. The feedback is closed where it was closed, and never opened.

        The tip may have been approached meanwhile, and an open feedback would let it drift into the surface. Where the
        conditions were found with the tip withdrawn at 0 V, the tip is withdrawn first: at that bias nothing would hold it at
        the surface. A withdrawn tip gets bias and set point back, and its feedback stays open.
        """
        controller = stm.controller
        # The bias is ramped before the set point changes, and the feedback is closed last: it must find conditions that hold.
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

    Whatever is staged (devices, and the guards of plans) is remembered in its order, with the conditions that it found.
    Whatever is unstaged brings those back, no matter what was staged after it. The result is therefore right in any order,
    which matters because ``halt`` unstages in none.
    """

    timeout = 120.0
    """Longest time for restoring the conditions, in s of wall time."""

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        self._found: list[tuple[object, TunnelingConditions]] = []

    @property
    def stm(self) -> STM:
        """Return the microscope."""
        return self.parent

    @property
    def position(self) -> TunnelingConditions:
        """Return the conditions as they are now."""
        return TunnelingConditions.of(self.stm.controller)

    def check_value(self, conditions: TunnelingConditions) -> None:
        """Refuse nothing but what are no conditions: these were in force before.

        What brings them back checks each step, and withdraws the tip where one fails.

        Parameters
        ----------
        conditions : TunnelingConditions
            Bias (V), set point (nA) and feedback.
        """
        if not isinstance(conditions, TunnelingConditions):
            raise refusal(self.name, "TunnelingConditions, as its position is", conditions)

    def set(self, conditions: TunnelingConditions) -> Status:
        """End what is under way, then restore ``conditions``.

        After a fault, or where restoring fails, the tip is withdrawn. The status ends when this is done.
        """
        self.check_value(conditions)
        self.stm.worker.stopping(success=True)
        return self.stm.worker.submit(self, self._bring_back, conditions, timeout=self.timeout, urgent=True)

    def enter(self, holder: object) -> TunnelingConditions:
        """Remember the present conditions for whoever is staged, and return them.

        Parameters
        ----------
        holder : object
            Device or guard that was staged; it gives them to `leave` when it is unstaged.
        """
        conditions = self.position
        self._found.append((holder, conditions))
        return conditions

    def leave(self, holder: object) -> None:
        """Restore the conditions that ``holder`` found, and forget those of everything that came after it.

        It blocks until they are restored; nothing is asked of the controller where they are in force already.
        """
        held = [known for known, _ in self._found]
        if holder in held:
            place = held.index(holder)
            try:
                if not self._holds(conditions := self._found[place][1]):
                    self.set(conditions).wait()
            finally:
                # What was staged later found the conditions of a plan inside this one: they count no more.
                del self._found[place:]

    def guard(self) -> Guard:
        """Return an object to be staged around a plan; unstaged, it restores the conditions."""
        return Guard(self)

    def describe(self) -> dict[str, DataKey]:
        """Describe bias (V), set point (nA) and feedback."""
        source = self.stm.controller.source
        return {
            f"{self.name}_bias": data_key(source("bias"), units.BIAS, precision=4),
            f"{self.name}_setpoint": data_key(source("setpoint"), units.CURRENT, precision=5),
            f"{self.name}_feedback": data_key(source("feedback"), dtype="boolean"),
        }

    def read(self) -> dict[str, Reading]:
        """Read the conditions as they are now."""
        conditions, now = self.position, time.time()
        values = zip(self.describe(), (conditions.bias, conditions.current, conditions.feedback), strict=True)
        return {key: {"value": value, "timestamp": now} for key, value in values}

    def _holds(self, conditions: TunnelingConditions) -> bool:
        """Return True when nothing is left to restore; a controller that does not answer is not trusted."""
        try:
            return self.stm.fault is None and conditions.reached(self.stm.controller)
        except Exception:
            return False

    def _is_withdrawn(self) -> bool:
        try:
            return self.stm.withdrawn
        except Exception:
            return False

    def _bring_back(self, conditions: TunnelingConditions) -> None:
        """Take the first way that leads to a safe tip, and raise the fault of a way that failed before it."""
        ways = [self._restore] if self._is_withdrawn() else [self._restore, self._withdraw]
        faults: list[Exception] = []
        # After a fault the withdrawal comes first: conditions are restored then with the tip in the air.
        for way in reversed(ways) if self.stm.fault is not None else ways:
            try:
                way(conditions)
                break
            except Exception as fault:
                faults.append(fault)
        if faults:
            raise faults[0]

    def _withdraw(self, conditions: TunnelingConditions) -> None:
        self.stm.withdraw_now()
        self._restore(conditions)

    def _restore(self, conditions: TunnelingConditions) -> None:
        with self.stm.bias.by_itself():
            self.stm.controller.stop()
            conditions.restore(self.stm)
        self.stm.bias.forget_setpoint()


class Guard:
    """Restores the tunneling conditions around a plan: staged it remembers them, unstaged (also by ``halt``) it restores them.

    Attributes
    ----------
    before : TunnelingConditions or None
        Conditions that were found; None before it is staged.
    """

    parent = None

    def __init__(self, keeper: ConditionsKeeper) -> None:
        self.name = f"{keeper.name}_guard"
        self.before: TunnelingConditions | None = None
        self._keeper = keeper

    def stage(self) -> list[object]:
        """Remember the conditions."""
        self.before = self._keeper.enter(self)
        return [self]

    def unstage(self) -> list[object]:
        """Restore the conditions."""
        self._keeper.leave(self)
        return [self]
