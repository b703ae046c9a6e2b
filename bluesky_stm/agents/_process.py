"""An exact Gaussian process whose posterior over all candidates is updated one spectrum at a time.

It keeps ``L^-1 K(measured, candidates)`` beside the Cholesky factor L: one more spectrum then costs one row, instead of a new
factor and a new solution for every candidate. The numbers agree with those of a fresh start up to rounding; a replay does the
same steps in the same order and gets the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bluesky_stm.agents._fit import Fit, left_out, noise_variance, precision
from bluesky_stm.agents._kernel import squared_distances

LEAST_VARIANCE = 1e-10
"""Lower bound of a posterior variance, in variances of the values: rounding may take it below 0."""
CANDIDATES_AT_ONCE = 512
"""Number of candidates whose covariances are computed together; intermediate results then stay in the processor's cache."""

ROOM = 16
"""Number of spare rows, to which one is added for each 16 rows in use; a refit usually comes before they are full."""


@dataclass(eq=False)
class _Buffer:
    tensor: Tensor
    used: int


@dataclass(frozen=True, eq=False)
class Rows:
    """A growing matrix that shares its memory with earlier, shorter versions of itself.

    The first version to which a row is added takes the spare room; a second one copies. So one more row costs no copy of the
    others.

    Attributes
    ----------
    buffer : _Buffer
        Memory with spare rows, and the number of its rows in use.
    count : int
        Number of rows of this version.
    """

    buffer: _Buffer
    count: int

    @classmethod
    def empty(cls, like: Tensor, count: int, columns: int) -> Self:
        """Return a matrix with rows yet to be filled, and room for more.

        Parameters
        ----------
        like : Tensor
            Tensor whose dtype is taken.
        count : int
            Number of rows.
        columns : int
            Number of columns.
        """
        room = count + ROOM + count // 16
        return cls(_Buffer(torch.empty(room, columns, dtype=like.dtype), count), count)

    @property
    def all(self) -> Tensor:
        """The matrix; shape (count, columns)."""
        return self.buffer.tensor[: self.count]

    def with_one(self, row: Tensor) -> Self:
        """Return the matrix with one more row at its end; this one stays as it is.

        Parameters
        ----------
        row : Tensor of shape (columns,)
            Its dtype is that of the matrix.
        """
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
        Kernel and its parameters.
    places : list of Tensor of shape (n, d)
        Features of the measured places, by group.
    candidates : list of Tensor of shape (m, d)
        Features of the candidates, by group.
    factor : Tensor of shape (n, n)
        Lower Cholesky factor L of the covariance, noise included.
    rows : Rows of shape (n, m)
        ``L^-1 K(measured, candidates)``.
    solved : Tensor of shape (n,)
        ``L^-1 values``.
    weights : Tensor of shape (n,)
        Inverse of the covariance times the values.
    precision : Tensor of shape (n,)
        Diagonal of the inverse of the covariance: what leaving one value out takes, which costs n**3 from nothing.
    noise : Tensor of shape (n,)
        Noise variance of each value: the fitted one, and what is known of its spectrum.
    mean, variance : Tensor of shape (m,)
        Posterior of the candidates, noise left out.
    """

    fit: Fit
    places: list[Tensor]
    candidates: list[Tensor]
    factor: Tensor
    rows: Rows
    solved: Tensor
    weights: Tensor
    precision: Tensor
    noise: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def conditioned(
        cls, fit: Fit, places: list[Tensor], values: Tensor, candidates: list[Tensor], known: Tensor | None = None
    ) -> Self:
        """Return the process conditioned on measured values.

        Parameters
        ----------
        fit : Fit
            Kernel and its parameters.
        places : list of Tensor of shape (n, d)
            Features of the measured places, by group.
        values : Tensor of shape (n,)
            Warped values.
        candidates : list of Tensor of shape (m, d)
            Features of the candidates, by group.
        known : Tensor of shape (n,), optional
            Variance of each value that is known beforehand, as for `fitted`.
        """
        noise = noises(fit, torch.zeros_like(values) if known is None else known)
        factor = torch.linalg.cholesky(gram(fit, squared_distances(places, places), noise))
        solved = torch.linalg.solve_triangular(factor, values[:, None], upper=False)[:, 0]
        rows = solved_rows(fit, factor, places, candidates)
        variance = (fit.kernel.variance(fit.parameters) - _squares(rows.all)).clamp(min=LEAST_VARIANCE)
        inverse = precision(factor), noise, solved @ rows.all, variance
        return cls(fit, places, candidates, factor, rows, solved, _weights(factor, solved), *inverse)

    def extended(self, place: list[Tensor], value: Tensor, known: float = 0.0) -> Self:
        """Return the process with one more value; the parameters stay.

        Parameters
        ----------
        place : list of Tensor of shape (1, d)
            Features of the place, by group.
        value : Tensor
            Warped value, a scalar.
        known : float
            Its variance as far as that is known beforehand.
        """
        noise = noise_variance(self.fit.parameters) + known
        # Forward substitution of one row of L and one of L^-1 K: n**2 + n m steps, for a fresh factor n**3 + n**2 m.
        covariance = self._covariance(place, self.places)[0]
        row = torch.linalg.solve_triangular(self.factor, covariance[:, None], upper=False)[:, 0]
        corner = (self.fit.kernel.variance(self.fit.parameters) + noise - row @ row).clamp(min=LEAST_VARIANCE).sqrt()
        new = (self._covariance(place, self.candidates)[0] - row @ self.rows.all) / corner
        solved = (value - row @ self.solved) / corner
        below = torch.cat([row, corner[None]])[None]
        # How the inverse of a matrix changes with one more row and column of it: its old part by an outer product.
        changed, last = _weights(self.factor, row), solved / corner
        return replace(
            self,
            places=[torch.cat([old, one]) for old, one in zip(self.places, place, strict=True)],
            factor=torch.cat([torch.nn.functional.pad(self.factor, (0, 1)), below]),
            rows=self.rows.with_one(new),
            solved=torch.cat([self.solved, solved[None]]),
            weights=torch.cat([self.weights - last * changed, last[None]]),
            precision=torch.cat([self.precision + (changed / corner) ** 2, corner[None] ** -2]),
            noise=torch.cat([self.noise, noise[None]]),
            mean=self.mean + solved * new,
            variance=(self.variance - new * new).clamp(min=LEAST_VARIANCE),
        )

    def with_values(self, values: Tensor) -> Self:
        """Return the process with other values at the same places; its parameters stay.

        Parameters
        ----------
        values : Tensor of shape (n,)
            Warped values, in the order of the places.
        """
        solved = torch.linalg.solve_triangular(self.factor, values[:, None], upper=False)[:, 0]
        return replace(self, solved=solved, weights=_weights(self.factor, solved), mean=solved @ self.rows.all)

    def at(self, places: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return mean and variance, noise left out, at any places; each (k,).

        Parameters
        ----------
        places : list of Tensor of shape (k, d)
            Features, by group.
        """
        rows = solved_rows(self.fit, self.factor, self.places, places).all
        variance = self.fit.kernel.variance(self.fit.parameters) - _squares(rows)
        return self.solved @ rows, variance.clamp(min=LEAST_VARIANCE)

    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Predict each value from all others.

        Returns
        -------
        residual, std : Tensor of shape (n,)
            Value minus prediction, and standard deviation of the prediction, noise included.
        """
        return left_out(self.weights, self.precision)

    def ahead(self) -> tuple[Tensor, Tensor]:
        """Predict each value from those before it.

        Returns
        -------
        residual, std : Tensor of shape (n,)
            Value minus prediction, and standard deviation of the prediction, noise included. Both stand in the Cholesky factor:
            its rows follow the order of the values.
        """
        std = self.factor.diagonal()
        return std * self.solved, std

    @property
    def values(self) -> Tensor:
        """Values of the measured places, (n,), warped."""
        return self.factor @ self.solved

    @property
    def mean_where_measured(self) -> Tensor:
        """Posterior mean of the measured places, (n,), in warped values.

        It is the values less their estimated noise.
        """
        return self.factor @ self.solved - self.noise * self.weights

    def _covariance(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        return self.fit.kernel.covariance(squared_distances(a, b), self.fit.parameters)


def noises(fit: Fit, known: Tensor) -> Tensor:
    """Return the noise variance of each value.

    Parameters
    ----------
    fit : Fit
        Its noise is the same for all values.
    known : Tensor of shape (n,)
        Variance that is known of each spectrum beforehand; it is added.

    Returns
    -------
    Tensor of shape (n,)
        In squares of warped values.
    """
    return noise_variance(fit.parameters) + known


def gram(fit: Fit, squared: Sequence[Tensor], noise: Tensor) -> Tensor:
    """Return the covariance of the measured values, noise included; (n, n).

    Parameters
    ----------
    fit : Fit
        Kernel and its parameters.
    squared : sequence of Tensor of shape (n, n)
        Squared distances of the measured places, by group.
    noise : Tensor of shape (n,)
        Noise variance of each value; see `noises`.
    """
    return fit.kernel.covariance(squared, fit.parameters) + torch.diag(noise)


def solved_rows(fit: Fit, factor: Tensor, places: list[Tensor], others: list[Tensor]) -> Rows:
    """Return ``L^-1 K(places, others)``, computed in chunks so that only the result is large.

    Parameters
    ----------
    fit : Fit
        Kernel and its parameters.
    factor : Tensor of shape (n, n)
        Lower Cholesky factor L.
    places : list of Tensor of shape (n, d)
        Features of the measured places, by group.
    others : list of Tensor of shape (m, d)
        Features of other places, by group.

    Returns
    -------
    Rows of shape (n, m)
    """
    rows = Rows.empty(factor, len(factor), len(others[0]))
    for start in range(0, rows.all.shape[1], CANDIDATES_AT_ONCE):
        part = [group[start : start + CANDIDATES_AT_ONCE] for group in others]
        covariance = fit.kernel.covariance(squared_distances(places, part), fit.parameters)
        rows.all[:, start : start + CANDIDATES_AT_ONCE] = torch.linalg.solve_triangular(factor, covariance, upper=False)
    return rows


def _weights(factor: Tensor, solved: Tensor) -> Tensor:
    """Return ``L^-T solved``."""
    return torch.linalg.solve_triangular(factor.T, solved[:, None], upper=True)[:, 0]


def _squares(rows: Tensor) -> Tensor:
    """Return the sum of the squares of each column, (m,), without a second matrix of that size."""
    return torch.cat([(part * part).sum(0) for part in rows.split(CANDIDATES_AT_ONCE, dim=1)])
