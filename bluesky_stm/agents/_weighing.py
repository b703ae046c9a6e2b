"""The base of agents that have an acquisition function of their own, for more than the scalar of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.agents._computing import computed
from bluesky_stm.agents._deep import DKLAgent
from bluesky_stm.agents._model import Model
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.protocols import Decision


class WeighingAgent(DKLAgent):
    """An agent with a deep kernel and an acquisition function of its own, which subclasses define.

    Mean and standard deviation of its decisions are those of the scalar of the run.

    Attributes
    ----------
    why : str
        Name of its acquisition function, for the decisions.
    """

    why: ClassVar[str]
    """Name of what it goes by, for the decision."""

    def _weigh(self, pending: Sequence[Point]) -> tuple[Floats, Model] | str:
        """Return the score of each candidate (m,) and the model behind it, or why there is none yet."""
        raise NotImplementedError

    @computed
    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        weighed = self._weigh(pending)
        if isinstance(weighed, str):
            return self._fallen_back(free, pending, weighed)
        worth, model = np.where(free, weighed[0], -np.inf), weighed[1]
        if not np.isfinite(worth).any():
            return self._fallen_back(free, pending, "no candidate has a finite acquisition")
        chosen = int(np.argmax(worth))
        value = self.posterior(self._candidates[[chosen]])
        return self._decision(
            chosen,
            self.why,
            mean=float(value.mean[0]),
            std=float(value.std[0]),
            acquisition=float(worth[chosen]),
            health=self._health(model),
        )

    def _scored(self) -> tuple[Floats, Model] | None:
        """Return the scores with nothing pending, and the model; it works also where the scalar of the run has no value."""
        weighed = self._weigh(())
        return None if isinstance(weighed, str) else weighed

    def _missed(self, model: Model) -> Floats:
        """Nothing: its model is not that of the scalar of the run."""
        return np.empty(0)

    @property
    def _maximises(self) -> bool:
        """Always False, as the scalar of the run is only reported."""
        return False
