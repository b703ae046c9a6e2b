"""The preamplifier of the simulated microscope, as it reads a single current."""

from __future__ import annotations

import math

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.controllers.simulated._noise import INTEGRATED, white_current
from bluesky_stm.protocols import CurrentReadout


class SimulatedCurrent(CurrentReadout):
    """Fulfils `protocols.CurrentReadout`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def read_current(self) -> float:
        """Return the tunneling current, in nA, with the sign of the bias.

        It has the offset and the noise of one point of a spectrum (white, slow, and vibration of the junction), drawn anew at
        each call. A feedback that swings moves the gap far faster than it is read, so that each reading finds it at another
        phase. Beyond the range of the preamplifier it is clipped.
        """
        junction, profile, rng = self._bench.junction, self._bench.profile, self._bench.noise.next("current")
        current = junction.current(self._bench.now())
        white = float(white_current(profile, current, INTEGRATED))
        noise = math.hypot(white, profile.current_slow, profile.junction * current) * rng.standard_normal()
        if swing := junction.swing:  # far faster than it is read: each reading finds it anywhere in its period
            current *= math.exp(junction.loop.decay * swing * math.sin(rng.uniform(0, 2 * math.pi)))
        noisy = current + profile.current_offset + noise
        return float(np.clip(noisy, -profile.preamp_range, profile.preamp_range))
