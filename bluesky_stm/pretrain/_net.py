"""The net as it is trained: `agents._net` computes the same from the weights that are saved here."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from bluesky_stm.agents._rings import INPUTS

# A net twice as wide reaches a lower loss in training and predicts no better (benchmarks/results/agents_depth.md).
WIDTH, OUTPUTS = 128, 16


class TrainedNet(nn.Module):
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
