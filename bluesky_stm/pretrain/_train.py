"""The net is trained as it is used: inside the kernel of the agent, on the evidence of few spectra in many scenes.

Each scene is a task: a few dozen places, the principal components of their spectra as values. What is maximised is the
marginal likelihood of the whole kernel, position and picture included, over all scenes with shared parameters [1]_: so the net
learns what these do not know already. No scalar is preferred; a spectrum is taken as asinh(dI/dV / 0.05 nS).

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

from bluesky_stm.agents._features import Pictures
from bluesky_stm.agents._fit import noise_variance
from bluesky_stm.agents._kernel import Kernel, squared_distances
from bluesky_stm.agents._net import Net
from bluesky_stm.agents._rings import Rings
from bluesky_stm.geometry import Floats
from bluesky_stm.pretrain._scenes import Scene, scene

COMPONENTS = 4
"""Principal components of the spectra of a scene that serve as values."""

LEAST = 0.05
"""dI/dV, in nS, below which it counts linearly and above which by its logarithm."""

SPECTRA = (20, 120)
"""Least and greatest number of places of a task."""

BATCH = 8
RATE = 2e-3


@dataclass(frozen=True, eq=False)
class Task:
    """A scene made ready: places by group, the rings of the net, values (n, c)."""

    places: dict[str, Tensor]
    rings: Tensor
    values: Tensor


def task(one: Scene) -> Task:
    """From a scene."""
    frame = one.topograph.frame
    pictures = Pictures(one.topograph, one.places, one.patch)
    xy = (one.places - np.asarray(frame.center)) / (min(frame.size) / 2)
    groups = {"xy": xy} | dict(zip(pictures.groups, pictures(one.places), strict=True))
    rings = Rings(one.topograph, one.places, one.patch)(one.places)
    return Task({name: _single(values) for name, values in groups.items()}, _single(rings), _single(components(one.didv)))


def components(didv: Floats) -> Floats:
    """The first principal components of spectra (n, K), each with unit variance; fewer where spectra hardly differ."""
    curves = np.arcsinh(didv / LEAST)
    curves = curves - curves.mean(axis=0)
    scores, sizes, _ = np.linalg.svd(curves, full_matrices=False)
    kept = sizes[:COMPONENTS] > 0.03 * sizes[0] if sizes[0] > 1e-9 else np.zeros(COMPONENTS, dtype=bool)
    return scores[:, :COMPONENTS][:, kept] * math.sqrt(len(didv))


def train(seeds: Sequence[int], steps: int, seed: int = 0, report: Callable[[int, float], None] | None = None) -> Net:
    """A net trained on the scenes of ``seeds``; ``report`` is told the step and the loss a value."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tasks = [ready for ready in (task(scene(s)) for s in seeds) if ready.values.shape[1]]
    net = Net()
    kernels = {tuple(ready.places): Kernel((*ready.places, "deep")) for ready in tasks}
    parameters = {k: torch.tensor([p.mean for p in kernel.priors], requires_grad=True) for k, kernel in kernels.items()}
    learned: list[Tensor] = [*net.parameters(), *parameters.values()]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        optimizer.zero_grad()
        chosen = [tasks[i] for i in rng.integers(len(tasks), size=BATCH)]
        loss = torch.stack([_loss(net, kernels[tuple(t.places)], parameters[tuple(t.places)], t, rng) for t in chosen]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if report:
            report(step, float(loss.detach()))
    return net


def _loss(net: Net, kernel: Kernel, parameters: Tensor, ready: Task, rng: np.random.Generator) -> Tensor:
    """Minus the log evidence of some places of a task, per value."""
    count = min(int(rng.integers(*SPECTRA)), len(ready.rings))
    index = torch.as_tensor(rng.choice(len(ready.rings), count, replace=False))
    places = [*(group[index] for group in ready.places.values()), net(ready.rings[index])]
    gram = kernel.covariance(squared_distances(places, places), parameters)
    factor = torch.linalg.cholesky(gram + torch.diag((noise_variance(parameters) + 1e-3).expand(count)))
    values = ready.values[index]
    fitness = torch.linalg.solve_triangular(factor, values, upper=False).square().sum() / 2
    return fitness / values.numel() + factor.diagonal().log().sum() / count


def _single(values: Floats) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)
