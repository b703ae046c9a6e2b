"""Random numbers that belong to a place.

A block of the surface always draws the same numbers, whoever asks and in whatever order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bluesky_stm.geometry import Floats

_BLOCK = 16
"""Number of nodes of a smooth field, along each axis, that are drawn together."""

_SPLINE = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6
"""Coefficients of the powers of the place in a cell (rows) for the four nodes of a uniform cubic B-spline (columns)."""

_SPLINE_RMS = 151 / 315
"""Root mean square of a cubic B-spline surface with independent unit coefficients: the integral of the squared spline."""

CORRELATION = 1.155
"""Distance over which the correlation of a `SmoothField` falls to 1/e, in units of its spacing."""


def block_rng(seed: int, layer: str, *block: int) -> np.random.Generator:
    """Return the random generator of one block of one layer of a surface.

    Parameters
    ----------
    seed : int
        Seed of the surface.
    layer : str
        Name that keeps the layers of one surface apart.
    *block : int
        Indices of the block, which may be negative.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng([seed, *layer.encode(), *(index % 2**32 for index in block)])


@dataclass(frozen=True)
class SmoothField:
    """A Gaussian random field over the unbounded plane: zero mean, unit variance, smooth on the scale of ``length``.

    The field is a cubic B-spline over a lattice of independent normal numbers. The lattice is fixed to the sample, so that the
    value at a place does not depend on the frame through which it is reached. Single precision: 1e-7 of its unit.

    Parameters
    ----------
    seed : int
    layer : str
        Name that keeps the fields of one seed apart.
    length : float
        Distance over which the correlation falls to 1/e, in nm.
    """

    seed: int
    layer: str
    length: float

    def __call__(self, points: Floats) -> Floats:
        """Return the values (n,) at the places ``points`` (n, 2), in nm."""
        position = points * (CORRELATION / self.length)
        cell = np.floor(position)
        along, up = (position - cell).T.astype(np.float32)
        i, j = cell.T.astype(int)
        low, high = (int(i.min()), int(j.min())), (int(i.max()), int(j.max()))
        cells = self._cells(low, high)
        patches = cells.reshape(16, -1)
        if low != high:
            patches = patches.take((i - low[0]) * cells.shape[2] + (j - low[1]), axis=1)
        return _cubic(_cubic(patches.reshape(4, 4, -1), along), up).astype(float)

    def _cells(self, low: tuple[int, int], high: tuple[int, int]) -> Floats:
        """Return the coefficients of the bicubic cells with indices from ``low`` to ``high``; shape (16, i, j)."""
        first, last = ([index // _BLOCK for index in corner] for corner in (low, high))
        if low == high:
            return _block_of_cells(self.seed, self.layer, *first)[:, low[0] % _BLOCK, low[1] % _BLOCK].reshape(16, 1, 1)
        columns = [
            np.concatenate([_block_of_cells(self.seed, self.layer, i, j) for j in range(first[1], last[1] + 1)], axis=2)
            for i in range(first[0], last[0] + 1)
        ]
        start = [index - block * _BLOCK for index, block in zip(low, first, strict=True)]
        stop = [index - block * _BLOCK + 1 for index, block in zip(high, first, strict=True)]
        return np.ascontiguousarray(np.concatenate(columns, axis=1)[:, start[0] : stop[0], start[1] : stop[1]])


def _cubic(coefficients: Floats, x: Floats) -> Floats:
    """Evaluate the cubic polynomial with ``coefficients`` (4, ...), lowest power first, by Horner's rule."""
    c0, c1, c2, c3 = coefficients
    return ((c3 * x + c2) * x + c1) * x + c0


@lru_cache(maxsize=1024)
def _block_of_cells(seed: int, layer: str, i: int, j: int) -> Floats:
    """Return the bicubic cells of a block; they depend on its own nodes and on three rows of the next blocks."""
    nodes = np.block([[_block_of_nodes(seed, layer, i + k, j + m) for m in (0, 1)] for k in (0, 1)])
    windows = sliding_window_view(nodes, (4, 4))[:_BLOCK, :_BLOCK]
    return (_SPLINE @ windows @ _SPLINE.T).reshape(_BLOCK, _BLOCK, 16).transpose(2, 0, 1).astype(np.float32)


@lru_cache(maxsize=1024)
def _block_of_nodes(seed: int, layer: str, i: int, j: int) -> Floats:
    return block_rng(seed, layer, i, j).standard_normal((_BLOCK, _BLOCK)) / _SPLINE_RMS
