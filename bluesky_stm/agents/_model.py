"""A fit and its posterior as a function of the lessons: refitted at set counts, extended by a row in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from bluesky_stm.agents._fit import Fit, fitted, leave_one_out
from bluesky_stm.agents._health import USELESS
from bluesky_stm.agents._kernel import Kernel, squared_distances
from bluesky_stm.agents._mixture import Features, Mixture
from bluesky_stm.agents._process import Process, gram
from bluesky_stm.agents._targets import TAILS, Warp
from bluesky_stm.geometry import Floats

__all__ = ["Features", "Model", "fitted_at"]


def fitted_at(count: int) -> int:
    """With how many values the parameters in use at ``count`` values were fitted: each up to 60, then every 3 %."""
    return count - count % max(1, count // 30)


@dataclass(frozen=True, eq=False)
class Model:
    """What an agent has made of its values.

    Attributes
    ----------
    name : str
        The kernel that counts most, for people.
    anchor, count : int
        Values at the last fit, and now.
    warp : Warp
    process : Mixture
    """

    name: str
    anchor: int
    count: int
    warp: Warp
    process: Mixture

    @classmethod
    def fitted(
        cls, kernels: Mapping[str, Sequence[str]], places: Features, values: Floats, candidates: Features
    ) -> Self | None:
        """To values (n,) measured at ``places``, with all ``kernels``, their groups by name, the simplest first.

        The simplest one decides how heavy the tails are. Those that are not sound are left out; None where not even the
        simplest could be computed.
        """
        simplest = next(iter(kernels))
        found: dict[str, Process] = {}
        with suppress(torch.linalg.LinAlgError):
            warp, known = _tails(kernels[simplest], places, values)
            warped = torch.as_tensor(warp(values))
            for name, groups in kernels.items():
                found[name] = _process(groups, places, warped, candidates, known if name == simplest else None)
        sound = {name: process for name, process in found.items() if _sound(process)} or dict(list(found.items())[:1])
        if not sound:
            return None
        mixture = Mixture.stacked(list(sound.values()))
        return cls(list(sound)[mixture.heaviest], len(values), len(values), warp, mixture)

    def extended(self, place: Features, value: float) -> Self:
        """With one more value."""
        warped = torch.as_tensor(self.warp(np.array([value])))
        return replace(self, count=self.count + 1, process=self.process.extended(place, warped[0]))

    def believing(self, place: Features) -> Self:
        """As if the mean had been measured at ``place`` (Kriging believer): for pending points."""
        mean, _ = self.process.at(place)
        return replace(self, process=self.process.extended(place, mean[0]))

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Residuals and standard deviations, in standard deviations of the values."""
        residual, std = self.process.leave_one_out()
        return residual.numpy(), std.numpy()

    @property
    def best(self) -> float:
        """Highest posterior mean of the measured places, warped."""
        return float(self.process.mean_where_measured.max())

    @property
    def leading(self) -> Process:
        """That of the kernel that counts most."""
        return self.process.processes[self.process.heaviest]

    @property
    def looks(self) -> Floats:
        """What the candidates look like, (m, d) in length scales of the kernel; their position where it takes nothing else."""
        fit, candidates = self.leading.fit, self.leading.candidates
        groups = list(zip(fit.kernel.groups, candidates, fit.parameters, strict=False))  # lengths come first
        pictures = [features / length.exp() for group, features, length in groups if group != "xy"]
        return torch.cat(pictures or candidates, dim=1).detach().numpy()

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of an ordinary value, warped."""
        return self.process.noise**0.5

    @property
    def sound(self) -> bool:
        """Whether what counts most in it is finite and predicts about as well as a constant at least."""
        return _sound(self.leading)


def _tails(groups: Sequence[str], places: Features, values: Floats) -> tuple[Warp, Fit]:
    """The tails with which this kernel predicts each value best from all others, and its fit."""
    measured = [places[group] for group in groups]
    squared, kernel = squared_distances(measured, measured), Kernel(tuple(groups))
    trials: list[tuple[float, Warp, Fit]] = []
    for warp in (Warp.fitted(values, far) for far in TAILS):
        warped = torch.as_tensor(warp(values))
        fit = fitted(kernel, squared, warped)
        trials.append((_log_score(fit, squared, warped) + float(warp.log_slope(values).sum()), warp, fit))
    return max(trials, key=lambda trial: trial[0])[1:]


def _log_score(fit: Fit, squared: Sequence[Tensor], values: Tensor) -> float:
    """Log density of all warped values, each predicted from all others."""
    factor = torch.linalg.cholesky(gram(fit, squared))
    residual, std = leave_one_out(factor, torch.cholesky_solve(values[:, None], factor)[:, 0])
    return float((-0.5 * (residual / std) ** 2 - std.log()).sum())


def _process(groups: Sequence[str], places: Features, values: Tensor, candidates: Features, fit: Fit | None) -> Process:
    """Of one kernel; ``fit`` where it is known already."""
    measured = [places[group] for group in groups]
    fit = fit or fitted(Kernel(tuple(groups)), squared_distances(measured, measured), values)
    return Process.conditioned(fit, measured, values, [candidates[group] for group in groups])


def _sound(process: Process) -> bool:
    """Whether all its numbers are finite and it predicts about as well as a constant at least."""
    residual, _ = process.leave_one_out()
    finite = bool(torch.isfinite(process.mean).all() and torch.isfinite(process.variance).all())
    return finite and float(residual.square().mean().sqrt()) < USELESS + 2.0 / len(residual) ** 0.5
