"""Agents that learn nothing, of this run or of earlier ones: what every other one has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.agents._base import BaseAgent
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Decision


class RandomAgent(BaseAgent):
    """Any candidate that has not been measured, each with the same probability."""

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        return self._at_random(free, len(self.observations) + len(pending), "random")


class SpaceFillingAgent(BaseAgent):
    """Candidates that cover the frame evenly, ever more finely."""

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        return self._spread(free, len(self.observations) + len(pending), "space filling")
