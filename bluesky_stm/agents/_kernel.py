"""The covariance of two places: how far apart they are, how different they look, and what the net makes of them.

    k = xy + picture + xy * picture + deep + xy * deep,   each a Matern 5/2, or a product of two, times its variance

``picture`` has one length scale for each group of image features, ``deep`` one for the output of the net. All parameters are
logarithms with normal priors; those of the variances keep the deep terms a minor part until the data ask for more.

Written on tensors of squared distances, computed once for the measured places, and not on a library's kernel classes: one
evaluation with its gradient then costs a fraction, and the refit of every step is what an agent pays for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

FLOOR = 1e-4
"""Least noise variance, in variances of the values."""

CONSTANT = 1.0
"""Variance of the unknown mean, in variances of the values."""


@dataclass(frozen=True)
class Prior:
    """Normal prior of a logarithm."""

    median: float
    spread: float

    @property
    def mean(self) -> float:
        """Of the logarithm."""
        return math.log(self.median)


LENGTHS = {"xy": Prior(0.4, 0.8), "picture": Prior(2.0, 0.7), "deep": Prior(1.0, 0.5)}
VARIANCES = {
    "xy": Prior(0.4, 1.0),
    "picture": Prior(0.3, 1.0),
    "xy * picture": Prior(0.3, 1.0),
    "deep": Prior(0.25, 1.0),
    "xy * deep": Prior(0.15, 1.0),
}
NOISE = Prior(0.2, 0.7)


@dataclass(frozen=True)
class Kernel:
    """The covariance for places described by ``groups``: among them "xy" and "deep", every other one is of the picture.

    Parameters are a tensor of logarithms: a length for each group, a variance for each term, the variance of the noise.
    """

    groups: tuple[str, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms of the sum."""
        parts = [name for name in ("xy", "picture", "deep") if name in self.groups or (name == "picture" and self._picture)]
        products = [f"xy * {name}" for name in parts[1:]] if "xy" in parts else []
        return tuple(parts + products)

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Of each parameter."""
        lengths = (LENGTHS.get(group, LENGTHS["picture"]) for group in self.groups)
        return (*lengths, *(VARIANCES[term] for term in self.terms), NOISE)

    def covariance(self, squared: Sequence[Tensor], parameters: Tensor) -> Tensor:
        """Of the values without noise, from the squared distances of each group, each (n, m); shape (n, m)."""
        shrink = torch.exp(-2 * parameters)
        variance = dict(zip(self.terms, torch.exp(parameters[len(self.groups) : -1]), strict=True))
        scaled = {group: squared[i] * shrink[i] for i, group in enumerate(self.groups)}
        parts: dict[str, Tensor] = {name: _matern(scaled[name]) for name in ("xy", "deep") if name in scaled}
        if self._picture:
            parts["picture"] = _matern(sum((scaled[group] for group in self._picture[1:]), scaled[self._picture[0]]))
        for name in ("picture", "deep"):
            if f"xy * {name}" in variance:
                parts[f"xy * {name}"] = parts["xy"] * parts[name]
        return sum((variance[term] * parts[term] for term in self.terms), torch.full_like(squared[0], CONSTANT))

    def variance(self, parameters: Tensor) -> Tensor:
        """Of the value at one place, without noise."""
        return torch.exp(parameters[len(self.groups) : -1]).sum() + CONSTANT

    def share(self, parameters: Tensor, part: str) -> float:
        """Share in the prior variance of the terms that contain a part; 0 if there is none."""
        variance = dict(zip(self.terms, torch.exp(parameters[len(self.groups) : -1]).tolist(), strict=True))
        return sum(v for term, v in variance.items() if part in term.split(" * ")) / sum(variance.values())

    @property
    def _picture(self) -> tuple[str, ...]:
        return tuple(group for group in self.groups if group not in {"xy", "deep"})


def squared_distances(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """For each group, the squared distances of places ``a`` (n, d) and ``b`` (m, d); each (n, m)."""
    return [_squared(left, right) for left, right in zip(a, b, strict=True)]


def _squared(a: Tensor, b: Tensor) -> Tensor:
    product = torch.addmm((b * b).sum(1)[None, :] + (a * a).sum(1)[:, None], a, b.T, alpha=-2.0)
    return product.clamp_(min=0.0)


class _Matern(torch.autograd.Function):
    """Matern 5/2 of scaled squared distances, its slope ``-5/6 (1 + r) exp(-r)`` written down: no root in the gradient."""

    @staticmethod
    def forward(context: Any, squared: Tensor) -> Tensor:
        r = torch.sqrt(5.0 * squared)
        fall = torch.exp(-r)
        if context.needs_input_grad[0]:
            context.save_for_backward((1.0 + r).mul_(fall).mul_(-5.0 / 6.0))
        return (1.0 + r + r * r / 3.0).mul_(fall)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (slope,) = context.saved_tensors
        return gradient * slope


def _matern(squared: Tensor) -> Tensor:
    return cast(Tensor, _Matern.apply(squared))
