"""The net of the deep kernel: from the rings around a place to features in which places with similar spectra are close.

It was trained once on simulated surfaces (``bluesky_stm.pretrain``) and comes with the package. Its weights are fixed during a
run: a few dozen spectra can only tell how far to trust it, which is the variance of its term in the kernel.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from bluesky_stm.agents._rings import INPUTS

# A net twice as wide reaches a lower loss in training and predicts no better (benchmarks/results/agents_depth.md).
WIDTH, OUTPUTS = 128, 16
WEIGHTS_FILE = files("bluesky_stm.agents") / "weights.npz"


class Net(nn.Module):
    """A multilayer perceptron from rings (n, `INPUTS`) to features (n, `OUTPUTS`).

    Parameters
    ----------
    usual : Tensor of shape (2, INPUTS), optional
        Mean and standard deviation of each input in the training scenes; by default 0 and 1.
    """

    usual: Tensor

    def __init__(self, usual: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("usual", torch.tensor([[0.0], [1.0]]).repeat(1, INPUTS) if usual is None else usual)
        linear = nn.Linear(INPUTS, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, OUTPUTS)
        self.layers = nn.Sequential(linear[0], nn.SiLU(), linear[1], nn.SiLU(), linear[2])

    def forward(self, rings: Tensor) -> Tensor:
        """Return the features of rings.

        Parameters
        ----------
        rings : Tensor of shape (n, INPUTS)
            What is seen around each place, before it is centred and scaled by ``usual``.

        Returns
        -------
        Tensor of shape (n, OUTPUTS)
        """
        return cast(Tensor, self.layers((rings - self.usual[0]) / self.usual[1]))

    def save(self, path: str | Path) -> None:
        """Write the weights as single-precision arrays by name.

        Parameters
        ----------
        path : str or Path
            File of the format of `numpy.savez_compressed`; one that is there is overwritten.
        """
        np.savez_compressed(path, **{name: value.detach().numpy().astype("f4") for name, value in self.state_dict().items()})


@lru_cache
def pretrained() -> Net:
    """Return the net that comes with the package.

    It is computed in double precision on the side of the Gaussian process, although its weights are stored in single precision.
    """
    net = Net().double()
    with WEIGHTS_FILE.open("rb") as file, np.load(file) as arrays:
        net.load_state_dict({name: torch.as_tensor(arrays[name].astype("f8")) for name in arrays.files})
    return net.requires_grad_(False)


@lru_cache
def weights_hash() -> str:
    """Return a digest of the weights that come with the package: the first sixteen digits of their SHA-256.

    Start documents carry it, so that a replay with other weights is noticed.
    """
    return hashlib.sha256(WEIGHTS_FILE.read_bytes()).hexdigest()[:16]


def features(rings: np.ndarray) -> Tensor:
    """Return the features of rings by the pretrained net, in double precision.

    Parameters
    ----------
    rings : ndarray of float64 of shape (n, INPUTS)
        What is seen around each place.

    Returns
    -------
    Tensor of shape (n, OUTPUTS)
    """
    return pretrained()(torch.as_tensor(np.ascontiguousarray(rings)))
