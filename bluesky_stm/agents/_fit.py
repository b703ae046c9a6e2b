"""Fit of the parameters of a kernel: maximum a posteriori of the marginal likelihood, by L-BFGS.

Every fit starts from the prior, so that its result follows from the data alone: neither their order matters, nor how often an
agent was asked before.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from bluesky_stm.agents._kernel import MEAN_VARIANCE, NOISE_FLOOR, Kernel
from bluesky_stm.geometry import Floats

ITERATIONS = 40

TOLERANCE = {"ftol": 1e-6, "gtol": 1e-3}
PRIOR_DEVIATIONS = 4.0
"""Distance from the median of its prior, in prior standard deviations, that a parameter may reach."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Fitted parameters of a kernel.

    Attributes
    ----------
    kernel : Kernel
    parameters : ndarray of shape (p,)
        Logarithms, in the order that `Kernel` describes.
    evidence : float
        Log density of the data and the parameters: larger is better.
    """

    kernel: Kernel
    parameters: Floats
    evidence: float


@contextmanager
def one_thread() -> Iterator[None]:
    """Run linear algebra in one thread within this context.

    On matrices of this size more threads only wait for each other, and in one thread sums keep their order, so that a replay
    gets the same bits.
    """
    torch = sys.modules.get("torch")  # it has a pool of its own, where an agent has loaded it
    before = torch.get_num_threads() if torch else 1
    with _threads(torch is not None).limit(limits=1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


@cache
def _threads(torch: bool) -> ThreadpoolController:
    """Return the pools of what is loaded, which are looked for once without torch and once with it."""
    return ThreadpoolController()


def fitted(kernel: Kernel, squared: Sequence[Floats], values: Floats, known: Floats | None = None) -> Fit:
    """Fit the parameters of a kernel to warped values.

    Parameters
    ----------
    kernel : Kernel
        Kernel whose parameters are fitted.
    squared : sequence of ndarray of shape (n, n)
        Squared distances of the measured places, one for each group of features of the kernel.
    values : ndarray of shape (n,)
        Warped values.
    known : ndarray of shape (n,), optional
        Variance of each value that is known beforehand, from the noise of its spectrum; the fitted noise comes on top.

    Returns
    -------
    Fit
    """
    from scipy.optimize import minimize

    first, spread = kernel.expected
    bounds = np.column_stack([first - PRIOR_DEVIATIONS * spread, first + PRIOR_DEVIATIONS * spread])
    below = _below(len(values))
    condensed = np.stack([group.ravel()[below.flat] for group in squared])
    noise = np.zeros(len(values)) if known is None else known

    def cost(point: Floats) -> tuple[float, Floats]:
        return _cost(kernel, condensed, values, noise, point)

    options = {"maxiter": ITERATIONS, **TOLERANCE}
    found = minimize(cost, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Fit(kernel, found.x, -float(found.fun))


def noise_variance(parameters: Floats) -> float:
    """Return the noise variance of one value, in variances of the values.

    The last parameter of a kernel is the logarithm of what it exceeds `NOISE_FLOOR` by.
    """
    return math.exp(parameters[-1]) + NOISE_FLOOR


def leave_one_out(factor: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Predict each value from all others, without fitting again.

    Parameters
    ----------
    factor : ndarray of shape (n, n)
        Lower Cholesky factor of the covariance, noise included.
    alpha : ndarray of shape (n,)
        Inverse of the covariance times the values.

    Returns
    -------
    residual, std : ndarray of shape (n,)
        Value minus prediction, and standard deviation of the prediction, noise included.
    """
    return left_out(alpha, precision(factor))


def left_out(alpha: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Return what `leave_one_out` does, given the diagonal of the inverse of the covariance, ``precision`` (n,)."""
    return alpha / precision, 1 / np.sqrt(precision)


def precision(factor: Floats) -> Floats:
    """Return the diagonal of the inverse of a covariance, (n,), given its lower Cholesky factor (n, n)."""
    from scipy.linalg.lapack import dpotri

    # Lower is upper for LAPACK, which counts by columns.
    return dpotri(factor.T, lower=0)[0].diagonal()


def _cost(kernel: Kernel, squared: Floats, values: Floats, known: Floats, point: Floats) -> tuple[float, Floats]:
    """Return minus the log of evidence times prior at ``point``, and its gradient.

    ``squared`` (groups, k) are the distances of the pairs `_below` the diagonal. The slope by the covariance matrix is
    (inverse - weights weights') / 2. Every pair stands twice in the matrix and is computed once. It is written for LAPACK:
    most fits have fewer than a hundred values, where each call costs more than its arithmetic.
    """
    from scipy.linalg.blas import dsymv
    from scipy.linalg.lapack import dpotrf, dpotri

    groups, n, below = len(kernel.groups), len(values), _below(len(values))
    scale = np.exp(point[groups:])  # variances of the terms, and that of the noise
    covariance, pulled_back = kernel.linearized(squared, point)
    gram = np.empty((n, n))
    gram.reshape(-1)[below.flat] = covariance
    gram.reshape(-1)[:: n + 1] = scale.sum() + MEAN_VARIANCE + NOISE_FLOOR + known
    # What lies below the diagonal lies above it for LAPACK, which counts by columns; nothing is copied.
    factor, failed = dpotrf(gram.T, lower=0, clean=0, overwrite_a=1)
    if failed:
        # Not positive definite to rounding: so large a cost that the search steps back.
        return 1e12, np.zeros_like(point)
    half = np.log(factor.diagonal()).sum()
    inverse, _ = dpotri(factor, lower=0, overwrite_c=1)
    alpha = dsymv(1.0, inverse, values, lower=0)
    evidence = -0.5 * values @ alpha - half - 0.5 * n * math.log(2 * math.pi)
    slope = inverse.T.reshape(-1)[below.flat] - alpha[below.row] * alpha[below.column]
    gradient = pulled_back(slope)
    gradient[groups:] += 0.5 * (inverse.diagonal() - alpha * alpha).sum() * scale
    prior, by_prior = _log_prior(point, *kernel.expected)
    return -float(evidence) - prior, gradient - by_prior


class _Pairs(NamedTuple):
    """Where the elements below the diagonal of a matrix stand."""

    row: NDArray[np.int_]
    column: NDArray[np.int_]
    flat: NDArray[np.int_]


@lru_cache(maxsize=4)
def _below(n: int) -> _Pairs:
    """Return the indices of the elements below the diagonal of a matrix (n, n)."""
    row, column = np.tril_indices(n, -1)
    return _Pairs(row, column, row * n + column)


def _log_prior(point: Floats, mean: Floats, spread: Floats) -> tuple[float, Floats]:
    z = (point - mean) / spread
    return float(-0.5 * z @ z - np.log(spread).sum() - 0.5 * len(z) * math.log(2 * math.pi)), -z / spread
