"""The sample bias of the simulated microscope."""

from __future__ import annotations

from bluesky_stm.controllers.base import SLEW
from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.measurements import Setpoint


class SimulatedBias:
    """Fulfils `protocols.BiasControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def get_bias(self) -> float:
        """Return the bias now, in V."""
        return self._bench.junction.setpoint.bias

    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V; a closed feedback follows, into the surface where nothing carries the current."""
        with self._bench.acts.one():
            self._bench.acts.take(abs(bias - self.get_bias()) / SLEW)
            self._bench.change(Setpoint(float(bias), self._bench.junction.setpoint.current))
