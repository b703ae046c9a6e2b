"""Two objectives without a weight between them: the agent seeks places that no measured place exceeds in both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import numpy as np
from typing_extensions import override

from bluesky_stm.agents._hypervolume import log_expected_gain
from bluesky_stm.agents._kernel_agents import LEAST_VALUES
from bluesky_stm.agents._model import Features, Model
from bluesky_stm.agents._weighing import WeighingAgent
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Experience, Observation, Scalarizer


class ParetoAgent(WeighingAgent):
    """An agent that maximises the expected gain of the hypervolume of two scalars; the scalar of the run is only reported.

    The axes of the hypervolume are the warped values. A spectrum counts where both objectives have a value. The reference point
    is the median of the predicted map of each objective: a place that does not exceed it in one of them covers nothing.
    """

    why = "ehvi"

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph and compute the features of all candidates once; everything learned before is forgotten.

        Both objectives are computed from the spectra of earlier runs, too.
        """
        self._objectives: Sequence[Scalarizer] = self.settings.objectives
        self._pairs: list[tuple[Features, Floats, Floats]] = []
        self._paired: list[bool] = []
        super().observe(topograph, prior)
        self._compare(self._inherited)

    @override
    def ingest(self, observations: Sequence[Observation]) -> None:
        super().ingest(observations)
        self._paired += self._compare(observations)

    def _weigh(self, pending: Sequence[Point]) -> tuple[Floats, Model] | str:
        models = self._both()
        if not models:
            return f"fewer than {LEAST_VALUES} spectra have a value of both objectives"
        return self._gain(models, pending) + np.log(self._chance()), models[0]

    @property
    def _useful(self) -> list[bool]:
        """One bool for each observation: True when both objectives have a value."""
        return self._paired

    def _forget(self) -> None:
        super()._forget()
        self._pair_models: list[Model | None] = [None, None]

    def _compare(self, lessons: Sequence[Observation]) -> list[bool]:
        """Keep the values of both objectives, and return for each observation whether it has them."""
        both = [[Observation.of(o.spectrum, scalar) for scalar in self._objectives] if o.spectrum else [] for o in lessons]
        paired = [bool(pair) and all(one.has_value for one in pair) for pair in both]
        for lesson, pair in compress(zip(lessons, both, strict=True), paired):
            place = self._features(np.array([lesson.point], dtype=float))
            self._pairs.append((place, np.array([one.number for one in pair]), np.array([one.deviation for one in pair])))
        return paired

    def _gain(self, models: Sequence[Model], pending: Sequence[Point]) -> Floats:
        for point in pending:
            place = self._features(np.array([point], dtype=float))
            models = [model.fantasized(place) for model in models]
        models = [model.seeking for model in models]
        known = np.stack([model.process.mean_where_measured for model in models], axis=1)
        mean, std = (np.stack(part, axis=1) for part in zip(*(self._warped(model, None) for model in models), strict=True))
        return log_expected_gain(mean, std, known, np.median(mean, axis=0))

    def _both(self) -> list[Model]:
        """Return the models of both objectives; an empty list before there are three pairs of values."""
        places = [place for place, _, _ in self._pairs]
        columns, deviations = (np.array([pair[i] for pair in self._pairs]).reshape(-1, 2).T for i in (1, 2))
        self._pair_models = [
            self._kept_up(model, places, column, self.kernels, known)
            for model, column, known in zip(self._pair_models, columns, deviations, strict=True)
        ]
        found = [model for model in self._pair_models if model]
        return found if len(found) == len(columns) else []
