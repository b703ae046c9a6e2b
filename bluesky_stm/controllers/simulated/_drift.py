"""The drift compensation of the simulated microscope."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.protocols import DriftControl


class SimulatedDrift(DriftControl):
    """Fulfils `protocols.DriftControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def get_drift(self) -> tuple[float, float]:
        return self._bench.junction.piezo.compensation

    @override
    def set_drift(self, velocity: tuple[float, float]) -> None:
        with self._bench.acts.one():
            self._bench.junction.piezo.compensate(velocity, self._bench.now())
