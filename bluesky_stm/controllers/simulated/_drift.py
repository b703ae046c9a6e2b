"""The drift compensation of the simulated microscope."""

from __future__ import annotations

from bluesky_stm.controllers.simulated._bench import Bench


class SimulatedDrift:
    """Fulfils `protocols.DriftControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def get_drift(self) -> tuple[float, float]:
        """Return the drift that is compensated, in nm/s."""
        return self._bench.junction.piezo.compensation

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s."""
        with self._bench.acts.one():
            self._bench.junction.piezo.compensate(velocity, self._bench.now())
