"""The sample bias."""

from __future__ import annotations

from ophyd import Component as Cpt
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._positioner import Positioner
from bluesky_stm.devices._signals import CONFIG, Parameter
from bluesky_stm.errors import LimitError
from bluesky_stm.protocols import Controller


class Bias(Positioner):
    """Sample bias, in V: positive bias probes the empty states of the sample. Ramped at the controller's slew rate.

    With the feedback closed the tip would be driven into the surface where the bias passes 0 V: such a ramp is refused,
    or, with ``allow_crossing``, done with the feedback held open.
    """

    quantity = "bias"
    units = units.BIAS

    allow_crossing = Cpt(Parameter, value=False, form="boolean", kind=CONFIG)

    @property
    def position(self) -> float:
        """Bias now, in V."""
        return self.controller.get_bias()

    def set(self, value: float, *, timeout: float | None = None) -> Status:
        """Ramp to ``value``, in V; the status ends on arrival or with the fault.

        Raises
        ------
        LimitError
            Outside the limits, or through 0 V with the feedback closed and ``allow_crossing`` off.
        """
        self.check_value(value)
        if not self.allow_crossing.get() and crosses_zero(self.controller, value):
            raise LimitError(
                f"{self.name} = {value:g} V lies beyond 0 V from {self.controller.get_bias():g} V with the feedback closed: "
                f"the tip would touch. Nothing has moved. Set {self.allow_crossing.name} to hold the feedback open on the way."
            )
        return super().set(value, timeout=timeout)

    def go(self, value: float) -> None:
        """Ramp, the feedback held open where the ramp passes 0 V."""
        ramp_holding(self.controller, value)


def crosses_zero(controller: Controller, bias: float) -> bool:
    """Whether a ramp to ``bias`` reaches or passes 0 V with the feedback closed."""
    return controller.get_bias() * bias <= 0 and controller.get_feedback()


def ramp_holding(controller: Controller, bias: float) -> None:
    """Ramp to ``bias``; where that passes 0 V, with the feedback open on the way."""
    hold = crosses_zero(controller, bias)
    if hold:
        controller.set_feedback(False)
    try:
        controller.ramp_bias(bias)
    finally:
        if hold and controller.get_bias() != 0:
            controller.set_feedback(True)
