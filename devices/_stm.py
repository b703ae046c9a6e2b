"""The whole microscope."""

from __future__ import annotations

import math
from contextlib import ExitStack, suppress
from functools import cached_property
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device
from ophyd.device import Staged

from bluesky_stm import units
from bluesky_stm.devices._bias import Bias
from bluesky_stm.devices._conditions import ConditionsKeeper
from bluesky_stm.devices._current import TunnelingCurrent
from bluesky_stm.devices._drift import DriftCompensation
from bluesky_stm.devices._grid import GridSpectroscopy
from bluesky_stm.devices._images import ImageStore
from bluesky_stm.devices._lockin import LockIn
from bluesky_stm.devices._one_shot import TipPulse, TipShaper
from bluesky_stm.devices._scanner import Scanner
from bluesky_stm.devices._signals import CONFIG, NORMAL, OMITTED
from bluesky_stm.devices._sweep import BiasSweep
from bluesky_stm.devices._tip import TipPosition
from bluesky_stm.devices._watch import Watch
from bluesky_stm.devices._worker import Worker
from bluesky_stm.devices._z import ZController
from bluesky_stm.errors import LimitError, MotionStoppedError, NotCapableError, SettingsError, STMError
from bluesky_stm.protocols import Controller
from bluesky_stm.settings import QUANTITIES, Limits

HARMLESS = (MotionStoppedError, LimitError, NotCapableError, SettingsError)
"""Faults that leave the tip as it was: they don't call for a withdrawal."""


