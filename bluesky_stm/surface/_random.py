"""Random numbers that belong to a place: a block of the surface always draws the same, whoever asks and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from bluesky_stm.geometry import Floats

_BLOCK = 16
"""Nodes of a smooth field, along each axis, that are drawn together."""

_SPLINE_RMS = 151 / 315
"""Root mean square of a cubic B-spline surface with independent unit coefficients: the integral of the squared spline."""

CORRELATION = 1.155
"""Distance over which the correlation of a `SmoothField` falls to 1/e, in units of its spacing."""


def block_rng(seed: int, layer: str, *block: int) -> np.random.Generator:
    """The generator of one block (integers, also negative) of one layer of the surface."""
    return np.random.default_rng([seed, *layer.encode(), *(index % 2**32 for index in block)])


@dataclass(frozen=True)
class SmoothField:
    """A Gaussian random field over the unbounded plane: zero mean, unit variance, smooth on the scale of ``length``.

    A cubic B-spline over a lattice of independent normal numbers; the lattice is fixed to the sample, so that the value at
    a place does not depend on the frame through which it is reached.

    Parameters
    ----------
    seed : int
    layer : str
        Name that keeps fields of one seed apart.
    length : float
        Distance over which the correlation falls to 1/e, in nm.
    """

    seed: int
    layer: str
    length: float

    def __call__(self, points: Floats) -> Floats:
        """Values at the places ``(n, 2)``, in nm; shape (n,)."""
        position = points * (CORRELATION / self.length)
        low = np.floor(position.min(axis=0)).astype(int) - 1
        high = np.floor(position.max(axis=0)).astype(int) + 3
        nodes = self._nodes(low, high)
        return ndimage.map_coordinates(nodes, (position - low).T, order=3, prefilter=False, mode="nearest")

    def _nodes(self, low: np.ndarray, high: np.ndarray) -> Floats:
        """Coefficients of the nodes from ``low`` up to ``high``, the latter left out."""
        first, last = low // _BLOCK, (high - 1) // _BLOCK
        columns = [
            np.concatenate([_block_of_nodes(self.seed, self.layer, i, j) for j in range(first[1], last[1] + 1)], axis=1)
            for i in range(first[0], last[0] + 1)
        ]
        start = low - first * _BLOCK
        stop = start + (high - low)
        return np.concatenate(columns)[start[0] : stop[0], start[1] : stop[1]]


@lru_cache(maxsize=1024)
def _block_of_nodes(seed: int, layer: str, i: int, j: int) -> Floats:
    return block_rng(seed, layer, i, j).standard_normal((_BLOCK, _BLOCK)) / _SPLINE_RMS
