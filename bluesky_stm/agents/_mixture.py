"""Several kernels at once, each counting as far as it predicts what was left out.

Position alone, position and picture, these and the net: none is best everywhere, and few spectra cannot tell which one is.
So all of them predict, and their predictions are mixed with the weights under which the values, each left out once, are most
probable (stacking [1]_). A kernel that does not pay falls silent; a weak prior keeps the weights even until the values differ.

References
----------
.. [1] Y. Yao, A. Vehtari, D. Simpson, A. Gelman, "Using stacking to average Bayesian predictive distributions",
   Bayesian Analysis 13, 917 (2018)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bluesky_stm.agents._fit import Fit, noise_variance
from bluesky_stm.agents._process import Process

Features = dict[str, Tensor]
"""Places by group of features: each (n, d)."""

EM_ITERATIONS = 100
PRIOR_SUCCESSES = 1.0
"""Values that each kernel has predicted well before the first one came."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussian processes on the same values, and what each counts; its numbers are moments of the mixture.

    Attributes
    ----------
    processes : sequence of Process
    weights : Tensor of shape (k,)
    """

    processes: Sequence[Process]
    weights: Tensor

    @classmethod
    def stacked(cls, processes: Sequence[Process]) -> Self:
        """Weighed by how well each predicts the values left out."""
        left_out = [process.leave_one_out() for process in processes]
        return cls(processes, stacking(torch.stack([-0.5 * (r / s) ** 2 - s.log() for r, s in left_out])))

    def extended(self, place: Features, value: Tensor) -> Self:
        """With one more value; parameters and weights stay."""
        return replace(self, processes=[p.extended(select(p.fit, place), value) for p in self.processes])

    def at(self, places: Features) -> tuple[Tensor, Tensor]:
        """Mean and variance, noise left out, at any other places; each (m,)."""
        return self._moments([process.at(select(process.fit, places)) for process in self.processes])

    def joint(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (m,) and covariance (m, m) of some candidates."""
        means, covariances = zip(*(process.joint(index) for process in self.processes), strict=True)
        mean = self._mixed(means)
        apart = [torch.outer(one - mean, one - mean) for one in means]
        return mean, self._mixed(covariances) + self._mixed(apart)

    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Residual and standard deviation, noise included, of each value predicted from all others."""
        residual, variance = self._moments([(r, s * s) for r, s in (process.leave_one_out() for process in self.processes)])
        return residual, variance.sqrt()

    @property
    def mean(self) -> Tensor:
        """Of the candidates, (m,)."""
        return self._mixed([process.mean for process in self.processes])

    @property
    def variance(self) -> Tensor:
        """Of the candidates, (m,), noise left out."""
        return self._moments([(process.mean, process.variance) for process in self.processes])[1]

    @property
    def mean_where_measured(self) -> Tensor:
        """Of the measured places, (n,)."""
        return self._mixed([process.mean_where_measured for process in self.processes])

    @property
    def measured(self) -> Features:
        """The measured places, all groups that any kernel takes."""
        return {group: own for p in self.processes for group, own in zip(p.fit.kernel.groups, p.places, strict=True)}

    @property
    def noise(self) -> float:
        """Variance of the noise of a value."""
        return float(self._mixed([noise_variance(process.fit.parameters) for process in self.processes]))

    @property
    def heaviest(self) -> int:
        """Index of the process that counts most."""
        return int(self.weights.argmax())

    def share(self, part: str) -> float:
        """Share in the prior variance of the terms that contain a part."""
        fits = [process.fit for process in self.processes]
        return sum(w * fit.kernel.share(fit.parameters, part) for w, fit in zip(self.weights.tolist(), fits, strict=True))

    def _moments(self, parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        mean = self._mixed([one for one, _ in parts])
        return mean, self._mixed([variance + (one - mean) ** 2 for one, variance in parts])

    def _mixed(self, parts: Sequence[Tensor]) -> Tensor:
        return sum((w * part for w, part in zip(self.weights.tolist(), parts, strict=True)), torch.zeros_like(parts[0]))


def select(fit: Fit, places: Features) -> list[Tensor]:
    """The groups that a kernel takes, in its order."""
    return [places[group] for group in fit.kernel.groups]


def stacking(log_density: Tensor) -> Tensor:
    """Weights (k,) under which a mixture of the densities (k, n) is most probable, by expectation maximisation."""
    density = torch.exp(log_density - log_density.max(0).values)
    weights = density.new_full((len(density),), 1 / len(density))
    for _ in range(EM_ITERATIONS):
        shares = weights[:, None] * density
        weights = (shares / shares.sum(0)).sum(1) + PRIOR_SUCCESSES
        weights = weights / weights.sum()
    return weights
