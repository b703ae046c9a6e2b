"""Random numbers that belong to a place.

A block of the surface always draws the same numbers, whoever asks and in whatever order.
"""

from __future__ import annotations

from collections.abc import Sequence
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

_FEW = 512
"""Number of places up to which several fields are evaluated together; of more, the numbers would not fit into the cache."""

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


@lru_cache(maxsize=256)
def direction(angle: float) -> Floats:
    """Return the unit vector (2,) at an angle, in degrees counter-clockwise from x."""
    return np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])


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
        return smooth_fields((self,), points)[0]

    def cells(self, low: tuple[int, int], high: tuple[int, int]) -> Floats:
        """Return the coefficients of the bicubic cells with indices from ``low`` to ``high``; shape (16, i, j)."""
        i, j = low[0] // _BLOCK, low[1] // _BLOCK
        last = high[0] // _BLOCK, high[1] // _BLOCK
        start = low[0] - i * _BLOCK, low[1] - j * _BLOCK
        if (i, j) == last:
            block = _block_of_cells(self.seed, self.layer, i, j)
        else:
            columns = [
                np.concatenate([_block_of_cells(self.seed, self.layer, k, m) for m in range(j, last[1] + 1)], axis=2)
                for k in range(i, last[0] + 1)
            ]
            block = np.concatenate(columns, axis=1)
        return block[:, start[0] : start[0] + high[0] - low[0] + 1, start[1] : start[1] + high[1] - low[1] + 1]


def smooth_fields(fields: Sequence[SmoothField], points: Floats) -> Floats:
    """Return the values of several fields at the same places: of few places at once, as each call of numpy takes its time.

    Parameters
    ----------
    fields : sequence of SmoothField
    points : ndarray of shape (n, 2)
        Places as (x, y), in nm.

    Returns
    -------
    ndarray of shape (fields, n)
    """
    if len(fields) > 1 and len(points) > _FEW:
        return np.concatenate([smooth_fields((field,), points) for field in fields])
    position = np.multiply.outer([CORRELATION / field.length for field in fields], points.T)
    cell = np.floor(position)
    position -= cell
    low, high = cell.min(axis=2).astype(int).tolist(), cell.max(axis=2).astype(int).tolist()
    patches = np.empty((16, *cell[:, 0].shape), np.float32)
    for number, (field, first, last) in enumerate(zip(fields, low, high, strict=True)):
        cells = field.cells(first, last)
        if first == last:
            patches[:, number] = cells[:, 0]
        else:
            i, j = cell[number]
            there = ((i - first[0]) * cells.shape[2] + (j - first[1])).astype(int)
            patches[:, number] = cells.reshape(16, -1).take(there, axis=1)
    along, up = position.astype(np.float32).swapaxes(0, 1)
    return _cubic(_cubic(patches.reshape(4, 4, *along.shape), along), up).astype(float)


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
