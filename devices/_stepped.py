"""The base of what is measured point after point: all Events of a stream have as many points as the first one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
from event_model import DataKey
from typing_extensions import override

from bluesky_stm.devices._measuring import Measuring
from bluesky_stm.devices._signals import Parameter
from bluesky_stm.errors import LimitError, NotCapableError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.validated import JSON


class Stepped(Measuring):
    """A detector whose arrays have one number for each of its ``points``, along the first of them."""

    patience = 60.0
    """Wall time, in s, that a sweep may take beyond three times what it should."""

    _read: int | None = None
    """Points of the measurement that was read last, until the device is described."""
    _kept: int | None = None
    """Points that a run has been promised; None before its first measurement."""

    @override
    def stage(self) -> list[object]:
        """Make ready for a run, whose first measurement decides how many points each has."""
        self._kept = self._read = None
        return super().stage()

    def describe(self) -> dict[str, DataKey]:
        """Complete without a measurement: the arrays are as long as ``points`` says."""
        for name in self.arrays:
            signal = getattr(self, name)
            signal.array_shape, signal.dims = (int(self.points.get()),), (f"{self.name}_step",)
        # bluesky describes a device once in a run: when it has read it for the first time
        self._kept = self._read and int(self.points.get())
        self._read = None
        return super().describe()

    def read(self) -> dict[str, JSON]:
        """The last measurement; before the first, NaN and ``Quality.INCOMPLETE``."""
        along = getattr(self, self.arrays[0])
        if along.get() is None:
            self.fill(dict.fromkeys(self.arrays, np.full(int(self.points.get()), np.nan)))
        self._read = len(along.get())
        return super().read()

    def check_promised(self, points: int) -> None:
        """Refuse another number of points than the run has been promised.

        Parameters
        ----------
        points : int
            Number that is to be measured.

        Raises
        ------
        LimitError
            Nothing was measured.
        """
        if self._kept not in (None, points):
            raise LimitError(
                f"{self.points.name} = {points} in a run whose spectra have {self._kept} points: all Events of a stream have "
                "one shape. Nothing was measured. Take the other spectra in a run of their own, staged by itself."
            )

    def check_side(self, setpoint: Setpoint | None) -> None:
        """Refuse a set point beyond 0 V from the bias that stands: on the way there the feedback has no current to hold.

        Parameters
        ----------
        setpoint : Setpoint or None
            Bias (V) and current (nA) of a measurement; None for what stands, which is not refused.

        Raises
        ------
        LimitError
            Nothing was measured.
        """
        if setpoint and self.stm.bias.crosses(setpoint.bias):
            raise LimitError(
                f"{self.setpoint.name} = {setpoint.bias:g} V lies beyond 0 V from {self.stm.bias.position:g} V. "
                f"Nothing was measured. Bring the bias to that side before, by {self.stm.bias.name}."
            )

    @override
    def signals_of(self, settings: Any) -> Iterator[tuple[Parameter, Any]]:
        """Each signal of a sweep with the value that it would take."""
        for field in fields(settings):
            yield getattr(self, "end" if field.name == "stop" else field.name), getattr(settings, field.name)

    def check_given(self, given: int, asked: int) -> None:
        """Refuse what a controller has measured with another number of points than was asked for.

        Parameters
        ----------
        given, asked : int
            Numbers of points.

        Raises
        ------
        NotCapableError
            With both numbers.
        """
        if given != asked:
            raise NotCapableError(
                f"{self.controller.name} gave {given} points of the {asked} asked for. The spectrum is not used. Set "
                f"{self.points.name} to what it can do."
            )
