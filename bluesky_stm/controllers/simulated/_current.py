"""The preamplifier of the simulated microscope, as it reads a single current."""

from __future__ import annotations

import math

import numpy as np

from bluesky_stm.controllers.simulated._bench import Bench


class SimulatedCurrent:
    """Fulfils `protocols.CurrentReadout`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def read_current(self) -> float:
        """Return the tunneling current now, in nA, with the noise of a point of a spectrum."""
        current, profile = self._bench.junction.current(self._bench.now()), self._bench.profile
        spread = math.hypot(profile.current_white, profile.current_slow, profile.junction * current)
        noisy = current + profile.current_offset + spread * self._bench.noise.next("current").standard_normal()
        return float(np.clip(noisy, -profile.preamp_range, profile.preamp_range))
