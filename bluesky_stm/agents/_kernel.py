"""The covariance of two places: by their distance, by the difference of their images, and by the output of the net.

    k = xy + picture + xy * picture + deep + xy * deep,   each a Matern 5/2, or a product of two, times its variance

``picture`` has one length scale for each group of image features, ``deep`` one for the output of the net. All parameters are
logarithms with normal priors. The training of the net starts from the same priors.

The kernel is written on arrays of squared distances, which are computed once for the measured places, and not on the kernel
classes of a library: one evaluation with its gradient then costs a fraction, and refits dominate the cost of an agent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bluesky_stm.geometry import Floats

NOISE_FLOOR = 1e-4
"""Least noise variance, in variances of the values."""

MEAN_VARIANCE = 1.0
"""Variance of the unknown mean, in variances of the values."""

PARTS = ("xy", "picture", "deep")


@dataclass(frozen=True)
class LogNormalPrior:
    """Log-normal prior of a positive parameter: a normal prior of its logarithm.

    Attributes
    ----------
    median : float
        Median of the parameter.
    spread : float
        Standard deviation of its logarithm.
    """

    median: float
    spread: float

    @property
    def mean(self) -> float:
        """Mean of the logarithm of the parameter.

        It is not the logarithm of the mean, which the spread raises above the median.
        """
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
    """The covariance function of places that are described by groups of features.

    Parameters of the kernel are an array of logarithms: a length for each group, a variance for each term, and the variance of
    the noise, in this order.

    Attributes
    ----------
    groups : tuple of str
        Names of the groups: "xy", "deep", and any other name for a group of the image.
    """

    groups: tuple[str, ...]

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms of the sum: each part, and its product with position as ``"xy * part"``."""
        parts = list(self._members)
        products = [f"xy * {name}" for name in parts[1:]] if "xy" in parts else []
        return tuple(parts + products)

    @cached_property
    def priors(self) -> tuple[LogNormalPrior, ...]:
        """Prior of each parameter, in the order of the parameters."""
        lengths = (LENGTHS[part_of(group)] for group in self.groups)
        return (*lengths, *(VARIANCES[term] for term in self.terms), NOISE)

    @cached_property
    def expected(self) -> tuple[Floats, Floats]:
        """Means and standard deviations of the priors of the logarithms, each (p,)."""
        return np.array([prior.mean for prior in self.priors]), np.array([prior.spread for prior in self.priors])

    def covariance(self, squared: Sequence[Floats], parameters: Floats) -> Floats:
        """Return the covariance of the values without noise.

        Parameters
        ----------
        squared : sequence of ndarray of shape (...)
            Squared distances, one array for each group, all of the same shape.
        parameters : ndarray of shape (p,)
            Logarithms of the parameters.

        Returns
        -------
        ndarray of shape (...)
        """
        shrink, parts = np.exp(-2 * parameters[: len(self.groups)]), dict[str, Floats]()
        for part, members in self._members.items():
            scaled = squared[members[0]] * shrink[members[0]]
            for i in members[1:]:
                scaled += squared[i] * shrink[i]
            parts[part] = matern(scaled)
        total = np.full_like(parts[next(iter(parts))], MEAN_VARIANCE)
        for term, variance in self._variances(parameters).items():
            total += variance * math.prod((parts[name] for name in term.split(" * ")), start=1.0)
        return total

    def linearized(self, squared: Floats, parameters: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Return the covariance of k pairs of places, and the pull-back of its derivative.

        The derivative is written by hand: automatic differentiation takes four times as long, and a refit does little else.

        Parameters
        ----------
        squared : ndarray of shape (groups, k)
            Squared distances of the pairs, for each group.
        parameters : ndarray of shape (p,)
            Logarithms of the parameters.

        Returns
        -------
        covariance : ndarray of shape (k,)
        pulled_back : callable
            Takes the derivative (k,) of any function by these covariances and returns its derivative (p,) by the parameters.
        """
        shrink, variances = np.exp(-2 * parameters[: len(self.groups)]), np.exp(parameters[len(self.groups) : -1])
        apart = {part: squared[self._chosen(part)] for part in self._members}
        value, fall = {}, {}
        for part, distances in apart.items():
            r = np.sqrt((5.0 * shrink[self._chosen(part)]) @ distances)
            low = np.exp(-r)
            fall[part] = (1.0 + r) * low
            value[part] = r * r * (low / 3.0) + fall[part]
        factors = [[value[part] for part in term.split(" * ")] for term in self.terms]
        terms = [math.prod(found[1:], start=found[0]) for found in factors]

        def pulled_back(slope: Floats) -> Floats:
            gradient = np.zeros_like(parameters)
            for i, term in enumerate(terms):
                gradient[len(self.groups) + i] = variances[i] * (slope @ term)
            for part, distances in apart.items():
                carried = np.zeros(())
                for variance, product in zip(variances, self.terms, strict=True):
                    others = [value[name] for name in product.split(" * ") if name != part]
                    if part in product.split(" * "):
                        carried = carried + (variance * others[0] if others else variance)
                by_square = slope * carried * fall[part] * (-5.0 / 6.0)
                gradient[self._chosen(part)] = -2 * shrink[self._chosen(part)] * (distances @ by_square)
            return gradient

        return sum((v * term for v, term in zip(variances, terms, strict=True)), np.array(MEAN_VARIANCE)), pulled_back

    def variance(self, parameters: Floats) -> float:
        """Return the prior variance of the value at one place, without noise.

        Parameters
        ----------
        parameters : ndarray of shape (p,)
            Logarithms of the parameters.

        Returns
        -------
        float
            The sum of the variances of the terms and of that of the unknown mean, in variances of the values.
        """
        return float(np.exp(parameters[len(self.groups) : -1]).sum()) + MEAN_VARIANCE

    def share(self, parameters: Floats, part: str) -> float:
        """Return the share in the prior variance of the terms that contain a part.

        Parameters
        ----------
        parameters : ndarray of shape (p,)
            Logarithms of the parameters.
        part : str
            "xy", "picture" or "deep".

        Returns
        -------
        float
            From 0 to 1; 0 where no term contains the part.
        """
        variance = self._variances(parameters)
        return sum(v for term, v in variance.items() if part in term.split(" * ")) / sum(variance.values())

    @cached_property
    def _members(self) -> dict[str, tuple[int, ...]]:
        """Indices of the groups that each part consists of."""
        found = {part: tuple(i for i, group in enumerate(self.groups) if part_of(group) == part) for part in PARTS}
        return {part: members for part, members in found.items() if members}

    def _chosen(self, part: str) -> slice | list[int]:
        """Return which groups a part consists of: as a slice where they are neighbours, which copies nothing."""
        members = self._members[part]
        together = slice(members[0], members[-1] + 1)
        return together if len(members) == together.stop - together.start else list(members)

    def _variances(self, parameters: Floats) -> dict[str, float]:
        return dict(zip(self.terms, np.exp(parameters[len(self.groups) : -1]).tolist(), strict=True))


def part_of(group: str) -> str:
    """Return the part of the kernel that takes a group of features: "xy", "deep" or "picture"."""
    return group if group in {"xy", "deep"} else "picture"


def squared_distances(a: Sequence[Floats], b: Sequence[Floats]) -> list[Floats]:
    """Return the squared distances of all pairs of places.

    Parameters
    ----------
    a : sequence of ndarray of shape (n, d)
        Features of some places, by group.
    b : sequence of ndarray of shape (m, d)
        Features of other places, by group.

    Returns
    -------
    list of ndarray of shape (n, m)
        One for each group.
    """
    return [_squared(left, right) for left, right in zip(a, b, strict=True)]


def _squared(a: Floats, b: Floats) -> Floats:
    squared = (-2.0 * a) @ b.T
    squared += (b * b).sum(axis=1)
    squared += (a * a).sum(axis=1)[:, None]
    return np.maximum(squared, 0.0, out=squared)


def matern(squared: Floats) -> Floats:
    """Return the Matern 5/2 of scaled squared distances: ``(1 + r + r**2 / 3) exp(-r)`` with ``r = sqrt(5 squared)``.

    Parameters
    ----------
    squared : ndarray of shape (...)
        Squared distances, in length scales.

    Returns
    -------
    ndarray of shape (...)
    """
    r = np.sqrt(5.0 * squared)
    value = r * (1 / 3)
    value += 1.0
    value *= r
    value += 1.0
    np.negative(r, out=r)
    value *= np.exp(r, out=r)
    return value
