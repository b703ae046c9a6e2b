"""Novelty search: measure where a kind of spectrum is expected that has not been seen yet; no scalar is needed.

The components of the spectrum are predicted at every candidate. The score is the expected distance of the prediction, its
uncertainty included, from the nearest spectra already taken [1]_.

References
----------
.. [1] W.-T. Tang, A. Chakrabarty, J. A. Paulson, "BEACON: a Bayesian optimization strategy for novelty search",
   arXiv:2406.03616
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bluesky_stm.agents._acquisition import expected_novelty
from bluesky_stm.agents._model import Model
from bluesky_stm.agents._spectra import complete_spectra
from bluesky_stm.agents._weighing import WeighingAgent
from bluesky_stm.geometry import Floats, Point

LEAST_SPECTRA = 5


class NoveltyAgent(WeighingAgent):
    """A deep kernel on the components of whole spectra.

    It works without values, since it learns from the spectra themselves; five whole ones are needed before it predicts.
    """

    why = "novelty"

    def _weigh(self, pending: Sequence[Point]) -> tuple[Floats, Model] | str:
        if len(complete_spectra(self._all_observations)) < LEAST_SPECTRA:
            return f"fewer than {LEAST_SPECTRA} whole spectra"
        _, models, scores = self._components()
        if not models:
            return "all spectra are the same"
        mean, std = (
            np.stack(a, axis=1) for a in zip(*(m.warp.moments(*self._warped(m.seeking, None)) for m in models), strict=True)
        )
        for point in pending:
            scores = np.concatenate([scores, mean[[self._nearest(point)]]])
        return self._chance() * expected_novelty(mean, std, scores, self.settings.neighbours), models[0]

    @property
    def _useful(self) -> list[bool]:
        """One bool for each observation: True when its spectrum is whole."""
        ends = {i for i, _ in complete_spectra(self.observations)}
        return [i in ends for i in range(len(self.observations))]
