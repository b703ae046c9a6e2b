"""The posterior over all candidates, kept up to date one spectrum at a time.

What is kept is ``L^-1 K(measured, candidates)`` beside the Cholesky factor L: one more spectrum then costs one row, instead
of a new factor and a new solution for every candidate. The numbers are the same as from a fresh start, to rounding; a replay
does the same steps in the same order and gets the same bits.

All of it lives where the features of the candidates lie, on a GPU or not; what comes from elsewhere is brought there, and who
asks for numbers takes them from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bluesky_stm.agents._fit import Fit, leave_one_out, noise_variance
from bluesky_stm.agents._kernel import squared_distances

LEAST_VARIANCE = 1e-10
CANDIDATES_AT_ONCE = 512
"""Candidates whose covariances are computed at once: what is on the way then stays in the cache of the processor."""

ROOM = 16
"""Rows for which there is room, and one more for each 16 that are there: most often a refit comes before they are full."""


@dataclass(eq=False)
class _Buffer:
    tensor: Tensor
    used: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to which one more is put without a copy of the others; who put one first has the room, others copy.

    Parameters
    ----------
    buffer : _Buffer
    count : int
        Rows that are there.
    """

    buffer: _Buffer
    count: int

    @classmethod
    def empty(cls, like: Tensor, count: int, columns: int) -> Self:
        """``count`` rows yet to be filled, with room for more."""
        room = count + ROOM + count // 16
        return cls(_Buffer(torch.empty(room, columns, dtype=like.dtype, device=like.device), count), count)

    @property
    def all(self) -> Tensor:
        """Shape (n, m)."""
        return self.buffer.tensor[: self.count]

    def with_one(self, row: Tensor) -> Self:
        """And ``row`` (m,)."""
        mine = self.buffer.used == self.count < len(self.buffer.tensor)
        grown = self if mine else self._copied()
        grown.buffer.tensor[self.count] = row
        grown.buffer.used = self.count + 1
        return replace(grown, count=self.count + 1)

    def _copied(self) -> Self:
        other = self.empty(self.buffer.tensor, self.count, self.buffer.tensor.shape[1])
        other.all.copy_(self.all)
        return other


