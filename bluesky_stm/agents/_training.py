"""What kernels make of the lessons: fitted at set counts, each at its own, extended by a row in between.

All of it is a function of the lessons and their order alone: a fit starts from the prior, and a process that was kept and
extended has the bits of one that is built again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bluesky_stm.agents._fit import Fit, fitted, leave_one_out
from bluesky_stm.agents._kernel import Kernel, squared_distances
from bluesky_stm.agents._mixture import Features
from bluesky_stm.agents._process import Process, gram
from bluesky_stm.agents._targets import TAILS, Warp
from bluesky_stm.geometry import Floats

REFIT_EACH, REFIT_GROWTH = 60, 1.05
"""Values up to which kernels are fitted to each new one, and growth of their number after which they are fitted again."""


def fitted_at(count: int, phase: float = 0.0) -> int:
    """With how many values the parameters in use at ``count`` values are fitted; ``phase`` (0..1) shifts it against others'."""
    if count <= REFIT_EACH:
        return count
    turns = math.floor(math.log(count / REFIT_EACH) / math.log(REFIT_GROWTH) - phase + 1e-9)
    return max(REFIT_EACH, math.ceil(REFIT_EACH * REFIT_GROWTH ** (turns + phase) - 1e-9))


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Values measured at places, and the kernels that learn them.

    Attributes
    ----------
    kernels : dict of str to sequence of str
        Groups of features by name of the kernel, the simplest first: it decides how heavy the tails of the values are.
    places : sequence of Features
        One place each.
    values : ndarray of shape (n,)
    candidates : Features
    """

    kernels: Mapping[str, Sequence[str]]
    places: Sequence[Features]
    values: Floats
    candidates: Features

    @property
    def due(self) -> dict[str, int]:
        """By kernel, the number of values that it is to be fitted to; in turns, so that no step has to refit them all."""
        return {name: fitted_at(len(self.values), i / len(self.kernels)) for i, name in enumerate(self.kernels)}

    @property
    def simplest(self) -> str:
        """The first kernel."""
        return next(iter(self.kernels))

    def tails(self, count: int) -> tuple[Warp, Fit]:
        """The warp of the first ``count`` values with which the simplest kernel predicts them best, and its fit."""
        squared = self._squared(self.simplest, count)
        values, trials = self.values[:count], list[tuple[float, Warp, Fit]]()
        for warp in (Warp.fitted(values, far) for far in TAILS):
            warped = torch.as_tensor(warp(values))
            fit = fitted(Kernel(tuple(self.kernels[self.simplest])), squared, warped)
            trials.append((_log_score(fit, squared, warped) + float(warp.log_slope(values).sum()), warp, fit))
        return max(trials, key=lambda trial: trial[0])[1:]

    def fit(self, name: str, count: int, known: Mapping[int, Warp]) -> Fit:
        """Of a kernel to the first ``count`` values, warped as they are at that count; ``known`` warps are not sought again."""
        at = fitted_at(count)
        warp = known[at] if at in known else self.tails(at)[0]
        warped = torch.as_tensor(warp(self.values[:count]))
        return fitted(Kernel(tuple(self.kernels[name])), self._squared(name, count), warped)

    def process(self, name: str, fit: Fit, count: int) -> Process:
        """Of a fit, on the first ``count`` places; its values are to be told."""
        candidates = [self.candidates[group] for group in self.kernels[name]]
        return Process.conditioned(fit, self._stacked(name, count), torch.zeros(count, dtype=torch.float64), candidates)

    def _squared(self, name: str, count: int) -> list[Tensor]:
        places = self._stacked(name, count)
        return squared_distances(places, places)

    def _stacked(self, name: str, count: int) -> list[Tensor]:
        return [torch.cat([place[group] for place in self.places[:count]]) for group in self.kernels[name]]


def _log_score(fit: Fit, squared: Sequence[Tensor], values: Tensor) -> float:
    """Log density of all warped values, each predicted from all others."""
    factor = torch.linalg.cholesky(gram(fit, squared))
    residual, std = leave_one_out(factor, torch.cholesky_solve(values[:, None], factor)[:, 0])
    return float((-0.5 * (residual / std) ** 2 - std.log()).sum())
