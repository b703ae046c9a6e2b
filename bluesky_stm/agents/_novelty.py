"""Curiosity: go where a kind of spectrum is expected that has not been seen yet; no scalar is needed.

The components of the spectrum are predicted at every candidate, and what counts is how far the prediction, its uncertainty
included, lies from the nearest spectra already taken [1]_.

References
----------
.. [1] W.-T. Tang, A. Chakrabarty, J. A. Paulson, "BEACON: a Bayesian optimization strategy for novelty search",
   arXiv:2406.03616
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bluesky_stm.agents._deep import DKLAgent, DKLSettings
from bluesky_stm.agents._fit import one_thread
from bluesky_stm.agents._model import Model
from bluesky_stm.agents._spectra import whole
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.protocols import Decision

LEAST_SPECTRA = 5


class NoveltySettings(DKLSettings):
    """``neighbours``: spectra already taken to which the distance counts."""

    neighbours: int = Field(3, ge=1)


class NoveltyAgent(DKLAgent):
    """A deep kernel on the components of whole spectra; also where the scalarizer finds no value."""

    name = "novelty"
    Settings = NoveltySettings

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        if len(whole(self.observations)) < LEAST_SPECTRA:
            return self._fallen_back(free, pending, f"fewer than {LEAST_SPECTRA} whole spectra")
        with one_thread():
            _, models, _ = self._components()
            if not models:
                return self._fallen_back(free, pending, "all spectra are the same")
            novelty = self._novelty(pending)
            chosen = int(np.argmax(np.where(free, novelty, -np.inf)))
            value = self.posterior(self._candidates[[chosen]])
        return self._decision(
            chosen,
            "novelty",
            mean=float(value.mean[0]),
            std=float(value.std[0]),
            acquisition=float(novelty[chosen]),
            health=self._health(models[0]),
        )

    def _scores(self, model: Model) -> Floats:
        """Novelty of all candidates; not a number as long as there are too few kinds of spectra."""
        told = len(whole(self.observations)) >= LEAST_SPECTRA and self._components()[1]
        return self._novelty(()) if told else np.full(len(self._candidates), np.nan)

    def _novelty(self, pending: Sequence[Point]) -> Floats:
        _, models, scores = self._components()
        mean, std = (np.stack(a, axis=1) for a in zip(*(m.warp.moments(*self._warped(m, None)) for m in models), strict=True))
        for point in pending:
            scores = np.concatenate([scores, mean[[self._nearest(point)]]])
        return expected_novelty(mean, std, scores, self.settings.neighbours)


def expected_novelty(mean: Floats, std: Floats, known: Floats, neighbours: int) -> Floats:
    """Root mean square distance of predicted components (m, c) to the nearest of the known ones (n, c); shape (m,)."""
    squared = ((mean[:, None, :] - known[None, :, :]) ** 2).sum(axis=-1)
    nearest = np.sort(squared, axis=1)[:, :neighbours].mean(axis=1)
    return np.sqrt(nearest + (std**2).sum(axis=1))
