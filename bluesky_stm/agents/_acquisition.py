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
from typing_extensions import override

from bluesky_stm.agents._inputs import AcquisitionFunction, AcquisitionInputs
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import acquisition_functions, setting


class ExpectedImprovement(AcquisitionFunction):
    """Expected improvement over the best posterior mean."""

    name: str = "ei"

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        return inputs.expected(np.exp(log_expected_improvement(inputs.mean, inputs.std, inputs.best)))


class UpperConfidenceBound(AcquisitionFunction):
    """Posterior mean plus ``sqrt(beta)`` standard deviations."""

    name: str = "ucb"
    gain: ClassVar[bool] = False
    beta: float = setting(4.0, "", "Square of the number of standard deviations that are added to the mean.", ge=0)

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        return inputs.expected(inputs.mean + math.sqrt(self.beta) * inputs.std, inputs.least)


class MaximumVariance(AcquisitionFunction):
    """Posterior standard deviation, which improves the map and does not seek the maximum."""

    name: str = "variance"
    maximises: ClassVar[bool] = False

    @override
    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        return inputs.expected(inputs.std)


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
        from scipy.special import ndtr

        low, high = (np.inf * sign if end is None else float(inputs.warp(np.array(end))) for end, sign in self._ends)
        return inputs.expected(ndtr((high - inputs.mean) / inputs.std) - ndtr((low - inputs.mean) / inputs.std))

    @property
    def _ends(self) -> tuple[tuple[float | None, int], tuple[float | None, int]]:
        return (self.low, -1), (self.high, 1)


class Near(AcquisitionFunction):
    """The nearest of the candidates whose score ``of`` is at least ``share`` of the largest, which saves travel of the tip.

    Only of a score with a meaningful zero is there a share: levels such as a confidence bound are refused.
    """

    name: str = "near"
    gain: ClassVar[bool] = False
    of: Annotated[AcquisitionFunction, acquisition_functions] = setting(
        ExpectedImprovement(), "", "The acquisition function that gives the worth of a spectrum, chosen by name."
    )
    share: float = setting(0.8, "", "Share of the largest worth at which a candidate is good enough.", gt=0, le=1)

    @model_validator(mode="after")
    def _of_a_gain(self) -> Self:
        if not self.of.gain:
            raise ValueError(
                f"{self.of.name!r} gives levels whose zero means nothing, so that a share of one means nothing: "
                "take 'ei', 'variance' or 'target'"
            )
        return self

    @property
    @override
    def maximises(self) -> bool:
        return self.of.maximises

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
        return np.where(scores >= best * self.share, -inputs.travel, -np.inf)


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
    from scipy.special import log_ndtr

    z = (mean - best) / std
    log_pdf = -0.5 * z * z - 0.5 * math.log(2 * math.pi)
    near = np.maximum(z, -6.0)
    direct = np.log(np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi) + near * np.exp(log_ndtr(near)))
    far = np.minimum(z, -6.0)  # pdf + z cdf = pdf / z**2 (1 - 3 / z**2 + 15 / z**4 - ...)
    series = log_pdf - 2 * np.log(-far) + np.log1p(-3 / far**2 + 15 / far**4 - 105 / far**6)
    return np.log(std) + np.where(z > -6.0, direct, series)
