"""Holding a feature: where the tip goes when it follows what stands out."""

from __future__ import annotations

from ophyd import Component as Cpt
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._measuring import Measuring
from bluesky_stm.devices._signals import CONFIG, Parameter
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Floats
from bluesky_stm.protocols import Capability


class AtomTracker(Measuring):
    """The controller's own tracking, for a while: triggered, it holds what stands out where the tip is.

    Attributes
    ----------
    held : ndarray of shape (n, 3) or None
        Time (s), x and y (nm) of the tip during the last time; None before.
    """

    seconds = Cpt(Parameter, value=60.0, units=units.TIME, precision=1, low=1.0, high=3600.0, kind=CONFIG)

    held: Floats | None = None

    def check_can(self) -> None:
        """Refuse to go on with a controller that holds no feature.

        Raises
        ------
        NotCapableError
            Nothing has moved.
        """
        if Capability.TRACK not in self.controller.capabilities:
            raise NotCapableError(
                f"{self.controller.name} cannot hold a feature. Nothing has moved. Measure the drift by images: measure_drift."
            )

    @override
    def begin(self) -> Status:
        self.check_can()
        self.held = None
        seconds = float(self.seconds.get())
        return self.stm.worker.submit(self, self._track, seconds, timeout=60.0 + 3 * seconds)

    def _track(self, seconds: float) -> None:
        self.held = self.controller.track(seconds)
