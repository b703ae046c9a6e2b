"""Parameters of the covariance from the data: maximum a posteriori of the marginal likelihood, by L-BFGS.

Every fit starts from the prior, so that its result follows from the data alone: it does not matter in which order they came,
nor how often an agent was asked before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import Tensor

from bluesky_stm.agents._kernel import FLOOR, Kernel, Prior
from bluesky_stm.geometry import Floats

ITERATIONS, FURTHER = 40, 15
"""Of L-BFGS: from the prior, and from parameters that fitted nearly the same values."""

TOLERANCE = {"ftol": 1e-6, "gtol": 1e-3}
REACH = 4.0
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


def fitted(kernel: Kernel, squared: Sequence[Tensor], values: Tensor, start: Tensor | None = None) -> Fit:
    """Fit to ``values`` (n,), warped, at places with these ``squared`` distances by group; from the prior, or ``start``."""
    first = np.array([prior.mean for prior in kernel.priors]) if start is None else start.numpy()
    bounds = [(p.mean - REACH * p.spread, p.mean + REACH * p.spread) for p in kernel.priors]

    def cost(point: Floats) -> tuple[float, Floats]:
        return _cost(kernel, squared, values, point)

    found = minimize(
        cost,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": ITERATIONS if start is None else FURTHER, **TOLERANCE},
    )
    return Fit(kernel, torch.as_tensor(found.x), -float(found.fun))


def noise_variance(parameters: Tensor) -> Tensor:
    """Of each value, in variances of the values."""
    return torch.exp(parameters[-1]) + FLOOR


def leave_one_out(factor: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Residual and standard deviation, noise included, of each value predicted from all others.

    From the Cholesky factor of the covariance with noise and the solution ``alpha`` of the values, both (n, ...).
    """
    precision = torch.cholesky_inverse(factor).diagonal()
    return alpha / precision, precision.rsqrt()


def _cost(kernel: Kernel, squared: Sequence[Tensor], values: Tensor, point: Floats) -> tuple[float, Floats]:
    """Minus the log of evidence times prior, and its gradient.

    The gradient by the covariance matrix is written down, (inverse - weights weights') / 2: that spares the way back through
    the Cholesky factor, which costs more than the factor itself.
    """
    parameters = torch.tensor(point, requires_grad=True)
    gram = kernel.covariance(squared, parameters) + torch.diag(noise_variance(parameters).expand(len(values)))
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
