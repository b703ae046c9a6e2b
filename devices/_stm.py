"""The whole microscope as one ophyd device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property

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
from bluesky_stm.devices._settled import settled
from bluesky_stm.devices._signals import CONFIG, NORMAL, OMITTED
from bluesky_stm.devices._stm_device import OphydValue
from bluesky_stm.devices._sweep import BiasSweep
from bluesky_stm.devices._tip import TipPosition
from bluesky_stm.devices._tracker import AtomTracker
from bluesky_stm.devices._watch import Watch
from bluesky_stm.devices._worker import Worker
from bluesky_stm.devices._z import ZController
from bluesky_stm.devices._z_sweep import ZSweep
from bluesky_stm.errors import LimitError, MotionStoppedError, NotCapableError, OscillationError, SettingsError, STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.parts import JSON, Part
from bluesky_stm.protocols import STEEPEST_DECAY, Controller
from bluesky_stm.settings import QUANTITIES, Limits

HARMLESS = (MotionStoppedError, LimitError, NotCapableError, OscillationError, SettingsError)
"""Faults that leave the tip as it was, and therefore do not call for a withdrawal."""


class STM(Device):
    """A scanning tunneling microscope, with one component for each thing that it can do.

    The components are ``tip``, ``bias``, ``sweep``, ``z_sweep``, ``current``, ``z``, ``lockin``, ``scanner``, ``grid``,
    ``pulse``, ``shaper``, ``drift``, ``watch`` (values for suspenders), ``tracker`` (of a feature) and
    ``conditions`` (bias, set point and feedback together).

    Parameters
    ----------
    prefix : str
        Not used; the controller knows its address.
    controller : Controller
        Does the work: a simulated, a recorded or a real one.
    limits : Limits, optional
        Limits that are narrower than what the hardware can do; those of the hardware if not given.
    images : ImageStore, optional
        Store of the images that are too large for a document; all stay inline if not given.
    part : Part, optional
        Part by which the controller was opened; with it in the start document a stored run can be opened again.
    name : str
        Name of the device, with which the names of all signals begin.
    **kwargs
        Passed on to `ophyd.Device`.

    Attributes
    ----------
    disturbances : int
        How many measurements in a row somebody disturbed, the last one included; ``disturbed`` says how.
    fault : BaseException or None
        First fault since `clear_fault`; while there is one, nothing is measured.
    """

    tip = Cpt(TipPosition, kind=NORMAL, labels={"motors"})
    bias = Cpt(Bias, kind=NORMAL, labels={"motors"})
    sweep = Cpt(BiasSweep, kind=OMITTED, labels={"detectors"})
    z_sweep = Cpt(ZSweep, kind=OMITTED, labels={"detectors"})
    current = Cpt(TunnelingCurrent, kind=NORMAL, labels={"detectors"})
    z = Cpt(ZController, kind=NORMAL)
    lockin = Cpt(LockIn, kind=CONFIG)
    scanner = Cpt(Scanner, kind=OMITTED, labels={"detectors"})
    pulse = Cpt(TipPulse, kind=OMITTED)
    shaper = Cpt(TipShaper, kind=OMITTED)
    drift = Cpt(DriftCompensation, kind=OMITTED)
    watch = Cpt(Watch, kind=OMITTED)
    grid = Cpt(GridSpectroscopy, kind=OMITTED, labels={"flyers"})
    tracker = Cpt(AtomTracker, kind=OMITTED)
    conditions = Cpt(ConditionsKeeper, kind=OMITTED)

    controller_of_parts = True

    def __init__(
        self,
        prefix: str = "",
        *,
        controller: Controller,
        limits: Limits | None = None,
        images: ImageStore | None = None,
        part: Part | None = None,
        name: str = "stm",
        **kwargs: OphydValue,
    ) -> None:
        self.controller, self.part = controller, part
        self.worker = Worker(name, on_fault=self.latch)
        self.fault: BaseException | None = None
        self.disturbances, self.disturbed = 0, ""
        self.images = images or ImageStore()
        self._limits = limits
        super().__init__(prefix, name=name, **kwargs)

    def __repr__(self) -> str:
        fault = f", fault: {type(self.fault).__name__}" if self.fault else ""
        return f"<STM {self.name!r}: {type(self.controller).__name__}{fault}>"

    def describe_controller(self) -> JSON:
        """Return what the controller says of itself, and the ``part`` by which it can be opened again."""
        return {**self.controller.describe(), **({"part": self.part.describe()} if self.part else {})}

    def describe_settings(self) -> JSON:
        """Return what is measured with, for a start document: limits, sweep, lock-in, and the time per line of images."""
        return settled(self)

    @property
    def withdrawn(self) -> bool:
        """Return True when the tip is out of reach of the surface, as the controller reports it."""
        return self.controller.is_withdrawn()

    @property
    def is_staged(self) -> bool:
        """Return True when the microscope is staged as a whole, as bluesky's plans stage it.

        It then restores the tunneling conditions for its components, too.
        """
        return self._staged != Staged.no

    def stage(self) -> list[object]:
        """Make the microscope ready for a run, and remember the tunneling conditions."""
        if not self.is_staged:
            self.conditions.enter(self)
        return super().stage()

    def unstage(self) -> list[object]:
        """End what is under way; restore the tunneling conditions, or withdraw the tip after a fault."""
        # Called in the reverse order: all measurements are ended before the conditions are restored.
        with ExitStack() as whatever_happens:
            whatever_happens.callback(self.conditions.leave, self)
            for measuring in (self.sweep, self.z_sweep, self.scanner, self.grid, self.tracker):
                whatever_happens.callback(measuring.break_off)
            return super().unstage()

    @cached_property
    def limits(self) -> Limits:
        """Return the limits in force: those that were given, cut to what the hardware reaches.

        The range of the hardware is read once, when the limits are asked for first.
        """
        ranges = self.controller.ranges
        asked = self._limits or Limits.within(ranges)
        # The narrower holds: a limit that is wider than the hardware would let the controller refuse in the middle of a plan.
        inside = {
            name: (max(low, ranges[name][0]), min(high, ranges[name][1]))
            for name, (low, high) in asked.model_dump(include=set(QUANTITIES)).items()
            if name in ranges
        }
        return Limits.parse({**asked.model_dump(), **inside})

    @contextmanager
    def within(self, limits: Limits) -> Iterator[None]:
        """Let other limits hold for a while: those of a run that is resumed.

        Parameters
        ----------
        limits : Limits
            They reach nowhere beyond those in force.
        """
        before = self.limits
        self.limits = limits
        try:
            yield
        finally:
            self.limits = before

    def limits_of(self, quantity: str) -> tuple[float, float]:
        """Return the lowest and the highest value of a quantity.

        Parameters
        ----------
        quantity : str
            Name of a field of `Limits`: bias (V), current and setpoint (nA), x, y and z (nm), speed (nm/s).
        """
        return getattr(self.limits, quantity)

    def check(self, quantity: str, value: float, what: str) -> None:
        """Refuse a value outside the limits of its quantity.

        Parameters
        ----------
        quantity : str
            Field of `Limits`: ``"bias"``, ``"x"``, ``"speed"`` ...
        value : float
            Value that is asked for, in the unit of the quantity.
        what : str
            Name of the signal, for the message.

        Raises
        ------
        LimitError
            Outside the limits.
        """
        self.limits.check(quantity, value, what)

    def allows_dose(self, seconds: float) -> bool:
        """Return True when even the highest current may be kept for so many ``seconds``."""
        return seconds <= self.limits.dose

    def check_dose(self, what: str, seconds: float, current: float = math.inf) -> None:
        """Refuse to keep more than half of the highest current for longer than the dose limit allows.

        Parameters
        ----------
        what : str
            Name of the device, for the message.
        seconds : float
            Duration of the act, in s.
        current : float
            Current during the act, in nA; without it the highest one is assumed.

        Raises
        ------
        LimitError
            When the act would last too long; nothing has been done then.
        """
        high, dose = self.limits.current[1], self.limits.dose
        if current > high / 2 and not self.allows_dose(seconds):
            raise LimitError(
                f"{what} would keep {current:g} nA, more than half of {high:g} nA, for {seconds:.3g} s instead of {dose:g} s. "
                "Nothing has been done. Be faster, or start from a lower set point."
            )

    def check_junction(self, what: str, bias: float, current: float) -> None:
        """Refuse a set point that only a tip in contact would carry: one quantum of conductance or more.

        Parameters
        ----------
        what : str
            Name of the signal, for the message.
        bias : float
            Sample bias, in V.
        current : float
            Set-point current, in nA.

        Raises
        ------
        LimitError
            When ``current`` is not below the conductance quantum times the magnitude of ``bias``.
        """
        if current >= units.CONDUCTANCE_QUANTUM * abs(bias):
            raise LimitError(
                f"{what} = {bias:g} V leaves no current that would hold the tip above the surface, at a set point of "
                f"{current:g} nA. Nothing has moved. Withdraw the tip before, or ask for another bias."
            )

    def check_gap(self, what: str, offset: float, setpoint: Setpoint) -> None:
        """Refuse to move the tip so far towards the surface that it may touch.

        The gap is not known, but the conductance at the set point is, and how steeply it grows at most: a current of a quantum
        of conductance flows through a single atom in contact.

        Parameters
        ----------
        what : str
            Name of the signal, for the message.
        offset : float
            How far the tip is moved from where the feedback held it, in nm; negative: closer.
        setpoint : Setpoint
            Bias (V) and current (nA) at which the feedback held it.

        Raises
        ------
        LimitError
            When the current there would reach a quantum of conductance at the steepest `STEEPEST_DECAY`.
        """
        in_contact = units.CONDUCTANCE_QUANTUM * abs(setpoint.bias)
        room = math.log(in_contact / setpoint.current) / STEEPEST_DECAY if in_contact > setpoint.current else 0.0
        if -offset > room:
            raise LimitError(
                f"{what} = {offset:g} nm may bring the tip into contact: {setpoint.current:g} nA at {setpoint.bias:g} V leave "
                f"{room:.2f} nm at most. Nothing has moved. Ask for a smaller offset, or hold the tip at a smaller current."
            )

    def hold_still(self, success: bool = False) -> None:
        """End motion, scan and sweep now, and drop the acts that wait for their turn; the feedback stays closed.

        A ramp of the bias through 0 V is not interrupted, because the controller would close the feedback near 0 V. ``success``
        is True when the acts that end have not failed.
        """
        self.worker.stopping(success)
        if not self.bias.crossing:
            self.controller.stop()
        elif self.fault is not None:  # the crossing took too long, or worse
            self.worker.submit(self, self.withdraw_now, urgent=True)

    def stop(self, *, success: bool = False) -> None:
        """Hold still; the tip is never retracted by this."""
        self.hold_still(success)

    def withdraw_now(self) -> None:
        """End what is under way and withdraw the tip; return when it is withdrawn.

        The withdrawal is tried even where the controller could not be stopped.
        """
        crossing = self.bias.crossing  # stopped there, the controller would close the feedback near 0 V
        if not crossing:
            self._stop_if_possible()
        self.controller.withdraw()
        if crossing:
            self._stop_if_possible()

    def note_disturbance(self, changes: str) -> None:
        """Count the measurements in a row during which somebody changed what defines them.

        Parameters
        ----------
        changes : str
            What was changed during the last one, empty for nothing.
        """
        self.disturbances, self.disturbed = (self.disturbances + 1, changes) if changes else (0, "")

    def check_ready(self) -> None:
        """Refuse to begin a run while the microscope is not prepared for one, as its controller sees it.

        Raises
        ------
        STMError
            With everything that has to be seen to. Nothing has moved.
        """
        look = getattr(self.controller, "obstacles", None)
        if found := look(self.sweep.settings.dwell) if look else ():
            raise STMError(
                f"{self.name} is not ready for a run. {' '.join(found)} Nothing has moved. See to it, or name what is meant in "
                "despite=[...] of the controller."
            )

    def require_contact(self) -> None:
        """Refuse to measure after a fault that nobody has cleared, and with the tip withdrawn.

        Raises
        ------
        STMError
            In both cases; nothing was measured then.
        """
        self.require_no_fault("measured")
        if self.withdrawn:
            raise STMError(f"The tip of {self.name} is withdrawn. Nothing was measured. Look at it, then approach.")

    def require_no_fault(self, done: str) -> None:
        """Refuse to go on until a person has cleared the fault.

        ``done`` is the word for what was not done, such as ``"measured"``.
        """
        if self.fault is not None:
            raise STMError(
                f"{self.name} is out of use after {type(self.fault).__name__}: {self.fault} Nothing was {done}. "
                f"Look at the tip, call {self.name}.clear_fault(), then approach."
            )

    def clear_fault(self) -> None:
        """Let the microscope approach and measure again, after a person has looked at the tip.

        No plan and no suspender calls this.
        """
        self.fault = None

    def _stop_if_possible(self) -> None:
        with suppress(Exception):
            self.controller.stop()

    def latch(self, fault: BaseException) -> None:
        """Remember the first fault, unless it is one of `HARMLESS`.

        The tip is withdrawn on the way out of the plan, and nothing is measured until `clear_fault`.
        """
        if self.fault is None and not isinstance(fault, HARMLESS):
            self.fault = fault
