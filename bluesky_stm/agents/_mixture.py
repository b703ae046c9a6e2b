"""A mixture of several kernels and a constant, each counting as far as it predicts the values left out.

Position and image, position and the net: neither is best everywhere, and few spectra cannot tell which one is; and there are
surfaces of which neither says anything, where nothing is better than the mean of the surface. All of them predict, and their
predictions are mixed with the weights under which the values, each left out once, are most probable (stacking [1]_), each value
counting for its share of the surface (`_shares`): a kernel that predicts what was picked and fails on ordinary places loses its
weight. A weak prior keeps the weights even until the values tell the kernels apart. Where the means differ, the standard
deviation of the mixture grows.

References
----------
.. [1] Y. Yao, A. Vehtari, D. Simpson, A. Gelman, "Using stacking to average Bayesian predictive distributions",
   Bayesian Analysis 13, 917 (2018)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bluesky_stm.agents._fit import Fit, noise_variance
from bluesky_stm.agents._process import LEAST_VARIANCE, Process
from bluesky_stm.geometry import Floats

Features = dict[str, Floats]
"""Features of n places by group, each (n, d)."""

EM_ITERATIONS = 100
"""Number of iterations of the expectation maximisation."""
PRIOR_SUCCESSES = 1.0
"""Prior of the weights, as a number of values that each kernel, and the constant, has predicted well before the first one."""
FARTHEST, HALVINGS = 8.0, 10
"""Standard deviations above the least level in which `Mixture.exceeded` looks, and number of halvings."""
HOPELESS = 5.0
"""Standard deviations below that level at which a candidate exceeds it once in four million times."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussian processes on the same values, a constant, and their weights. Its predictions are moments of the mixture.

    The constant is the distribution of the values on the surface, of mean 0 and variance 1 in warped values, at every place.

    Attributes
    ----------
    processes : sequence of Process
    weights : ndarray of shape (k,)
        Those of the processes; with that of the constant they sum to 1.
    """

    processes: Sequence[Process]
    weights: Floats

    @classmethod
    def stacked(cls, processes: Sequence[Process], shares: Floats) -> Self:
        """Return the mixture with the weights of `stacking`.

        Parameters
        ----------
        processes : sequence of Process
            Processes on the same values. The log density of each value, predicted from all others, decides on their weights.
        shares : ndarray of shape (n,)
            For how much of the surface each value stands; they sum to 1.
        """
        values = processes[0].values
        left_out = [process.leave_one_out() for process in processes] + [(values, np.ones_like(values))]
        return cls(processes, stacking(np.stack([-0.5 * (r / s) ** 2 - np.log(s) for r, s in left_out]), shares)[:-1])

    def extended(self, place: Features, value: float, known: Sequence[float] = ()) -> Self:
        """Return the mixture with one more value; parameters and weights stay.

        Parameters
        ----------
        place : Features
            Features of the place, each (1, d).
        value : float
            Warped value.
        known : sequence of float
            Its variance for each process as far as that is known beforehand; nothing is by default.
        """
        pairs = zip(self.processes, known or [0.0] * len(self.processes), strict=True)
        return replace(self, processes=[p.extended(select(p.fit, place), value, own) for p, own in pairs])

    def at(self, places: Features) -> tuple[Floats, Floats]:
        """Return the posterior at any places.

        Parameters
        ----------
        places : Features
            Features of m places, by group.

        Returns
        -------
        mean, variance : ndarray of shape (m,)
            Noise left out.
        """
        return self._moments([process.at(select(process.fit, places)) for process in self.processes], self._left_open)

    def tested(self, way: Callable[[Process], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
        """Predict each value as if it had not been measured, with parameters and weights as they are.

        Parameters
        ----------
        way : callable
            `Process.leave_one_out`, from all others, or `Process.ahead`, from those before it.

        Returns
        -------
        residual, std : ndarray of shape (n,)
            Value minus prediction, and standard deviation of the prediction, noise included.
        """
        values = self.processes[0].values
        mean, variance = self._moments([(values - r, s * s) for r, s in map(way, self.processes)], 1.0)
        return values - mean, np.sqrt(variance)

    @property
    def without_constant(self) -> Self:
        """The mixture of the processes alone: where it has to be decided which place is better, the constant says nothing."""
        return replace(self, weights=self.weights / self.weights.sum())

    def exceeded(self, share: float, of: NDArray[np.bool_], least: float) -> float:
        """Return the level that a share of some candidates is expected to exceed, noise left out.

        Expectations of counts add up whether or not neighbours depend on each other, so that no joint distribution is needed.

        Parameters
        ----------
        share : float
            Expected share of the candidates, between 0 and 1.
        of : ndarray of bool of shape (m,)
            True for the candidates that count, one at least.
        least : float
            Warped value; lower levels are not looked for.

        Returns
        -------
        float
            Warped value from ``least`` to `FARTHEST` above it.
        """
        count, known = np.count_nonzero(of), list[tuple[Floats, Floats]]()
        for process in self.processes:
            mean, sharpness = process.mean[of], 1 / np.sqrt(process.variance[of])
            near = (least - mean) * sharpness < HOPELESS  # the others do not count
            known.append((mean[near], sharpness[near]))

        def above(level: float) -> float:
            found = [ndtr((mean - level) * sharpness).sum() / count for mean, sharpness in known]
            return float(self.weights @ np.array(found) + self.constant * ndtr(-level / self._left_open**0.5))

        low, step = least, FARTHEST
        if above(low) <= share:
            return low
        for _ in range(HALVINGS):
            step /= 2
            low += step if above(low + step) > share else 0.0
        return low + step

    @property
    def constant(self) -> float:
        """Weight of the constant, from 0 to 1: how far nothing that the processes see says anything of the values."""
        return float(1 - self.weights.sum())

    @property
    def mean(self) -> Floats:
        """Posterior mean of the candidates, (m,), in warped values.

        It is the mean of the processes and of the constant, which is 0, with their weights.
        """
        return self._mixed([process.mean for process in self.processes])

    @property
    def variance(self) -> Floats:
        """Posterior variance of the candidates, (m,), in squares of warped values, noise left out.

        The disagreement of the means of the processes is in it.
        """
        return self._moments([(process.mean, process.variance) for process in self.processes], self._left_open)[1]

    @property
    def mean_where_measured(self) -> Floats:
        """Posterior mean of the measured places, (n,)."""
        return self._mixed([process.mean_where_measured for process in self.processes])

    @property
    def measured(self) -> Features:
        """Features of the measured places, all groups that any kernel takes."""
        return {group: own for p in self.processes for group, own in zip(p.fit.kernel.groups, p.places, strict=True)}

    @property
    def noise(self) -> float:
        """Variance of the noise of a value, in squares of warped values.

        What spectra tell of their own noise beforehand is not in it.
        """
        noises = [noise_variance(process.fit.parameters) for process in self.processes]
        return float(self.weights @ np.array(noises) / self.weights.sum())

    @property
    def heaviest(self) -> int:
        """Index of the process with the largest weight."""
        return int(self.weights.argmax())

    def share(self, part: str) -> float:
        """Return the share in the prior variance of the terms that contain a part of the kernel.

        Parameters
        ----------
        part : str
            "xy", "picture" or "deep".

        Returns
        -------
        float
            From 0 to 1, the mean of the processes with their weights.
        """
        fits = [process.fit for process in self.processes]
        return sum(w * fit.kernel.share(fit.parameters, part) for w, fit in zip(self.weights.tolist(), fits, strict=True))

    @property
    def _left_open(self) -> float:
        """Variance of the values around the constant that is not noise."""
        return max(1 - self.noise, LEAST_VARIANCE)

    def _moments(self, parts: Sequence[tuple[Floats, Floats]], left_open: float) -> tuple[Floats, Floats]:
        """Return mean and variance of the mixture of ``parts`` and of the constant, whose variance is ``left_open``."""
        mean = self._mixed([one for one, _ in parts])
        constant = self.constant * (left_open + mean**2)
        return mean, self._mixed([variance + (one - mean) ** 2 for one, variance in parts]) + constant

    def _mixed(self, parts: Sequence[Floats]) -> Floats:
        return sum((w * part for w, part in zip(self.weights.tolist(), parts, strict=True)), np.zeros_like(parts[0]))


def select(fit: Fit, places: Features) -> list[Floats]:
    """Return the groups of features that the kernel of a fit takes, in its order.

    Parameters
    ----------
    fit : Fit
        Kernel and its parameters.
    places : Features
        Features of n places, by group; it may hold groups that the kernel does not take.

    Returns
    -------
    list of ndarray of shape (n, d)
    """
    return [places[group] for group in fit.kernel.groups]


def stacking(log_density: Floats, shares: Floats) -> Floats:
    """Return the weights under which a mixture of predictive densities is most probable, by expectation maximisation.

    Parameters
    ----------
    log_density : ndarray of shape (k, n)
        Log density of each of n values under each of k distributions.
    shares : ndarray of shape (n,)
        How much each value counts; they sum to 1.

    Returns
    -------
    ndarray of shape (k,)
    """
    # Only the ratios between the kernels count, value by value: relative to the best none of them underflows to 0 / 0.
    density = np.exp(log_density - log_density.max(axis=0))
    weights = np.full(len(density), 1 / len(density))
    for _ in range(EM_ITERATIONS):
        likely = weights[:, None] * density
        weights = (likely / likely.sum(axis=0)) @ shares * len(shares) + PRIOR_SUCCESSES
        weights = weights / weights.sum()
    return weights