class STM(Device):
    """A scanning tunneling microscope: tip, bias, sweep, current, z, lockin, scanner, grid; pulse, shaper, watch, conditions.

    Parameters
    ----------
    prefix : str
        Not used; the controller knows its address.
    controller : Controller
        What does the work: simulated, recorded or a real one.
    limits : Limits, optional
        Interlocks, narrower than what the hardware can do; that if not given.
    images : ImageStore, optional
        Where images go that are too large for a document; all stay inline if not given.
    """

    tip = Cpt(TipPosition, kind=NORMAL, labels={"motors"})
    bias = Cpt(Bias, kind=NORMAL, labels={"motors"})
    sweep = Cpt(BiasSweep, kind=OMITTED, labels={"detectors"})
    current = Cpt(TunnelingCurrent, kind=NORMAL, labels={"detectors"})
    z = Cpt(ZController, kind=NORMAL)
    lockin = Cpt(LockIn, kind=CONFIG)
    scanner = Cpt(Scanner, kind=OMITTED, labels={"detectors"})
    pulse = Cpt(TipPulse, kind=OMITTED)
    shaper = Cpt(TipShaper, kind=OMITTED)
    drift = Cpt(DriftCompensation, kind=OMITTED)
    watch = Cpt(Watch, kind=OMITTED)
    grid = Cpt(GridSpectroscopy, kind=OMITTED, labels={"flyers"})
    conditions = Cpt(ConditionsKeeper, kind=OMITTED)

    controller_of_parts = True

    def __init__(
        self,
        prefix: str = "",
        *,
        controller: Controller,
        limits: Limits | None = None,
        images: ImageStore | None = None,
        name: str = "stm",
        **kwargs: Any,
    ) -> None:
        self.controller = controller
        self.worker = Worker(name, on_fault=self.latch)
        self.fault: BaseException | None = None
        self.images = images or ImageStore()
        self._limits = limits
        super().__init__(prefix, name=name, **kwargs)

    @property
    def withdrawn(self) -> bool:
        """Whether the tip is out of reach of the surface, as the controller says."""
        return self.controller.is_withdrawn()

    @property
    def is_staged(self) -> bool:
        """Whether it is staged as a whole, as bluesky's plans stage it; then it takes care of its parts' rest, too."""
        return self._staged != Staged.no

    def stage(self) -> list[object]:
        """Make ready for a run, and remember how the tip rests."""
        if not self.is_staged:
            self.conditions.enter(self)
        return super().stage()

    def unstage(self) -> list[object]:
        """End what is under way; put the tip back to rest, or withdraw it after a fault."""
        with ExitStack() as whatever_happens:
            whatever_happens.callback(self.conditions.leave, self)
            for measuring in (self.sweep, self.scanner, self.grid):
                whatever_happens.callback(measuring.break_off)
            return super().unstage()

    @cached_property
    def limits(self) -> Limits:
        """The interlocks, as far as the hardware reaches."""
        ranges = self.controller.ranges
        asked = self._limits or Limits.within(ranges)
        inside = {
            name: (max(low, ranges[name][0]), min(high, ranges[name][1]))
            for name, (low, high) in asked.model_dump(include=set(QUANTITIES)).items()
            if name in ranges
        }
        return Limits.parse({**asked.model_dump(), **inside})

    def limits_of(self, quantity: str) -> tuple[float, float]:
        """Lowest and highest value of a quantity."""
        return getattr(self.limits, quantity)

    def check(self, quantity: str, value: float, what: str) -> None:
        """Refuse ``value`` outside the interlock of ``quantity``; ``what`` names the signal."""
        self.limits.check(quantity, value, what)

    def check_dose(self, what: str, seconds: float, current: float = math.inf) -> None:
        """Refuse to keep more than half of the highest current for longer than the dose allows."""
        high, dose = self.limits.current[1], self.limits.dose
        if current > high / 2 and not seconds <= dose:
            raise LimitError(
                f"{what} would keep {current:g} nA, more than half of {high:g} nA, for {seconds:.3g} s instead of {dose:g} s. "
                "Nothing has been done. Be faster, or start from a lower set point."
            )

    def check_junction(self, what: str, bias: float, current: float) -> None:
        """Refuse a set point, in V and nA, that only a tip in contact would carry: one quantum of conductance or more."""
        if current >= units.CONDUCTANCE_QUANTUM * abs(bias):
            raise LimitError(
                f"{what} = {bias:g} V leaves no current that would hold the tip above the surface, at a set point of "
                f"{current:g} nA. Nothing has moved. Withdraw the tip before, or ask for another bias."
            )

    def hold_still(self, success: bool = False) -> None:
        """End motion, scan and sweep now, and forget what waits for its turn; the feedback stays closed."""
        self.worker.stopping(success)
        if not self.bias.crossing:
            self.controller.stop()
        elif self.fault is not None:  # the crossing took too long, or worse
            self.worker.submit(self, self.withdraw_now, urgent=True)

    def stop(self, *, success: bool = False) -> None:
        """Hold still. Never a retract."""
        self.hold_still(success)

    def withdraw_now(self) -> None:
        """End what is under way and withdraw; blocks. Tried even where the controller could not be stopped."""
        crossing = self.bias.crossing  # stopped there, the controller would close the feedback near 0 V
        if not crossing:
            self._stop_if_possible()
        self.controller.withdraw()
        if crossing:
            self._stop_if_possible()

    def require_contact(self) -> None:
        """Refuse to measure after a fault, and with the tip withdrawn."""
        self.require_no_fault("measured")
        if self.withdrawn:
            raise STMError(f"The tip of {self.name} is withdrawn. Nothing was measured. Look at it, then approach.")

    def require_no_fault(self, done: str) -> None:
        """Refuse to go on until a person has cleared the fault; ``done`` says what was not done."""
        if self.fault is not None:
            raise STMError(
                f"{self.name} is out of use after {type(self.fault).__name__}: {self.fault} Nothing was {done}. "
                f"Look at the tip, call {self.name}.clear_fault(), then approach."
            )

    def clear_fault(self) -> None:
        """A person has looked at the tip: it may approach and measure again. No plan and no suspender calls this."""
        self.fault = None

    def _stop_if_possible(self) -> None:
        with suppress(Exception):
            self.controller.stop()

    def latch(self, fault: BaseException) -> None:
        """Remember the first fault: the tip is withdrawn at the way out, and nothing is measured until `clear_fault`."""
        if self.fault is None and not isinstance(fault, HARMLESS):
            self.fault = fault
