"""Tests of what is left over after many acts."""

from __future__ import annotations

import gc
import threading
import tracemalloc

from bluesky_stm.controllers.conformance._suite import Suite
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Capability, Controller, SweepSettings


class Endurance(Suite):
    """No thread, no memory."""

    def test_nothing_is_left_over(self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]) -> None:
        """Many moves and sweeps leave no thread and no memory."""
        self.needs(controller, Capability.SWEEP)

        def work(times: int) -> None:
            for cycle in range(times):
                controller.move_tip(places[cycle % len(places)])
                controller.sweep(sweep_settings)

        work(10)
        threads = threading.active_count()
        tracemalloc.start()
        try:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            work(self.cycles)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert threading.active_count() <= threads
        assert after - before < self.left_over
