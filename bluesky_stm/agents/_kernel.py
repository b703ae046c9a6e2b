"""The covariance of two places: how far apart they are, how different they look, and what the net makes of them.

    k = xy + picture + xy * picture + deep + xy * deep,   each a Matern 5/2, or a product of two, times its variance

``picture`` has one length scale for each group of image features, ``deep`` one for the output of the net. All parameters are
logarithms with normal priors, around which the training of the net begins, too.

Written on tensors of squared distances, computed once for the measured places, and not on a library's kernel classes: one
evaluation with its gradient then costs a fraction, and the refit of every step is what an agent pays for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from bluesky_stm.geometry import Floats

NOISE_FLOOR = 1e-4
"""Least noise variance, in variances of the values."""

MEAN_VARIANCE = 1.0
"""Variance of the unknown mean, in variances of the values."""

PARTS = ("xy", "picture", "deep")


@dataclass(frozen=True)
class LogNormalPrior:
    """Normal prior of a logarithm."""

    median: float
    spread: float

    @property
    def mean(self) -> float:
        """Of the logarithm."""
        return math.log(self.median)


LENGTHS = {"xy": LogNormalPrior(0.4, 0.8), "picture": LogNormalPrior(2.0, 0.7), "deep": LogNormalPrior(1.0, 0.5)}
VARIANCES = {
    "xy": LogNormalPrior(0.4, 1.0),
    "picture": LogNormalPrior(0.3, 1.0),
    "xy * picture": LogNormalPrior(0.3, 1.0),
    "deep": LogNormalPrior(0.6, 1.0),
    "xy * deep": LogNormalPrior(0.3, 1.0),
}
NOISE = LogNormalPrior(0.2, 0.7)


@dataclass(frozen=True)
class Kernel:
    """The covariance for places described by ``groups``: among them "xy" and "deep", every other one is of the picture.

    Parameters are a tensor of logarithms: a length for each group, a variance for each term, the variance of the noise.
    """

    groups: tuple[str, ...]

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms of the sum."""
        parts = list(self._members)
        products = [f"xy * {name}" for name in parts[1:]] if "xy" in parts else []
        return tuple(parts + products)

    @cached_property
    def priors(self) -> tuple[LogNormalPrior, ...]:
        """Of each parameter."""
        lengths = (LENGTHS[part_of(group)] for group in self.groups)
        return (*lengths, *(VARIANCES[term] for term in self.terms), NOISE)

    @cached_property
    def expected(self) -> tuple[Floats, Floats]:
        """Means and spreads of the priors, each (p,)."""
        return np.array([prior.mean for prior in self.priors]), np.array([prior.spread for prior in self.priors])

    def covariance(self, squared: Sequence[Tensor], parameters: Tensor) -> Tensor:
        """Of the values without noise, from the squared distances of each group, of any shape; the same shape."""
        parts = {name: cast(Tensor, _Matern.apply(part)) for name, part in self._scaled(squared, parameters).items()}
        return self._sum(parts, parameters)

    def linearized(self, squared: Sequence[Tensor], parameters: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Covariance of k pairs of places, from their squared distances, each (k,), and its derivative, pulled back.

        The second one turns the slope of anything by these covariances, (k,), into its slope by the parameters. It is written
        down: automatic differentiation takes four times as long, and a refit does little else.
        """
        matern_parts = {name: matern(part) for name, part in self._scaled(squared, parameters).items()}
        parts = {name: part for name, (part, _) in matern_parts.items()}
        variance = self._variances(parameters)

        def pulled_back(slope: Tensor) -> Tensor:
            gradient = torch.zeros_like(parameters)
            for i, term in enumerate(self.terms):
                gradient[len(self.groups) + i] = variance[term] * (slope @ self._product(term, parts))
            for name, (_, fall) in matern_parts.items():
                carried = sum(variance[t] * self._product(t, parts, without=name) for t in self.terms if name in t.split(" * "))
                by_square = slope * carried * fall
                for i in self._members[name]:
                    gradient[i] = -2 * torch.exp(-2 * parameters[i]) * (by_square @ squared[i])
            return gradient

        return self._sum(parts, parameters), pulled_back

    def variance(self, parameters: Tensor) -> Tensor:
        """Of the value at one place, without noise."""
        return torch.exp(parameters[len(self.groups) : -1]).sum() + MEAN_VARIANCE

    def share(self, parameters: Tensor, part: str) -> float:
        """Share in the prior variance of the terms that contain a part; 0 if there is none."""
        variance = {term: float(v) for term, v in self._variances(parameters).items()}
        return sum(v for term, v in variance.items() if part in term.split(" * ")) / sum(variance.values())

    @cached_property
    def _members(self) -> dict[str, tuple[int, ...]]:
        """Indices of the groups that each part is made of."""
        found = {part: tuple(i for i, group in enumerate(self.groups) if part_of(group) == part) for part in PARTS}
        return {part: members for part, members in found.items() if members}

    def _variances(self, parameters: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.terms, torch.exp(parameters[len(self.groups) : -1]), strict=True))

    def _scaled(self, squared: Sequence[Tensor], parameters: Tensor) -> dict[str, Tensor]:
        """Squared distances of each part, in its length scales."""
        shrink = torch.exp(-2 * parameters)
        return {
            part: sum((squared[i] * shrink[i] for i in members[1:]), squared[members[0]] * shrink[members[0]])
            for part, members in self._members.items()
        }

    def _sum(self, parts: dict[str, Tensor], parameters: Tensor) -> Tensor:
        constant = torch.full_like(next(iter(parts.values())), MEAN_VARIANCE)
        return sum((v * self._product(term, parts) for term, v in self._variances(parameters).items()), constant)

    @staticmethod
    def _product(term: str, parts: dict[str, Tensor], without: str = "") -> Tensor:
        factors = [parts[name] for name in term.split(" * ") if name != without]
        return math.prod(factors[1:], start=factors[0]) if factors else torch.ones(())


def part_of(group: str) -> str:
    """The part of the kernel that takes a group of features."""
    return group if group in {"xy", "deep"} else "picture"


def squared_distances(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """For each group, the squared distances of places ``a`` (n, d) and ``b`` (m, d); each (n, m)."""
    return [_squared(left, right) for left, right in zip(a, b, strict=True)]


def _squared(a: Tensor, b: Tensor) -> Tensor:
    product = torch.addmm((b * b).sum(1)[None, :] + (a * a).sum(1)[:, None], a, b.T, alpha=-2.0)
    return product.clamp_(min=0.0)


def matern(squared: Tensor) -> tuple[Tensor, Tensor]:
    """Matern 5/2 of scaled squared distances, and its slope ``-5/6 (1 + r) exp(-r)`` by them."""
    r = torch.sqrt(5.0 * squared)
    fall = torch.exp(-r)
    slope = (1.0 + r).mul_(fall)
    return (r * r).mul_(fall / 3.0).add_(slope), slope.mul(-5.0 / 6.0)


class _Matern(torch.autograd.Function):
    """`matern` with its slope for automatic differentiation, which would stumble over the root at 0."""

    @staticmethod
    def forward(context: Any, squared: Tensor) -> Tensor:
        value, slope = matern(squared)
        context.save_for_backward(slope)
        return value

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (slope,) = context.saved_tensors
        return gradient * slope
