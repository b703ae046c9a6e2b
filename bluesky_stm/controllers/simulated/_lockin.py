"""The settings of the simulated lock-in; what it makes of a current stands in `_detection`."""

from __future__ import annotations

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.protocols import LockInSettings


class SimulatedLockIn:
    """Fulfils `protocols.LockInControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def get_lockin(self) -> LockInSettings:
        """Return the settings, and the calibration of preamplifier and lock-in."""
        return self._bench.lockin

    def set_lockin(self, settings: LockInSettings) -> None:
        """Change the settings."""
        self._bench.lockin = settings
