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

_FEW = 256
"""Number of places up to which several fields may be evaluated together."""

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
    entropy = [seed, *layer.encode(), *(index % 2**32 for index in block)]
    # An array of words seeds as the list does, in less than half the time; a larger seed takes several words.
    return np.random.default_rng(np.array(entropy, dtype=np.uint32) if 0 <= seed < 2**32 else entropy)


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

    def cells(self, low: Sequence[int], high: Sequence[int]) -> Floats:
        """Return the coefficients of the bicubic cells with indices from ``low`` to ``high``; shape (16, i, j)."""
        return _some_cells(self, *low, *high)


def smooth_fields(fields: tuple[SmoothField, ...], points: Floats) -> Floats:
    """Return the values of several fields at the same places.

    Where all places lie in one cell of each field they are evaluated together, since each call of numpy takes its time.

    Parameters
    ----------
    fields : tuple of SmoothField
        Fields to evaluate.
    points : ndarray of shape (n, 2)
        Places as (x, y), in nm.

    Returns
    -------
    ndarray of shape (fields, n)
        In the units of the fields.
    """
    if len(points) > _FEW:
        return np.concatenate([_apart(field, points) for field in fields])
    scales = _scales(fields)
    ends = np.multiply.outer(scales, [points.min(axis=0), points.max(axis=0)])
    low, high = np.floor(ends).astype(int).swapaxes(0, 1).tolist()
    powers = np.ones((4, len(fields), 2, len(points)))
    if low == high:
        cell, coefficients = _cells_of(fields, tuple(map(tuple, low)))
        np.subtract(np.multiply.outer(scales, points.T), cell, out=powers[1])
    else:
        position = np.multiply.outer(scales, points.T)
        cell = np.floor(position)
        np.subtract(position, cell, out=powers[1])
        each = [
            f.cells(a, b)[:, *(c - np.array(a)[:, None]).astype(int)]
            for f, a, b, c in zip(fields, low, high, cell, strict=True)
        ]
        coefficients = np.array(each).reshape(-1, 4, 4, len(points)).swapaxes(1, 2)
    np.multiply(powers[1], powers[1], out=powers[2])
    np.multiply(powers[2], powers[1], out=powers[3])
    along, up = powers.transpose(2, 1, 0, 3)
    summed = coefficients @ along if low == high else (coefficients * along[:, None]).sum(axis=2)
    return (summed * up).sum(axis=1)


@lru_cache(maxsize=64)
def _scales(fields: tuple[SmoothField, ...]) -> Floats:
    """Return the number of cells of each field in a nm."""
    return np.array([CORRELATION / field.length for field in fields])


@lru_cache(maxsize=1024)
def _cells_of(fields: tuple[SmoothField, ...], cells: tuple[tuple[int, int], ...]) -> tuple[Floats, Floats]:
    """Return the indices (fields, 2, 1) of one cell of each field, and their coefficients (fields, up, along)."""
    each = [field.cells(cell, cell).reshape(4, 4).T for field, cell in zip(fields, cells, strict=True)]
    return np.array(cells, dtype=float)[:, :, None], np.array(each, dtype=float)


def _apart(field: SmoothField, points: Floats) -> Floats:
    """Return the values (1, n) of one field at places that lie in any of its cells."""
    position = points.T * (CORRELATION / field.length)
    cell = np.floor(position)
    along, up = (position - cell).astype(np.float32)
    low, high = cell.min(axis=1).astype(int).tolist(), cell.max(axis=1).astype(int).tolist()
    cells = field.cells(low, high).reshape(16, -1)
    if low == high:
        return _cubic(_cubic(cells.reshape(4, 4, 1), along), up).astype(float)[None]
    there = ((cell[0] - low[0]) * (high[1] - low[1] + 1) + (cell[1] - low[1])).astype(np.intp)
    return _cubic(_cubic(cells.take(there, axis=1).reshape(4, 4, -1), along), up).astype(float)[None]


def _cubic(coefficients: Floats, x: Floats) -> Floats:
    """Evaluate the cubic polynomial with ``coefficients`` (4, ...), lowest power first, by Horner's rule."""
    c0, c1, c2, c3 = coefficients
    return ((c3 * x + c2) * x + c1) * x + c0


@lru_cache(maxsize=32)
def _some_cells(field: SmoothField, left: int, bottom: int, right: int, top: int) -> Floats:
    """Return the cells from (left, bottom) to (right, top), which may lie in several blocks; shape (16, i, j)."""
    i, j = left // _BLOCK, bottom // _BLOCK
    blocks = [
        [_block_of_cells(field.seed, field.layer, k, m) for m in range(j, top // _BLOCK + 1)]
        for k in range(i, right // _BLOCK + 1)
    ]
    joined = (
        np.concatenate([np.concatenate(column, axis=2) for column in blocks], axis=1)
        if blocks[1:] or blocks[0][1:]
        else blocks[0][0]
    )
    start = left - i * _BLOCK, bottom - j * _BLOCK
    return joined[:, start[0] : start[0] + right - left + 1, start[1] : start[1] + top - bottom + 1]


@lru_cache(maxsize=1024)
def _block_of_cells(seed: int, layer: str, i: int, j: int) -> Floats:
    """Return the bicubic cells of a block; they depend on its own nodes and on three rows of the next blocks."""
    nodes = np.block([[_block_of_nodes(seed, layer, i + k, j + m) for m in (0, 1)] for k in (0, 1)])
    windows = sliding_window_view(nodes, (4, 4))[:_BLOCK, :_BLOCK]
    return (_SPLINE @ windows @ _SPLINE.T).reshape(_BLOCK, _BLOCK, 16).transpose(2, 0, 1).astype(np.float32)


@lru_cache(maxsize=1024)
def _block_of_nodes(seed: int, layer: str, i: int, j: int) -> Floats:
    return block_rng(seed, layer, i, j).standard_normal((_BLOCK, _BLOCK)) / _SPLINE_RMS
