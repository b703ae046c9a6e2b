"""Parameters of the covariance from the data: maximum a posteriori of the marginal likelihood, by L-BFGS.

Every fit starts from the prior, so that its result follows from the data alone: it does not matter in which order they came,
nor how often an agent was asked before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from bluesky_stm.agents._kernel import FLOOR, Kernel, Prior, squared_distances
from bluesky_stm.geometry import Floats

ITERATIONS = 40
REACH = 4.0
"""Prior standard deviations that a parameter may move."""

DEGREES = 4.0
"""Degrees of freedom of the Student t by which outliers lose weight."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters of a kernel, and how much noise each value has.

    Attributes
    ----------
    kernel : Kernel
    parameters : Tensor
        See `Kernel`.
    noise : Tensor of shape (n,)
        Noise variance of each value, in variances of the values.
    evidence : float
        Log density of the data and the parameters: larger is better.
    """

    kernel: Kernel
    parameters: Tensor
    noise: Tensor
    evidence: float


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes in one thread: on matrices of this size more only wait for each other, and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fitted(kernel: Kernel, places: Sequence[Tensor], values: Tensor) -> Fit:
    """Fit to ``values`` (n,), warped, at ``places`` (features by group); a second time with outliers losing weight."""
    squared = squared_distances(places, places)
    start = np.array([prior.mean for prior in kernel.priors])
    calm = torch.ones_like(values)
    parameters, cost = _minimum(kernel, squared, values, calm, start)
    weights = _outlier_noise(kernel, squared, values, parameters)
    if float(weights.max()) > 2.0:
        parameters, cost = _minimum(kernel, squared, values, weights, parameters)
    else:
        weights = calm
    best = torch.as_tensor(parameters)
    return Fit(kernel, best, noise_variance(best) * weights, -cost)


def noise_variance(parameters: Tensor) -> Tensor:
    """Of an ordinary value."""
    return torch.exp(parameters[-1]) + FLOOR


def leave_one_out(gram: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals and standard deviations of each value predicted from all others, from the covariance with noise."""
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    precision = inverse.diagonal()
    return (inverse @ values) / precision, precision.rsqrt()


def _minimum(kernel: Kernel, squared: Sequence[Tensor], values: Tensor, weights: Tensor, start: Floats) -> tuple[Floats, float]:
    bounds = [(p.mean - REACH * p.spread, p.mean + REACH * p.spread) for p in kernel.priors]

    def cost(point: Floats) -> tuple[float, Floats]:
        return _cost(kernel, squared, values, weights, point)

    found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS})
    return found.x, float(found.fun)


def _cost(kernel: Kernel, squared: Sequence[Tensor], values: Tensor, weights: Tensor, point: Floats) -> tuple[float, Floats]:
    """Minus the log of evidence times prior, and its gradient.

    The gradient by the covariance matrix is written down, (inverse - weights weights') / 2: that spares the way back through
    the Cholesky factor, which costs more than the factor itself.
    """
    parameters = torch.tensor(point, requires_grad=True)
    gram = kernel.covariance(squared, parameters) + torch.diag(noise_variance(parameters) * weights)
    with torch.no_grad():
        factor, failed = torch.linalg.cholesky_ex(gram)
        if int(failed):
            return 1e12, np.zeros_like(point)
        inverse = torch.cholesky_inverse(factor)
        alpha = inverse @ values
        evidence = -0.5 * values @ alpha - factor.diagonal().log().sum() - 0.5 * len(values) * math.log(2 * math.pi)
        by_gram = 0.5 * (inverse - torch.outer(alpha, alpha))
    gram.backward(by_gram)
    assert parameters.grad is not None
    prior, slope = _log_prior(point, kernel.priors)
    return -float(evidence) - prior, parameters.grad.numpy() - slope


def _log_prior(point: Floats, priors: Sequence[Prior]) -> tuple[float, Floats]:
    mean, spread = (np.array([getattr(p, name) for p in priors]) for name in ("mean", "spread"))
    z = (point - mean) / spread
    return float(-0.5 * z @ z - np.log(spread).sum() - 0.5 * len(z) * math.log(2 * math.pi)), -z / spread


def _outlier_noise(kernel: Kernel, squared: Sequence[Tensor], values: Tensor, point: Floats) -> Tensor:
    """Factor on the noise of each value: 1 for most, more where leaving it out shows that the others don't expect it."""
    parameters = torch.as_tensor(point)
    noise = noise_variance(parameters)
    gram = kernel.covariance(squared, parameters) + torch.diag(noise.expand(len(values)))
    residual, std = leave_one_out(gram, values)
    z2 = (residual / std) ** 2
    weights = (DEGREES + z2) / (DEGREES + 1.0)
    return torch.where(z2 > 9.0, weights * z2 * std**2 / (DEGREES * noise) + 1.0, torch.ones_like(values))