@dataclass(frozen=True, eq=False)
class Process:
    """Gaussian process on measured places and candidates, in warped values.

    Attributes
    ----------
    fit : Fit
    places : list of Tensor
        Features of the measured places, by group, each (n, d).
    candidates : list of Tensor
        Of the candidates, each (m, d).
    factor : Tensor of shape (n, n)
        Cholesky factor of the covariance with noise.
    rows : Rows of shape (n, m)
        Its inverse times the covariance of measured places and candidates.
    solved : Tensor of shape (n,)
        Its inverse times the values.
    mean, variance : Tensor of shape (m,)
        Of the candidates, noise left out.
    """

    fit: Fit
    places: list[Tensor]
    candidates: list[Tensor]
    factor: Tensor
    rows: Rows
    solved: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def conditioned(cls, fit: Fit, places: list[Tensor], values: Tensor, candidates: list[Tensor]) -> Self:
        """On ``values`` (n,) measured at ``places``."""
        device = candidates[0].device
        fit, places, values = replace(fit, parameters=fit.parameters.to(device)), _brought(places, device), values.to(device)
        factor = torch.linalg.cholesky(gram(fit, squared_distances(places, places)))
        solved = torch.linalg.solve_triangular(factor, values[:, None], upper=False)[:, 0]
        rows = solved_rows(fit, factor, places, candidates)
        variance = fit.kernel.variance(fit.parameters) - _squares(rows.all)
        return cls(fit, places, candidates, factor, rows, solved, solved @ rows.all, variance.clamp(min=LEAST_VARIANCE))

    def extended(self, place: list[Tensor], value: Tensor) -> Self:
        """With one more value at ``place`` (features by group, each (1, d)); the parameters stay."""
        place, value = _brought(place, self._device), value.to(self._device)
        noise = noise_variance(self.fit.parameters)
        covariance = self._covariance(place, self.places)[0]
        row = torch.linalg.solve_triangular(self.factor, covariance[:, None], upper=False)[:, 0]
        corner = (self.fit.kernel.variance(self.fit.parameters) + noise - row @ row).clamp(min=LEAST_VARIANCE).sqrt()
        new = (self._covariance(place, self.candidates)[0] - row @ self.rows.all) / corner
        solved = (value - row @ self.solved) / corner
        side = torch.zeros(len(row), 1, dtype=row.dtype, device=row.device)
        below = torch.cat([row, corner[None]])[None]
        return replace(
            self,
            places=[torch.cat([old, one]) for old, one in zip(self.places, place, strict=True)],
            factor=torch.cat([torch.cat([self.factor, side], 1), below]),
            rows=self.rows.with_one(new),
            solved=torch.cat([self.solved, solved[None]]),
            mean=self.mean + solved * new,
            variance=(self.variance - new * new).clamp(min=LEAST_VARIANCE),
        )

    def with_values(self, values: Tensor) -> Self:
        """With other ``values`` (n,) at the same places."""
        solved = torch.linalg.solve_triangular(self.factor, values.to(self._device)[:, None], upper=False)[:, 0]
        return replace(self, solved=solved, mean=solved @ self.rows.all)

    def at(self, places: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and variance, noise left out, at any other places; each (k,)."""
        rows = solved_rows(self.fit, self.factor, self.places, _brought(places, self._device)).all
        variance = self.fit.kernel.variance(self.fit.parameters) - _squares(rows)
        return self.solved @ rows, variance.clamp(min=LEAST_VARIANCE)

    def joint(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (k,) and covariance (k, k) of some candidates."""
        index = index.to(self._device)
        places = [group[index] for group in self.candidates]
        rows = self.rows.all[:, index]
        return self.mean[index], self._covariance(places, places) - rows.T @ rows

    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Residual and standard deviation, noise included, of each value predicted from all others."""
        return leave_one_out(self.factor, self._alpha)

    @property
    def mean_where_measured(self) -> Tensor:
        """Of the measured places, (n,): what is left of the values when their noise is taken off."""
        return self.factor @ self.solved - noise_variance(self.fit.parameters) * self._alpha

    @property
    def _device(self) -> torch.device:
        return self.mean.device

    @property
    def _alpha(self) -> Tensor:
        return torch.linalg.solve_triangular(self.factor.T, self.solved[:, None], upper=True)[:, 0]

    def _covariance(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        return self.fit.kernel.covariance(squared_distances(a, b), self.fit.parameters)


def gram(fit: Fit, squared: Sequence[Tensor]) -> Tensor:
    """Covariance of the measured values, noise included, from their squared distances by group; (n, n)."""
    noise = noise_variance(fit.parameters).expand(len(squared[0]))
    return fit.kernel.covariance(squared, fit.parameters) + torch.diag(noise)


def solved_rows(fit: Fit, factor: Tensor, places: list[Tensor], others: list[Tensor]) -> Rows:
    """``L^-1 K(places, others)``, others in chunks, so that only the result is large; shape (n, m)."""
    rows = Rows.empty(factor, len(factor), len(others[0]))
    for start in range(0, rows.all.shape[1], CANDIDATES_AT_ONCE):
        part = [group[start : start + CANDIDATES_AT_ONCE] for group in others]
        covariance = fit.kernel.covariance(squared_distances(places, part), fit.parameters)
        rows.all[:, start : start + CANDIDATES_AT_ONCE] = torch.linalg.solve_triangular(factor, covariance, upper=False)
    return rows


def _brought(places: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    return [group.to(device) for group in places]


def _squares(rows: Tensor) -> Tensor:
    """Sum of the squares of each column, (m,), without a second table of that size."""
    return torch.cat([(part * part).sum(0) for part in rows.split(CANDIDATES_AT_ONCE, dim=1)])
