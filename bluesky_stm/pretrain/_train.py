"""Training of the net inside the kernel of the agent, as it is used: from few spectra in each of many scenes.

Each scene is a task: a few dozen places, and values of their spectra. A third of the places is given as context. The objective
is the probability that the kernel on position and the net then gives to the values of the others, over all scenes [1]_: so the
net learns what position does not tell already. An agent fits the parameters of its kernel to each scalar, so the net must not
adapt to one set of them: there are several sets, shared by all scenes, and each scalar counts with those that predict it best.

References
----------
.. [1] M. Patacchiola et al., "Bayesian meta-learning for the few-shot setting via deep kernels", NeurIPS 33 (2020)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from bluesky_stm.agents._kernel import MEAN_VARIANCE, NOISE_FLOOR, Kernel
from bluesky_stm.agents._rings import Rings
from bluesky_stm.geometry import Floats
from bluesky_stm.pretrain._net import TrainedNet
from bluesky_stm.pretrain._scenes import scene
from bluesky_stm.pretrain._values import TASK_COMPONENTS, TASK_SCALARS, components, scalars

TASK_PLACES = (20, 120)
"""Range of the number of places of a task; the upper end is excluded."""

# Given a third, the net is worth +.050 in R2 on other scenes; +.048 if all values count (benchmarks/results/agents_depth.md).
CONTEXT_SHARE = 1 / 3
"""Share of the places whose values are given."""

BATCH = 16
RATE = 2e-3
DECAY = 1e-2
WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""

KERNEL = Kernel(("xy", "deep"))
# Four sets instead of one raised that from +.045 to +.048.
PARAMETER_SETS, SETS_APART = 4, 0.5
"""Number of sets of kernel parameters, and their initial scatter, in standard deviations of their priors."""

JITTER = 1e-3


@dataclass(frozen=True, eq=False)
class Task:
    """A scene prepared for training.

    Attributes
    ----------
    xy : Tensor of shape (n, 2)
        Places, in half sides of the frame.
    rings : Tensor of shape (n, INPUTS)
        Inputs of the net.
    values : Tensor of shape (n, c)
        Components and scalars of the spectra; a column of zeros stands for a scalar that does not exist.
    """

    xy: Tensor
    rings: Tensor
    values: Tensor


def task(seed: int) -> Task:
    """Return the task of a seed.

    The scene and the scalars drawn from its spectra follow from the same seed.
    """
    one = scene(seed)
    frame = one.topograph.frame
    xy = (one.places - np.asarray(frame.center)) / (min(frame.size) / 2)
    rings = Rings(one.topograph, one.places)(one.places)
    values = np.zeros((len(xy), TASK_COMPONENTS + TASK_SCALARS))
    scores, drawn = components(one.didv), scalars(one.didv, np.random.default_rng([seed, 2]))
    values[:, : scores.shape[1]] = scores
    values[:, TASK_COMPONENTS : TASK_COMPONENTS + drawn.shape[1]] = drawn
    return Task(_single(xy), _single(rings), _single(values))


def train(tasks: Sequence[Task], steps: int, seed: int = 0, report: Callable[[int, float], None] | None = None) -> TrainedNet:
    """Train a net on tasks.

    Parameters
    ----------
    tasks : sequence of Task
        All with the same number of places.
    steps : int
        Number of steps of the optimiser.
    seed : int
        Seed of the initial weights and of the batches.
    report : callable, optional
        Called after each step with its index and the loss per value.

    Returns
    -------
    TrainedNet
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    useful = [ready for ready in tasks if ready.values.any()]
    xy, rings, values = (torch.stack(parts) for parts in zip(*((t.xy, t.rings, t.values) for t in useful), strict=True))
    net = TrainedNet(torch.stack([rings.mean((0, 1)), rings.std((0, 1)) + 1e-3]))
    mean, spread = (torch.as_tensor(part, dtype=torch.float32) for part in KERNEL.expected)
    parameters = (mean + SETS_APART * spread * torch.randn(PARAMETER_SETS, len(mean))).requires_grad_(True)
    groups: list[dict[str, object]] = [{"params": net.parameters()}, {"params": [parameters], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=WARM_UP)
    for step in range(steps):
        chosen = torch.as_tensor(rng.integers(len(xy), size=BATCH))[:, None]
        places = torch.as_tensor(
            rng.permuted(np.tile(np.arange(xy.shape[1]), (BATCH, 1)), axis=1)[:, : rng.integers(*TASK_PLACES)]
        )
        loss = _loss(net, parameters, xy[chosen, places], rings[chosen, places], values[chosen, places])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if report:
            report(step, float(loss.detach()))
    return net


def _loss(net: TrainedNet, parameters: Tensor, xy: Tensor, rings: Tensor, values: Tensor) -> Tensor:
    """Return minus the log probability, per value, of ``values`` (b, n, c) after those of the context.

    A column of zeros stands for a scalar that does not exist and does not count.
    """
    count = xy.shape[1]
    squared = [_squared(places) for places in (xy, net(rings))]
    noise = torch.stack([(torch.exp(one[-1]) + NOISE_FLOOR + JITTER) * torch.eye(count) for one in parameters])[:, None]
    factor = torch.linalg.cholesky(torch.stack([_covariance(squared, one) for one in parameters]) + noise)
    white = torch.linalg.solve_triangular(factor, values.expand(len(parameters), *values.shape), upper=False)
    each = -white.square() / 2 - factor.diagonal(dim1=-2, dim2=-1).log()[..., None]  # of a value, given all before it
    context = int(CONTEXT_SHARE * count)
    every = torch.logsumexp(each[:, :, context:].sum(2), 0) - math.log(len(parameters))  # (b, c)
    return -every[values.any(1)].mean() / (count - context)


def _covariance(squared: Sequence[Tensor], parameters: Tensor) -> Tensor:
    """Return `Kernel.covariance` of `KERNEL`, whose parts have one group each, so that it can be differentiated."""
    groups = KERNEL.groups
    scaled = (one * shrink for one, shrink in zip(squared, torch.exp(-2 * parameters[: len(groups)]), strict=True))
    parts = {group: cast(Tensor, _Matern.apply(one)) for group, one in zip(groups, scaled, strict=True)}
    products = [math.prod((parts[name] for name in term.split(" * ")), start=torch.ones(())) for term in KERNEL.terms]
    weighed = zip(torch.exp(parameters[len(groups) : -1]), products, strict=True)
    return sum((variance * product for variance, product in weighed), torch.tensor(MEAN_VARIANCE))


class _Matern(torch.autograd.Function):
    """Matern 5/2 of scaled squared distances; automatic differentiation would give NaN for the square root at 0."""

    @staticmethod
    def forward(context: FunctionCtx, squared: Tensor) -> Tensor:
        r = torch.sqrt(5.0 * squared)
        fall = torch.exp(-r)
        slope = (1.0 + r) * fall
        context.save_for_backward(slope * (-5.0 / 6.0))
        return r * r * (fall / 3.0) + slope

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (slope,) = context.saved_tensors
        return gradient * slope


def _squared(places: Tensor) -> Tensor:
    """Return the squared distances (b, n, n) of places (b, n, d)."""
    return (places[:, :, None] - places[:, None]).square().sum(-1)


def _single(values: Floats) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)
