"""The feedback is looked at before it is trusted: one with too much gain oscillates at the resonance of the z piezo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from bluesky_stm.devices._signals import ControllerSignal
from bluesky_stm.devices._stm_device import OphydValue, stm_of
from bluesky_stm.errors import OscillationError
from bluesky_stm.protocols import Capability, Controller, FeedbackGains

if TYPE_CHECKING:
    from bluesky_stm.devices._stm import STM

READINGS: Final = 24
"""Readings of the current by which an oscillation is told. It is far faster than they are, and each finds it anywhere."""

SPREAD: Final = 0.4
"""Standard deviation of the current, relative to its set point, from which the feedback counts as oscillating.

Vibration makes 2 % on the worst days; an oscillation swings up to the end of the preamplifier's range."""

NOISE: Final = 0.002
"""Standard deviation of the current, in nA, below which it may be the noise of the preamplifier at a small set point."""


class GainSignal(ControllerSignal):
    """A gain of the feedback: after it was changed the current says whether the feedback oscillates."""

    def put(self, value: OphydValue, **kwargs: OphydValue) -> None:
        """Write the gain to the controller, and return when the feedback is steady with it.

        Raises
        ------
        OscillationError
            When it oscillates: the gains of before are back, or the tip is withdrawn.
        """
        stm = stm_of(self)
        before = stm.controller.get_gains()
        super().put(value, **kwargs)
        check_steady(stm, before)


def check_steady(stm: STM, before: FeedbackGains | None) -> None:
    """Look at the current, and end an oscillation of the feedback.

    Parameters
    ----------
    stm : STM
        Microscope whose feedback is looked at.
    before : FeedbackGains or None
        Gains with which it was steady, if any are known.

    Raises
    ------
    OscillationError
        When it oscillates: ``before`` is restored, and where that does not help the tip is withdrawn.
    """
    controller = stm.controller
    spread = _spread(controller)
    if not spread:
        return
    gains, told = controller.get_gains(), f"the current spreads by {spread:.0%} of its set point"
    said = f"With P = {gains.proportional:g} nm and I = {gains.integral:g} nm/s the feedback of {stm.name} oscillates: {told}."
    if before is not None and before != gains:
        controller.set_gains(before)
        if not _spread(controller):
            raise OscillationError(
                f"{said} P = {before.proportional:g} nm and I = {before.integral:g} nm/s are restored, and it is steady. Ask "
                "for less gain."
            )
    controller.withdraw()
    raise OscillationError(f"{said} The tip has been withdrawn. Ask for less gain, inspect the tip, and approach.")


def _spread(controller: Controller) -> float:
    """Return the standard deviation of the current relative to its set point where the feedback oscillates, and 0 otherwise."""
    able = {Capability.FEEDBACK, Capability.WITHDRAW} <= controller.capabilities
    if not able or not controller.get_feedback() or controller.is_withdrawn():
        return 0.0
    setpoint = controller.get_setpoint().current
    deviation = float(np.std([controller.read_current() for _ in range(READINGS)]))
    return deviation / setpoint if deviation > max(SPREAD * setpoint, NOISE) else 0.0
