"""Sweeps of the tip's height: I(z) where the tip stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ophyd import Component as Cpt
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._signals import CONFIG, Parameter, refusal
from bluesky_stm.devices._stepped import Stepped
from bluesky_stm.devices._sweep import SetpointParameter
from bluesky_stm.devices._worker import ActStatus
from bluesky_stm.measurements import ZSpectrum
from bluesky_stm.protocols import ZSweepSettings

DEFAULT = ZSweepSettings()


class ZSweep(Stepped, measures=ZSpectrum, hinted=("quality",)):
    """I(z) where the tip stands: a detector. The controller holds the feedback open and restores it, and z, as one act.

    ``start`` to ``end`` is the distance, in nm, from where the feedback held the tip, positive away from the surface.
    ``setpoint`` says at which bias, and from which current; ``most`` (nA) what must not flow at the nearest point: 0 for the
    highest current that the limits allow.
    """

    start = Cpt(Parameter, value=DEFAULT.start, units=units.LENGTH, precision=4, low=-1.0, high=100.0, kind=CONFIG)
    end = Cpt(Parameter, value=DEFAULT.stop, units=units.LENGTH, precision=4, low=-1.0, high=100.0, kind=CONFIG)
    points = Cpt(Parameter, value=DEFAULT.points, form="integer", low=2, high=100_000, kind=CONFIG)
    settle = Cpt(Parameter, value=DEFAULT.settle, units=units.TIME, precision=4, low=0.0, high=60.0, kind=CONFIG)
    integrate = Cpt(Parameter, value=DEFAULT.integrate, units=units.TIME, precision=4, low=0.0, high=60.0, kind=CONFIG)
    averages = Cpt(Parameter, value=DEFAULT.averages, form="integer", low=1, high=10_000, kind=CONFIG)
    setpoint = Cpt(SetpointParameter, value=None, units="V, nA", form="array", array_shape=(2,), kind=CONFIG)
    most = Cpt(Parameter, value=0.0, units=units.CURRENT, precision=4, low=0.0, high=1e6, kind=CONFIG)

    @property
    def settings(self) -> ZSweepSettings:
        """The sweep that stands in the signals; its largest current is cut to what the limits allow."""
        highest = self.stm.limits.current[1]
        return ZSweepSettings(
            self.start.get(),
            self.end.get(),
            int(self.points.get()),
            self.settle.get(),
            self.integrate.get(),
            int(self.averages.get()),
            self.setpoint.get(),
            min(self.most.get() or highest, highest),
        )

    @settings.setter
    def settings(self, wanted: ZSweepSettings) -> None:
        self.set(wanted)

    def check_value(self, settings: ZSweepSettings) -> None:
        """Refuse a sweep that leaves the interlocks of set point or dose, or may carry too much current at its nearest point.

        Parameters
        ----------
        settings : ZSweepSettings
            Distances (nm), points, times (s), set point and largest current (nA).

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        if not isinstance(settings, ZSweepSettings):
            raise refusal(self.name, "ZSweepSettings", settings)
        for signal, value in self.signals_of(settings):
            signal.check_value(value)
        stm, setpoint = self.stm, settings.setpoint or self.controller.get_setpoint()
        settings.check_nearest(setpoint, stm.limits.current[1], self.name)
        if settings.nearest < 0:
            stm.check_gap(f"{self.name} nearest point", settings.nearest, setpoint)
        stm.check_dose(self.name, settings.seconds, settings.largest_current(setpoint))

    @override
    def begin(self) -> Status:
        settings = self.settings
        self.check_promised(settings.points)
        self.check_value(settings)
        here = self.controller.get_tip().z
        for end in (settings.start, settings.stop):
            self.stm.check("z", here + end, f"{self.name} z")
        self.check_side(settings.setpoint)
        # Behind a sweep of the bias that is under way it waits for its turn.
        timeout = self.patience + 3 * settings.seconds + self.stm.sweep.patience + 3 * self.stm.sweep.settings.seconds
        return self.stm.worker.submit(self, self._sweep, settings, timeout=timeout, unit=self.unit, tells=True)

    @override
    def signals_of(self, settings: ZSweepSettings) -> Iterator[tuple[Parameter, Any]]:
        """Each signal of a sweep with the value that it would take."""
        for signal, value in super().signals_of(settings):
            yield signal, 0.0 if signal is self.most and value is None else value

    def _sweep(self, settings: ZSweepSettings, status: ActStatus) -> None:
        taken = self.controller.z_sweep(settings, status.report)
        self.check_given(len(taken.distance), settings.points)
        self.fill(self.results_of(taken))
