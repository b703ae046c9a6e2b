"""Bias sweeps: one spectrum where the tip stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from event_model import DataKey
from ophyd import Component as Cpt
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._signals import CONFIG, Parameter, pair_of, refusal
from bluesky_stm.devices._stepped import Stepped
from bluesky_stm.devices._stm_device import OphydValue, stm_of
from bluesky_stm.devices._worker import ActStatus
from bluesky_stm.errors import NotCapableError, SettingsError
from bluesky_stm.measurements import Setpoint, Spectrum, declared
from bluesky_stm.protocols import Progress, SweepSettings
from bluesky_stm.validated import JSON

WAY_BACK = [field for field in declared(Spectrum).values() if field.attribute == "backward"]
DEFAULT = SweepSettings()


class SetpointParameter(Parameter):
    """Bias and current that the feedback keeps before or after a sweep, V and nA; None for what stands."""

    @override
    def check_value(self, value: Setpoint | Sequence[float] | None) -> None:
        """Refuse a bias or a current outside the interlocks, and a set point that only a tip in contact would carry.

        Parameters
        ----------
        value : Setpoint, (float, float) or None
            Bias (V) and current (nA); None for what stands, which is not refused.

        Raises
        ------
        LimitError, SettingsError
            Nothing has moved.
        """
        wanted = self._setpoint(value)
        if wanted is not None:
            stm = stm_of(self)
            stm.check("bias", wanted.bias, f"{self.name} bias")
            stm.check("setpoint", wanted.current, f"{self.name} current")
            stm.check_junction(f"{self.name} bias", wanted.bias, wanted.current)

    @override
    def put(self, value: Setpoint | Sequence[float] | None, **kwargs: OphydValue) -> None:
        super().put(self._setpoint(value), **kwargs)

    def _setpoint(self, value: Setpoint | Sequence[float] | None) -> Setpoint | None:
        if value is None or isinstance(value, Setpoint):
            return value
        return Setpoint(*pair_of(self.name, value, "a Setpoint or a pair (bias in V, current in nA)"))

    def read(self) -> dict[str, JSON]:
        """Read an array of bias and current, NaN for what stands."""
        asked: Setpoint | None = self.get()
        value = np.array([np.nan, np.nan] if asked is None else [asked.bias, asked.current])
        return {self.name: {"value": value, "timestamp": self.timestamp}}


class OffsetParameter(Parameter):
    """Distance by which the tip is moved once the feedback is open, in nm; what would bring it into contact is refused."""

    @override
    def check_value(self, value: float) -> None:
        """Refuse an offset that from the set point of the sweep would bring the tip into contact.

        Parameters
        ----------
        value : float
            In nm; negative is closer to the surface.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        self.check_from(value, self.parent.setpoint.get())

    def check_from(self, value: float, setpoint: Setpoint | None) -> None:
        """Refuse an offset that is no number, out of range or, from a set point, in contact.

        Parameters
        ----------
        value : float
            In nm; negative is closer to the surface.
        setpoint : Setpoint or None
            Set point from which the tip is moved; None for what stands.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        super().check_value(value)
        if value < 0:
            stm = stm_of(self)
            stm.check_gap(self.name, value, setpoint or stm.controller.get_setpoint())


class BiasSweep(Stepped, measures=Spectrum, hinted=("z", "quality")):
    """I(V) and dI/dV where the tip stands: a detector. The controller holds and restores the feedback as one act.

    ``start`` to ``end`` in ``points`` steps; what is swept is in settable signals, so that `check_limits` sees it. Swept
    ``backward`` as well, the arrays are the average of both ways; ``stm.sweep.current_backward.kind = "normal"`` (likewise
    the other channels) puts the way back by itself into the documents, too.
    """

    start = Cpt(Parameter, value=DEFAULT.start, units=units.BIAS, precision=4, quantity="bias", kind=CONFIG)
    end = Cpt(Parameter, value=DEFAULT.stop, units=units.BIAS, precision=4, quantity="bias", kind=CONFIG)
    points = Cpt(Parameter, value=DEFAULT.points, form="integer", low=2, high=100_000, kind=CONFIG)
    settle = Cpt(Parameter, value=DEFAULT.settle, units=units.TIME, precision=4, low=0.0, high=60.0, kind=CONFIG)
    integrate = Cpt(Parameter, value=DEFAULT.integrate, units=units.TIME, precision=4, low=0.0, high=60.0, kind=CONFIG)
    averages = Cpt(Parameter, value=DEFAULT.averages, form="integer", low=1, high=10_000, kind=CONFIG)
    backward = Cpt(Parameter, value=DEFAULT.backward, form="boolean", kind=CONFIG)
    setpoint = Cpt(SetpointParameter, value=None, units="V, nA", form="array", array_shape=(2,), kind=CONFIG)
    setpoint_after = Cpt(SetpointParameter, value=None, units="V, nA", form="array", array_shape=(2,), kind=CONFIG)
    """Where the feedback is left; None for where it was before."""
    z_offset = Cpt(OffsetParameter, value=DEFAULT.z_offset, units=units.LENGTH, precision=4, low=-1.0, high=1.0, kind=CONFIG)

    @property
    def settings(self) -> SweepSettings:
        """The sweep that stands in the signals."""
        return SweepSettings(
            self.start.get(),
            self.end.get(),
            int(self.points.get()),
            self.settle.get(),
            self.integrate.get(),
            int(self.averages.get()),
            bool(self.backward.get()),
            self.setpoint.get(),
            self.z_offset.get(),
        )

    @settings.setter
    def settings(self, wanted: SweepSettings) -> None:
        self.set(wanted)

    def check_value(self, settings: SweepSettings) -> None:
        """Refuse a sweep that leaves the interlocks of bias, set point or dose, or that its signals would refuse.

        Parameters
        ----------
        settings : SweepSettings
            Range (V), points, times (s), set point and z offset (nm).

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        if not isinstance(settings, SweepSettings):
            raise refusal(self.name, "SweepSettings", settings)
        for signal, value in self.signals_of(settings):
            if isinstance(signal, OffsetParameter):
                signal.check_from(value, settings.setpoint)  # that of these settings, not that which stands in the signal
            else:
                signal.check_value(value)
        if not self.stm.allows_dose(settings.seconds):  # a short sweep may have any current: it is not asked for
            current = (settings.setpoint or self.controller.get_setpoint()).current
            self.stm.check_dose(self.name, settings.seconds, current)
        if after := self.setpoint_after.get():
            self.stm.bias.check_way(after.bias)

    @override
    def begin(self) -> Status:
        settings = self.settings
        self.check_promised(settings.points)
        self.check_value(settings)
        self.check_here(settings)
        # The controller adds settling and slews of its own between the points and around the sweep.
        timeout = self.patience + 3 * settings.seconds
        return self.stm.worker.submit(self, self._sweep, settings, timeout=timeout, unit=self.unit, tells=True)

    def check_here(self, settings: SweepSettings) -> None:
        """Refuse a sweep that from here would leave the interlock of z, or lack the way back that is to be kept.

        Its set point must not lie beyond 0 V either.

        Parameters
        ----------
        settings : SweepSettings
            The sweep, which was found to be within the limits already.

        Raises
        ------
        LimitError, SettingsError
            Nothing was measured.
        """
        if not settings.backward and (wanted := [field.name for field in WAY_BACK if field.name in self.read_attrs]):
            raise SettingsError(
                f"{self.name} is to keep {', '.join(wanted)}, and the sweep goes one way only. Nothing was measured. Set "
                f"{self.backward.name}, or the kind of each of them to omitted."
            )
        if settings.z_offset:
            self.stm.check("z", self.controller.get_tip().z + settings.z_offset, f"{self.name} z with its offset")
        self.check_side(settings.setpoint)

    def describe_spectrum(self, name: str) -> dict[str, DataKey]:
        """Return the keys of a spectrum that stands under another device's name.

        Parameters
        ----------
        name : str
            Name of that device, which replaces the name of this one.
        """
        return {f"{name}{key.removeprefix(self.name)}": declared for key, declared in self.describe().items()}

    def measure(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep where the tip stands; blocks.

        Raises
        ------
        NotCapableError
            When the controller gives another number of points than was asked for.
        """
        spectrum = self.controller.sweep(settings, progress)
        self.check_given(len(spectrum.bias), settings.points)
        return spectrum

    def values_of(self, spectrum: Spectrum) -> JSON:
        """The spectrum as it stands in an Event, each array a copy of its own.

        Raises
        ------
        NotCapableError
            When the way back is wanted, and the controller gives none.
        """
        values, wanted = self.results_of(spectrum), [field for field in WAY_BACK if field.name in self.read_attrs]
        for channel in (field.name.removesuffix("_backward") for field in wanted if field.name not in values):
            raise NotCapableError(
                f"{self.controller.name} gave no {channel} of the way back. The spectrum is not used. Where it keeps nothing "
                f"but the average of both ways, set {channel}_backward.kind to omitted."
            )
        return {
            name: value for name, value in values.items() if self.fields[name] not in WAY_BACK or self.fields[name] in wanted
        }

    def _sweep(self, settings: SweepSettings, status: ActStatus) -> None:
        self.fill(self.values_of(self.measure(settings, status.report)))
        after: Setpoint | None = self.setpoint_after.get()
        if after and not status.epoch.stopped:
            self.stm.bias.go(after.bias)
            self.stm.bias.forget_setpoint()
            self.controller.set_setpoint_current(after.current)
