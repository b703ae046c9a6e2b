"""The settings of the simulated lock-in; what it makes of a current stands in `_detection`."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.protocols import LockInControl, LockInSettings


class SimulatedLockIn(LockInControl):
    """Fulfils `protocols.LockInControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def get_lockin(self) -> LockInSettings:
        return self._bench.lockin

    @override
    def set_lockin(self, settings: LockInSettings) -> None:
        self._bench.lockin = settings
