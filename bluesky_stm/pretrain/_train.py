"""The net is trained as it is used: inside the kernel of the agent, on the evidence of few spectra in many scenes.

Each scene is a task: a few dozen places, the principal components of their spectra as values. What is maximised is the
marginal likelihood of the kernel on position and the net, over all scenes with shared parameters [1]_: so the net learns what
position does not know already. No scalar is preferred; a spectrum is taken as asinh(dI/dV / 0.05 nS).

References
----------
.. [1] M. Patacchiola et al., "Bayesian meta-learning for the few-shot setting via deep kernels", NeurIPS 33 (2020)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bluesky_stm.agents._fit import noise_variance
from bluesky_stm.agents._kernel import Kernel, squared_distances
from bluesky_stm.agents._net import Net
from bluesky_stm.agents._rings import Rings
from bluesky_stm.geometry import Floats
from bluesky_stm.pretrain._scenes import scene

COMPONENTS = 4
"""Principal components of the spectra of a scene that serve as values."""

LEAST = 0.05
"""dI/dV, in nS, below which it counts linearly and above which by its logarithm."""

SPECTRA = (20, 120)
"""Least and greatest number of places of a task."""

BATCH = 8
RATE = 2e-3
DECAY = 1e-2

KERNEL = Kernel(("xy", "deep"))


@dataclass(frozen=True, eq=False)
class Task:
    """A scene made ready: places (n, 2) in half sides of the frame, inputs of the net there, values (n, c)."""

    xy: Tensor
    rings: Tensor
    values: Tensor


def task(seed: int) -> Task:
    """From the scene of a seed."""
    one = scene(seed)
    frame = one.topograph.frame
    xy = (one.places - np.asarray(frame.center)) / (min(frame.size) / 2)
    rings = Rings(one.topograph, one.places)(one.places)
    return Task(_single(xy), _single(rings), _single(components(one.didv)))


def components(didv: Floats) -> Floats:
    """The first principal components of spectra (n, K), each with unit variance; fewer where spectra hardly differ."""
    curves = np.arcsinh(didv / LEAST)
    curves = curves - curves.mean(axis=0)
    scores, sizes, _ = np.linalg.svd(curves, full_matrices=False)
    kept = sizes[:COMPONENTS] > 0.03 * sizes[0] if sizes[0] > 1e-9 else np.zeros(COMPONENTS, dtype=bool)
    return scores[:, :COMPONENTS][:, kept] * math.sqrt(len(didv))


def train(tasks: Sequence[Task], steps: int, seed: int = 0, report: Callable[[int, float], None] | None = None) -> Net:
    """A net trained on ``tasks``; ``report`` is told the step and the loss a value."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    useful = [ready for ready in tasks if ready.values.shape[1]]
    net = Net(_usual(useful))
    parameters = torch.tensor([prior.mean for prior in KERNEL.priors], requires_grad=True)
    optimizer = torch.optim.AdamW([*net.parameters(), parameters], lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        optimizer.zero_grad()
        chosen = [useful[i] for i in rng.integers(len(useful), size=BATCH)]
        loss = torch.stack([_loss(net, parameters, ready, rng) for ready in chosen]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if report:
            report(step, float(loss.detach()))
    return net


def _usual(tasks: Sequence[Task]) -> Tensor:
    """Mean and standard deviation of the inputs of the net, (2, d)."""
    rings = torch.cat([ready.rings for ready in tasks])
    return torch.stack([rings.mean(0), rings.std(0) + 1e-3])


def _loss(net: Net, parameters: Tensor, ready: Task, rng: np.random.Generator) -> Tensor:
    """Minus the log evidence of some places of a task, per value."""
    count = min(int(rng.integers(*SPECTRA)), len(ready.rings))
    index = torch.as_tensor(rng.choice(len(ready.rings), count, replace=False))
    places = [ready.xy[index], net(ready.rings[index])]
    gram = KERNEL.covariance(squared_distances(places, places), parameters)
    factor = torch.linalg.cholesky(gram + torch.diag((noise_variance(parameters) + 1e-3).expand(count)))
    values = ready.values[index]
    fitness = torch.linalg.solve_triangular(factor, values, upper=False).square().sum() / 2
    return fitness / values.numel() + factor.diagonal().log().sum() / count


def _single(values: Floats) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)
