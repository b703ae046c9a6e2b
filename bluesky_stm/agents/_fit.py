"""Parameters of the covariance from the data: maximum a posteriori of the marginal likelihood, by L-BFGS.

Every fit starts from the prior, so that its result follows from the data alone: it does not matter in which order they came,
nor how often an agent was asked before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import Tensor

from bluesky_stm.agents._kernel import NOISE_FLOOR, Kernel
from bluesky_stm.geometry import Floats

ITERATIONS = 40

TOLERANCE = {"ftol": 1e-6, "gtol": 1e-3}
PRIOR_DEVIATIONS = 4.0
"""Prior standard deviations that a parameter may move."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters of a kernel.

    Attributes
    ----------
    kernel : Kernel
    parameters : Tensor
        See `Kernel`.
    evidence : float
        Log density of the data and the parameters: larger is better.
    """

    kernel: Kernel
    parameters: Tensor
    evidence: float


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra in one thread: on matrices of this size more only wait for each other, and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _threads().limit(limits=1):  # numpy and scipy have pools of their own
            yield
    finally:
        torch.set_num_threads(before)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def fitted(kernel: Kernel, squared: Sequence[Tensor], values: Tensor) -> Fit:
    """Fit to ``values`` (n,), warped, at places with these ``squared`` distances by group, each (n, n)."""
    first, spread = kernel.expected
    bounds = np.column_stack([first - PRIOR_DEVIATIONS * spread, first + PRIOR_DEVIATIONS * spread])
    pairs = _below(len(values))
    condensed = [group.flatten()[pairs] for group in squared]

    def cost(point: Floats) -> tuple[float, Floats]:
        return _cost(kernel, condensed, values, point)

    options = {"maxiter": ITERATIONS, **TOLERANCE}
    found = minimize(cost, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Fit(kernel, torch.as_tensor(found.x), -float(found.fun))


def noise_variance(parameters: Tensor) -> Tensor:
    """Of each value, in variances of the values."""
    return torch.exp(parameters[-1]) + NOISE_FLOOR


def leave_one_out(factor: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Residual and standard deviation, noise included, of each value predicted from all others.

    From the Cholesky factor of the covariance with noise and the solution ``alpha`` of the values, both (n, ...).
    """
    precision = torch.cholesky_inverse(factor).diagonal()
    return alpha / precision, precision.rsqrt()


def _cost(kernel: Kernel, squared: Sequence[Tensor], values: Tensor, point: Floats) -> tuple[float, Floats]:
    """Minus the log of evidence times prior, and its gradient; ``squared`` distances of the pairs `_below` the diagonal.

    The slope by the covariance matrix is (inverse - weights weights') / 2. Every pair stands twice in the matrix and is
    computed once.
    """
    parameters, n = torch.as_tensor(point), len(values)
    pairs = _below(n)
    covariance, pulled_back = kernel.linearized(squared, parameters)
    noise, variance = noise_variance(parameters), kernel.variance(parameters)
    gram = torch.diag((variance + noise).expand(n)).flatten().index_copy_(0, pairs, covariance).reshape(n, n)
    factor, failed = torch.linalg.cholesky_ex(gram)  # reads the lower half only
    if int(failed):
        return 1e12, np.zeros_like(point)
    inverse = torch.cholesky_inverse(factor)
    alpha = inverse @ values
    evidence = -0.5 * values @ alpha - factor.diagonal().log().sum() - 0.5 * n * math.log(2 * math.pi)
    slope = inverse - torch.outer(alpha, alpha)
    gradient, trace = pulled_back(slope.flatten()[pairs]), 0.5 * slope.diagonal().sum()
    gradient[len(kernel.groups) :] += trace * torch.exp(parameters[len(kernel.groups) :])
    prior, by_prior = _log_prior(point, *kernel.expected)
    return -float(evidence) - prior, gradient.numpy() - by_prior


@lru_cache(maxsize=4)
def _below(n: int) -> Tensor:
    """Flat indices of the elements below the diagonal of a matrix (n, n)."""
    row, column = torch.tril_indices(n, n, -1)
    return row * n + column


def _log_prior(point: Floats, mean: Floats, spread: Floats) -> tuple[float, Floats]:
    z = (point - mean) / spread
    return float(-0.5 * z @ z - np.log(spread).sum() - 0.5 * len(z) * math.log(2 * math.pi)), -z / spread
