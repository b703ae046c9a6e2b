"""Agents without a model, which learn neither from this run nor from earlier ones: the baselines of every other agent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.agents._base import BaseAgent
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Decision


class RandomAgent(BaseAgent):
    """An agent that chooses any candidate that was not measured, each with the same probability."""

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        return self._at_random(free, len(self.observations) + len(pending), "random")


class SpaceFillingAgent(BaseAgent):
    """An agent whose candidates cover the frame evenly and ever more densely."""

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        return self._spread(free, len(self.observations) + len(pending), "space filling")
