"""The sample bias."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ophyd import Component as Cpt
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._positioner import Positioner
from bluesky_stm.devices._signals import CONFIG, Parameter
from bluesky_stm.errors import LimitError, MotionStoppedError, STMError

CROSSING_TIMEOUT = 60.0
"""Longest time that is waited for a ramp through 0 V before the tip is brought to rest, in s of wall time."""


class Bias(Positioner):
    """Sample bias, in V: positive bias probes the empty states of the sample. Ramped at the controller's slew rate.

    With the feedback closed the tip would be driven into the surface where the bias passes 0 V: such a ramp is refused or,
    with ``allow_crossing``, done with the feedback held open, as one act: a stop lets it arrive (the tip holds still anyway),
    and where it can't, the tip goes back to the old bias, or is withdrawn, before anything closes the feedback.
    """

    quantity = "bias"
    units = units.BIAS

    allow_crossing = Cpt(Parameter, value=False, form="boolean", kind=CONFIG)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.crossing = False
        """Whether a ramp through 0 V is under way, which nothing may interrupt."""
        self._passage = threading.RLock()

    @property
    def position(self) -> float:
        """Bias now, in V."""
        return self.controller.get_bias()

    def set(self, value: float, *, timeout: float | None = None) -> Status:
        """Ramp to ``value``, in V; the status ends on arrival or with the fault.

        Raises
        ------
        LimitError
            Outside the limits; at or near 0 V with the tip at the surface; beyond 0 V with the feedback closed, unless allowed.
        """
        self.check_value(value)
        self.check_way(value)
        return super().set(value, timeout=timeout)

    def check_way(self, value: float) -> None:
        """Refuse a ramp to ``value``, in V, on which nothing would hold the tip."""
        self.check_hold(value)
        if self.crosses(value) and self.controller.get_feedback() and not self.allow_crossing.get():
            raise LimitError(
                f"{self.name} = {value:g} V lies beyond 0 V from {self.position:g} V with the feedback closed: "
                f"the tip would touch. Nothing has moved. Set {self.allow_crossing.name} to hold the feedback open on the way."
            )

    def check_hold(self, value: float) -> None:
        """Refuse a bias, in V, at which the feedback could not hold the tip at the surface."""
        if not self.stm.withdrawn:
            self.stm.check_junction(self.name, value, self.controller.get_setpoint().current)

    def crosses(self, value: float) -> bool:
        """Whether ``value``, in V, lies beyond 0 V, with the tip at the surface."""
        return self.position * value <= 0 and not self.stm.withdrawn

    def go(self, value: float) -> None:
        """Ramp; blocks. Where that passes 0 V at the surface, the feedback is held open on the way."""
        self.check_hold(value)
        if not self.crosses(value):
            self.controller.ramp_bias(value)
            return
        with self.by_itself():
            self._cross(value)

    @contextmanager
    def by_itself(self) -> Iterator[None]:
        """Inside, nothing else ramps the bias; a ramp through 0 V that is under way is waited for."""
        if not self._passage.acquire(timeout=CROSSING_TIMEOUT):
            raise STMError(f"{self.name} is on its way through 0 V for more than {CROSSING_TIMEOUT:g} s. Withdraw the tip.")
        try:
            yield
        finally:
            self._passage.release()

    def _cross(self, value: float) -> None:
        self.crossing = True
        try:
            before, held = self.position, self.controller.get_feedback()
            self.controller.set_feedback(False)
            try:
                self.controller.ramp_bias(value)
                if held:
                    self.controller.set_feedback(True)
            except MotionStoppedError:
                self._go_back(before, held)
                raise
            except Exception:
                self.stm.withdraw_now()
                raise
        finally:
            self.crossing = False

    def _go_back(self, before: float, held: bool) -> None:
        """After a stop of somebody else, who may have closed the feedback: open it and return, or withdraw."""
        try:
            self.controller.set_feedback(False)
            self.controller.ramp_bias(before)
            if held and not self.controller.is_withdrawn():
                self.controller.set_feedback(True)
        except Exception:
            self.stm.withdraw_now()
            raise
