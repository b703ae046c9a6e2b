"""The sample bias of the simulated microscope."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.base import SLEW
from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import BiasControl


class SimulatedBias(BiasControl):
    """Fulfils `protocols.BiasControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def get_bias(self) -> float:
        return self._bench.junction.setpoint.bias

    @override
    def ramp_bias(self, bias: float) -> None:
        """Ramp the sample bias at `SLEW`, and return on arrival.

        A closed feedback follows the bias when it has arrived. Where nothing carries the current, as in a gap of the sample, it
        follows into the surface.

        Parameters
        ----------
        bias : float
            In V.

        Raises
        ------
        TipCrashError
            When nothing carries the current of the set point at this bias; the tip is withdrawn.
        """
        with self._bench.acts.one():
            self._bench.acts.take(abs(bias - self.get_bias()) / SLEW)
            self._bench.change(Setpoint(float(bias), self._bench.junction.setpoint.current))
