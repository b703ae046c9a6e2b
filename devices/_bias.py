"""The sample bias as a settable device, with the guards that keep a ramp from driving the tip into the surface."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ophyd import Component as Cpt
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._positioner import Positioner
from bluesky_stm.devices._signals import CONFIG, Parameter
from bluesky_stm.devices._stm_device import OphydValue
from bluesky_stm.errors import LimitError, MotionStoppedError, STMError
from bluesky_stm.measurements import Quality

HARDLY = 0.01
"""Part of the set point below which a spectrum that was taken at it shows no states."""

NO_GUIDE = Quality.CLIPPED | Quality.LOST_CONTACT | Quality.TIP_CHANGED
"""Spectra of which nothing is learned about the gap."""

CROSSING_TIMEOUT = 60.0
"""Longest time, in s of wall time, to wait for a ramp through 0 V before the tunneling conditions are restored."""


class Bias(Positioner):
    """Sample bias, in V; a positive bias probes the empty states of the sample.

    The controller ramps it at its own slew rate. Near 0 V a closed feedback would drive the tip into the surface, because no
    bias there carries the set-point current. A ramp through 0 V is therefore refused or, with ``allow_crossing``, done with the
    feedback held open, as one act. A stop lets such a ramp arrive, since the tip holds still meanwhile. When it cannot arrive,
    the tip goes back to the old bias, or is withdrawn, before anything closes the feedback.
    """

    quantity = "bias"
    units = units.BIAS

    allow_crossing = Cpt(Parameter, value=False, form="boolean", kind=CONFIG)

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        self.crossing = False  # True while a ramp through 0 V is under way, which nothing may interrupt
        self._passage = threading.RLock()

    @property
    @override
    def position(self) -> float:
        return self.controller.get_bias()

    @override
    def set(self, value: float, *, timeout: float | None = None) -> Status:
        """Ramp to ``value`` at the slew rate of the controller.

        Parameters
        ----------
        value : float
            Bias to reach, in V.
        timeout : float, optional
            Longest time for the ramp, in s of wall time; that of the device if not given.

        Returns
        -------
        Status
            Ends on arrival, or with the fault.

        Raises
        ------
        LimitError
            Outside the limits; at or near 0 V with the tip at the surface; beyond 0 V with the feedback closed, unless
            ``allow_crossing`` is set. Nothing has moved then.
        """
        self.check_value(value)
        self.check_way(value)
        return super().set(value, timeout=timeout)

    def check_way(self, value: float) -> None:
        """Refuse a ramp to ``value``, in V, during which nothing would hold the tip above the surface.

        Raises
        ------
        LimitError
            At a bias that carries no current to hold the tip, or beyond 0 V with the feedback closed.
        """
        self.check_hold(value)
        self.check_gap(value)
        if self.crosses(value) and self.controller.get_feedback() and not self.allow_crossing.get():
            raise LimitError(
                f"{self.name} = {value:g} V lies beyond 0 V from {self.position:g} V with the feedback closed: "
                f"the tip would touch. Nothing has moved. Set {self.allow_crossing.name} to hold the feedback open on the way."
            )

    def check_gap(self, value: float) -> None:
        """Refuse a ramp into the gap of the sample with the feedback closed: no states carry the current, and the tip touches.

        The gap is that of the limits, or what the last spectrum at this set point shows: biases on the way at which hardly a
        current flowed.

        Parameters
        ----------
        value : float
            Bias to be reached, in V.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        here, gap = self.position, self.stm.limits.gap
        low, high = sorted((here, value))
        inside = gap is not None and low < gap[1] and high > gap[0]
        known = "that the limits give" if inside else "that the last spectrum shows"
        if not inside:
            gap = self._gap_seen(low, high)
        if gap is None or self.stm.withdrawn or not self.controller.get_feedback():
            return
        if low * high > 0:  # the way through 0 V is looked at by itself
            raise LimitError(
                f"{self.name} = {value:g} V lies in the gap of the sample, {gap[0]:g} to {gap[1]:g} V, {known}: the closed "
                "feedback would find no current and run the tip into the surface. Nothing has moved. Stay outside, or open it."
            )

    def _gap_seen(self, low: float, high: float) -> tuple[float, float] | None:
        """Return biases between two, in V, at which the last spectrum carried hardly a current; None where it did everywhere.

        Parameters
        ----------
        low, high : float
            Ends of the way, in V.
        """
        taken = self.stm.sweep.taken
        if taken is None or taken.quality & NO_GUIDE or taken.setpoint.bias * low < 0:
            return None
        between = (taken.bias >= low) & (taken.bias <= high)
        # Less than the ohmic part, too: in a metal a small bias carries a small current, and that is no gap.
        ohmic = np.minimum(HARDLY, 0.1 * np.abs(taken.bias / taken.setpoint.bias))
        empty = between & (np.abs(taken.current) < ohmic * taken.setpoint.current)
        beyond = taken.bias[empty]
        return (float(beyond.min()), float(beyond.max())) if beyond.size else None

    def check_hold(self, value: float) -> None:
        """Refuse a bias, in V, at which the feedback could not hold the tip at the surface.

        A withdrawn tip may have any bias.
        """
        if not self.stm.withdrawn:
            self.stm.check_junction(self.name, value, self.controller.get_setpoint().current)

    def crosses(self, value: float) -> bool:
        """Return True when a ramp would pass 0 V, or end there, with the tip at the surface.

        Parameters
        ----------
        value : float
            Bias to be reached, in V.
        """
        return self.position * value <= 0 and not self.stm.withdrawn

    @override
    def go(self, value: float) -> None:
        """Ramp to a bias, and return on arrival.

        Where the ramp passes 0 V at the surface, the feedback is held open on the way and closed again afterwards.

        Parameters
        ----------
        value : float
            Bias to reach, in V.

        Raises
        ------
        LimitError
            When the bias could not hold the tip at the surface. Nothing has moved.
        """
        self.check_hold(value)
        if not self.crosses(value):
            self.controller.ramp_bias(value)
            return
        with self.by_itself():
            self._cross(value)

    @contextmanager
    def by_itself(self) -> Iterator[None]:
        """Keep everything else from ramping the bias inside this context.

        A ramp through 0 V that is under way is waited for.

        Raises
        ------
        STMError
            When that ramp takes longer than `CROSSING_TIMEOUT`.
        """
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
            # Open before the ramp begins: a closed feedback follows a falling current into the surface.
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
        """Open the feedback and return to the bias ``before``, in V; withdraw the tip where that fails.

        It is needed after a stop that came from elsewhere and may have closed the feedback near 0 V.
        """
        try:
            self.controller.set_feedback(False)
            self.controller.ramp_bias(before)
            if held and not self.controller.is_withdrawn():
                self.controller.set_feedback(True)
        except Exception:
            self.stm.withdraw_now()
            raise
