"""A fit and its posterior as a function of the lessons: refitted at set counts, extended by a row in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from bluesky_stm.agents._fit import Fit, fitted, leave_one_out, noise_variance
from bluesky_stm.agents._health import USELESS
from bluesky_stm.agents._kernel import Kernel, squared_distances
from bluesky_stm.agents._process import Process, gram
from bluesky_stm.agents._targets import TAILS, Warp
from bluesky_stm.geometry import Floats

Features = dict[str, Tensor]
"""Places by group of features: each (n, d)."""


def fitted_at(count: int) -> int:
    """With how many values the parameters in use at ``count`` values were fitted: each up to 60, then every 3 %."""
    return count - count % max(1, count // 30)


@dataclass(frozen=True, eq=False)
class Model:
    """What an agent has made of its values.

    Attributes
    ----------
    name : str
        Which kernel it is, for people.
    anchor, count : int
        Values at the last fit, and now.
    warp : Warp
    process : Process
    """

    name: str
    anchor: int
    count: int
    warp: Warp
    process: Process

    @classmethod
    def fitted(cls, name: str, groups: Sequence[str], places: Features, values: Floats, candidates: Features) -> Self:
        """To values (n,) measured at ``places``, with the kernel over ``groups`` and the tails that predict them best."""
        measured = [places[g] for g in groups]
        squared = squared_distances(measured, measured)
        trials: list[tuple[float, Warp, Fit, Tensor]] = []
        for far in TAILS:
            warp = Warp.fitted(values, far)
            warped = torch.as_tensor(warp(values))
            fit = fitted(Kernel(tuple(groups)), squared, warped, trials[0][2].parameters if trials else None)
            trials.append((log_score(fit, squared, warped) + float(warp.log_slope(values).sum()), warp, fit, warped))
        _, warp, fit, warped = max(trials, key=lambda trial: trial[0])
        process = Process.conditioned(fit, measured, warped, [candidates[g] for g in groups])
        return cls(name, len(values), len(values), warp, process)

    def extended(self, place: Features, value: float) -> Self:
        """With one more value."""
        warped = torch.as_tensor(self.warp(np.array([value])))
        process = self.process.extended(self.select(place), warped[0])
        return replace(self, count=self.count + 1, process=process)

    def believing(self, place: Features) -> Self:
        """As if the mean had been measured at ``place`` (Kriging believer): for pending points."""
        mean, _ = self.process.at(self.select(place))
        return replace(self, process=self.process.extended(self.select(place), mean[0]))

    def select(self, places: Features) -> list[Tensor]:
        """The groups that the kernel takes, in its order."""
        return [places[group] for group in self.process.fit.kernel.groups]

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Residuals and standard deviations, in standard deviations of the values."""
        residual, std = self.process.leave_one_out()
        return residual.numpy(), std.numpy()

    @property
    def best(self) -> float:
        """Highest posterior mean of the measured places, warped."""
        return float(self.process.mean_where_measured.max())

    @property
    def looks(self) -> Floats:
        """What the candidates look like, (m, d) in length scales of the kernel; their position where it takes nothing else."""
        fit = self.process.fit
        groups = list(zip(fit.kernel.groups, self.process.candidates, fit.parameters, strict=False))  # lengths come first
        pictures = [features / length.exp() for group, features, length in groups if group != "xy"]
        return torch.cat(pictures or self.process.candidates, dim=1).detach().numpy()

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of an ordinary value, warped."""
        return float(noise_variance(self.process.fit.parameters).sqrt())

    @property
    def sound(self) -> bool:
        """Whether all its numbers are finite and it predicts about as well as a constant at least."""
        residual, _ = self.leave_one_out()
        finite = bool(torch.isfinite(self.process.mean).all() and torch.isfinite(self.process.variance).all())
        return finite and bool(np.sqrt(np.mean(residual**2)) < USELESS + 2.0 / np.sqrt(self.count))


def log_score(fit: Fit, squared: Sequence[Tensor], values: Tensor) -> float:
    """Log density of all warped values, each predicted from all others."""
    factor = torch.linalg.cholesky(gram(fit, squared))
    residual, std = leave_one_out(factor, torch.cholesky_solve(values[:, None], factor)[:, 0])
    return float((-0.5 * (residual / std) ** 2 - std.log()).sum())
