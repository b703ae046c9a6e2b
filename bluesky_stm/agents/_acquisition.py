"""Acquisition functions: scores of the candidates, computed from the posterior of an agent.

All of them work on warped values (`Warp` increases, so that the best value stays the best) and give one number for each
candidate; larger is better. The agent takes the free candidate with the largest score. A spectrum without a value gains
nothing, so the score is the expectation over whether there will be a value.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import model_validator
from scipy.special import log_ndtr, ndtr
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.agents._inputs import AcquisitionFunction, AcquisitionInputs, Scale
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import acquisition_functions, setting

THOMPSON_CANDIDATES = 2048
"""Number of candidates, drawn at random, on which a Thompson sample is drawn; the cost grows with their cube."""


class ExpectedImprovement(AcquisitionFunction):
    """Expected improvement over the best posterior mean."""

    name: str = "ei"

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        return inputs.expected(np.exp(log_expected_improvement(inputs.mean, inputs.std, inputs.best)))


class LogExpectedImprovement(AcquisitionFunction):
    """Logarithm of `ExpectedImprovement`, which ranks candidates where the improvement itself underflows.

    It is accurate for any distance below the best: an asymptotic series takes over where two nearly equal numbers are
    subtracted.
    """

    name: str = "log-ei"
    scale: ClassVar[Scale] = "logarithm"

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        return log_expected_improvement(inputs.mean, inputs.std, inputs.best) + np.log(inputs.chance)


class UpperConfidenceBound(AcquisitionFunction):
    """Posterior mean plus ``sqrt(beta)`` standard deviations."""

    name: str = "ucb"
    scale: ClassVar[Scale] = "level"
    beta: float = setting(4.0, "", "Square of the number of standard deviations that are added to the mean.", ge=0)

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        return inputs.expected(inputs.mean + math.sqrt(self.beta) * inputs.std, inputs.least)


class AnnealedBound(AcquisitionFunction):
    """`UpperConfidenceBound` as in the published runs: beta = ``start`` * ``decay`` ** (n - ``after``), not below ``least``."""

    name: str = "annealed-ucb"
    scale: ClassVar[Scale] = "level"
    start: float = setting(10.0, "", "Value of beta up to ``after`` spectra.", ge=0)
    decay: float = setting(0.9, "", "Factor by which beta falls with each further spectrum.", gt=0, le=1)
    after: int = setting(20, "", "Spectra after which beta begins to fall.", ge=0)
    least: float = setting(0.001, "", "Value below which beta does not fall.", ge=0)

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        beta = max(self.start * self.decay ** max(inputs.count - self.after, 0), self.least)
        return inputs.expected(inputs.mean + math.sqrt(beta) * inputs.std, inputs.least)


class MaximumVariance(AcquisitionFunction):
    """Posterior standard deviation, which improves the map and does not seek the maximum."""

    name: str = "variance"
    maximises: ClassVar[bool] = False

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        return inputs.expected(inputs.std)


class Thompson(AcquisitionFunction):
    """One sample of the posterior, drawn anew for each decision.

    The sample covers at most `THOMPSON_CANDIDATES` of the free candidates.
    """

    name: str = "thompson"
    scale: ClassVar[Scale] = "level"

    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        """Return the sample, in warped values.

        It is minus infinity for candidates that may not be chosen, and beyond `THOMPSON_CANDIDATES` for those that were not
        drawn.

        Parameters
        ----------
        inputs : AcquisitionInputs
            Its generator draws the candidates and the sample.

        Returns
        -------
        ndarray of shape (m,)
        """
        index = np.flatnonzero(inputs.free)
        if len(index) > THOMPSON_CANDIDATES:
            index = np.sort(inputs.generator.choice(index, THOMPSON_CANDIDATES, replace=False))
        mean, covariance = inputs.joint(index)
        # Not by Cholesky: the covariance of near neighbours is singular to rounding, and some of its eigenvalues are below 0.
        variance, axes = np.linalg.eigh(covariance)
        sample = mean + axes @ (np.sqrt(np.maximum(variance, 0)) * inputs.generator.standard_normal(len(index)))
        scores = np.full(len(inputs.mean), -np.inf)
        scores[index] = sample
        return inputs.expected(scores, inputs.least)


class Novelty(AcquisitionFunction):
    """Expected distance of the value from the ``neighbours`` values nearest to it, which seeks values unlike all so far."""

    name: str = "novelty"
    maximises: ClassVar[bool] = False
    neighbours: int = setting(3, "", "Values already measured, the nearest ones, to which the distance counts.", ge=1)

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        apart = expected_novelty(inputs.mean[:, None], inputs.std[:, None], inputs.seen[:, None], self.neighbours)
        return inputs.expected(apart)


class WithinRange(AcquisitionFunction):
    """Probability that the value lies between ``low`` and ``high``, in the units of the scalarizer; None for no end.

    A target value is a range around it, as wide as what counts as met.
    """

    name: str = "target"
    maximises: ClassVar[bool] = False
    low: float | None = setting(None, "that of the scalarizer", "Lower end of the range; none for no end.")
    high: float | None = setting(None, "that of the scalarizer", "Upper end of the range; none for no end.")

    @model_validator(mode="after")
    def _one_end_at_least(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a target needs a lower end, an upper end, or both")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"the lower end {self.low:g} must lie below the upper end {self.high:g}")
        return self

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        low, high = (np.inf * sign if end is None else float(inputs.warp(np.array(end))) for end, sign in self._ends)
        return inputs.expected(ndtr((high - inputs.mean) / inputs.std) - ndtr((low - inputs.mean) / inputs.std))

    @property
    def _ends(self) -> tuple[tuple[float | None, int], tuple[float | None, int]]:
        return (self.low, -1), (self.high, 1)


class CostAware(AcquisitionFunction):
    """Base of acquisition functions that relate the score ``of`` a spectrum to the way of the tip.

    Only a score with a meaningful zero can be divided: levels such as a confidence bound are refused.
    """

    of: Annotated[AcquisitionFunction, acquisition_functions] = setting(
        ExpectedImprovement(), "", "The acquisition function that gives the worth of a spectrum, chosen by name."
    )

    @model_validator(mode="after")
    def _of_a_gain(self) -> Self:
        if self.of.scale == "level":
            raise ValueError(
                f"{self.of.name!r} gives levels whose zero means nothing, so that a share of one, or one per second, means "
                "nothing: take 'ei', 'log-ei', 'variance', 'novelty' or 'target'"
            )
        return self

    @property
    @override
    def maximises(self) -> bool:
        return self.of.maximises


class Near(CostAware):
    """The nearest of the candidates whose score ``of`` is at least ``share`` of the largest, which saves travel of the tip."""

    name: str = "near"
    scale: ClassVar[Scale] = "level"
    share: float = setting(0.8, "", "Share of the largest worth at which a candidate is good enough.", gt=0, le=1)

    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        """Return minus the distance of the candidates that are good enough, minus infinity for the others.

        Parameters
        ----------
        inputs : AcquisitionInputs
            The largest worth is that of the free candidates.

        Returns
        -------
        ndarray of shape (m,)
            In nm, zero or negative.
        """
        scores = self.of(inputs)
        best = scores[inputs.free].max(initial=-np.inf)
        least = best + math.log(self.share) if self.of.scale == "logarithm" else best * self.share
        return np.where(scores >= least, -inputs.travel, -np.inf)


class PerTime(CostAware):
    """Score ``of`` a spectrum divided by the time it takes: ``spectrum`` s, and the way at ``speed`` nm/s."""

    name: str = "per-time"
    speed: float = setting(50.0, units.SPEED, "Speed of the tip on its way.", gt=0)
    spectrum: float = setting(2.6, units.TIME, "Time that a spectrum takes.", gt=0)

    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        """Return the score per second, or its logarithm where ``of`` is a logarithm.

        Parameters
        ----------
        inputs : AcquisitionInputs
            The way of the tip to each candidate is ``travel``.

        Returns
        -------
        ndarray of shape (m,)
            In the unit of ``of``, per second.
        """
        worth, time = self.of(inputs), self.spectrum + inputs.travel / self.speed
        return worth - np.log(time) if self.of.scale == "logarithm" else worth / time

    @property
    @override
    def scale(self) -> Scale:
        return self.of.scale


def expected_novelty(mean: Floats, std: Floats, known: Floats, neighbours: int) -> Floats:
    """Return the root mean square distance of predictions from the nearest known values.

    Parameters
    ----------
    mean, std : ndarray of shape (m, c)
        Predicted components, which are independent and normal.
    known : ndarray of shape (n, c)
        Components that were measured.
    neighbours : int
        Number of nearest known values to which the distance is averaged.

    Returns
    -------
    ndarray of shape (m,)
    """
    from scipy.spatial import KDTree

    distances, _ = KDTree(known).query(mean, [*range(1, min(neighbours, len(known)) + 1)])
    return np.asarray(np.sqrt((distances**2).mean(axis=1) + (std**2).sum(axis=1)))


def log_expected_improvement(mean: Floats, std: Floats, best: float) -> Floats:
    """Return the logarithm of the expected improvement, ``std * (pdf(z) + z cdf(z))`` with ``z = (mean - best) / std``.

    Below z = -6 an asymptotic series replaces the difference of two nearly equal numbers.

    Parameters
    ----------
    mean, std : ndarray of shape (m,)
        Normal predictions.
    best : float
        Value that is to be exceeded.

    Returns
    -------
    ndarray of shape (m,)
    """
    z = (mean - best) / std
    log_pdf = -0.5 * z * z - 0.5 * math.log(2 * math.pi)
    near = np.maximum(z, -6.0)
    direct = np.log(np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi) + near * np.exp(log_ndtr(near)))
    far = np.minimum(z, -6.0)  # pdf + z cdf = pdf / z**2 (1 - 3 / z**2 + 15 / z**4 - ...)
    series = log_pdf - 2 * np.log(-far) + np.log1p(-3 / far**2 + 15 / far**4 - 105 / far**6)
    return np.log(std) + np.where(z > -6.0, direct, series)
