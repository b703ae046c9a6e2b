"""An exact Gaussian process whose posterior over all candidates is updated one spectrum at a time.

It keeps ``L^-1 K(measured, candidates)`` beside the Cholesky factor L: one more spectrum then costs one row, instead of a new
factor and a new solution for every candidate. The numbers agree with those of a fresh start up to rounding; a replay does the
same steps in the same order and gets the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bluesky_stm.agents._fit import Fit, left_out, noise_variance, precision
from bluesky_stm.agents._kernel import squared_distances
from bluesky_stm.geometry import Floats

LEAST_VARIANCE = 1e-10
"""Lower bound of a posterior variance, in variances of the values: rounding may take it below 0."""
CANDIDATES_AT_ONCE = 512
"""Number of candidates whose covariances are computed together; intermediate results then stay in the processor's cache."""

ROOM = 16
"""Number of spare rows, to which one is added for each 16 rows in use; a refit usually comes before they are full."""


@dataclass(eq=False)
class _Buffer:
    array: Floats
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
    def empty(cls, count: int, columns: int) -> Self:
        """Return a matrix with rows yet to be filled, and room for more.

        Parameters
        ----------
        count : int
            Number of rows.
        columns : int
            Number of columns.
        """
        room = count + ROOM + count // 16
        return cls(_Buffer(np.empty((room, columns)), count), count)

    @property
    def all(self) -> Floats:
        """The matrix; shape (count, columns)."""
        return self.buffer.array[: self.count]

    def with_one(self, row: Floats) -> Self:
        """Return the matrix with one more row at its end; this one stays as it is.

        Parameters
        ----------
        row : ndarray of shape (columns,)
            What becomes its last row.
        """
        mine = self.buffer.used == self.count < len(self.buffer.array)
        grown = self if mine else self._copied()
        grown.buffer.array[self.count] = row
        grown.buffer.used = self.count + 1
        return replace(grown, count=self.count + 1)

    def _copied(self) -> Self:
        other = self.empty(self.count, self.buffer.array.shape[1])
        other.all[:] = self.all
        return other


@dataclass(frozen=True, eq=False)
class Process:
    """Gaussian process on measured places and candidates, in warped values.

    Attributes
    ----------
    fit : Fit
        Kernel and its parameters.
    places : list of ndarray of shape (n, d)
        Features of the measured places, by group.
    candidates : list of ndarray of shape (m, d)
        Features of the candidates, by group.
    factor : ndarray of shape (n, n)
        Lower Cholesky factor L of the covariance, noise included.
    rows : Rows of shape (n, m)
        ``L^-1 K(measured, candidates)``.
    solved : ndarray of shape (n,)
        ``L^-1 values``.
    weights : ndarray of shape (n,)
        Inverse of the covariance times the values.
    precision : ndarray of shape (n,)
        Diagonal of the inverse of the covariance: what leaving one value out takes, which costs n**3 from nothing.
    noise : ndarray of shape (n,)
        Noise variance of each value: the fitted one, and what is known of its spectrum.
    mean, variance : ndarray of shape (m,)
        Posterior of the candidates, noise left out.
    """

    fit: Fit
    places: list[Floats]
    candidates: list[Floats]
    factor: Floats
    rows: Rows
    solved: Floats
    weights: Floats
    precision: Floats
    noise: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def conditioned(
        cls, fit: Fit, places: list[Floats], values: Floats, candidates: list[Floats], known: Floats | None = None
    ) -> Self:
        """Return the process conditioned on measured values.

        Parameters
        ----------
        fit : Fit
            Kernel and its parameters.
        places : list of ndarray of shape (n, d)
            Features of the measured places, by group.
        values : ndarray of shape (n,)
            Warped values.
        candidates : list of ndarray of shape (m, d)
            Features of the candidates, by group.
        known : ndarray of shape (n,), optional
            Variance of each value that is known beforehand, as for `fitted`.
        """
        noise = noises(fit, np.zeros_like(values) if known is None else known)
        factor = np.linalg.cholesky(gram(fit, squared_distances(places, places), noise))
        white, rows = solved(factor, values), solved_rows(fit, factor, places, candidates)
        variance = np.maximum(fit.kernel.variance(fit.parameters) - _squares(rows.all), LEAST_VARIANCE)
        inverse = precision(factor), noise, white @ rows.all, variance
        return cls(fit, places, candidates, factor, rows, white, solved(factor, white, transposed=True), *inverse)

    def extended(self, place: list[Floats], value: float, known: float = 0.0) -> Self:
        """Return the process with one more value; the parameters stay.

        Parameters
        ----------
        place : list of ndarray of shape (1, d)
            Features of the place, by group.
        value : float
            Warped value.
        known : float
            Its variance as far as that is known beforehand.
        """
        noise = noise_variance(self.fit.parameters) + known
        # Forward substitution of one row of L and one of L^-1 K: n**2 + n m steps, for a fresh factor n**3 + n**2 m.
        covariance = self._covariance(place, self.places)[0]
        row, count = solved(self.factor, covariance), len(covariance)
        corner = math.sqrt(max(self.fit.kernel.variance(self.fit.parameters) + noise - float(row @ row), LEAST_VARIANCE))
        new = (self._covariance(place, self.candidates)[0] - row @ self.rows.all) / corner
        white = (value - float(row @ self.solved)) / corner
        factor = np.zeros((count + 1, count + 1))
        factor[:count, :count], factor[count, :count], factor[count, count] = self.factor, row, corner
        # How the inverse of a matrix changes with one more row and column of it: its old part by an outer product.
        changed, last = solved(self.factor, row, transposed=True), white / corner
        return replace(
            self,
            places=[np.concatenate([old, one]) for old, one in zip(self.places, place, strict=True)],
            factor=factor,
            rows=self.rows.with_one(new),
            solved=np.append(self.solved, white),
            weights=np.append(self.weights - last * changed, last),
            precision=np.append(self.precision + (changed / corner) ** 2, corner**-2),
            noise=np.append(self.noise, noise),
            mean=self.mean + white * new,
            variance=np.maximum(self.variance - new * new, LEAST_VARIANCE),
        )

    def with_values(self, values: Floats) -> Self:
        """Return the process with other values at the same places; its parameters stay.

        Parameters
        ----------
        values : ndarray of shape (n,)
            Warped values, in the order of the places.
        """
        white = solved(self.factor, values)
        return replace(self, solved=white, weights=solved(self.factor, white, transposed=True), mean=white @ self.rows.all)

    def at(self, places: list[Floats]) -> tuple[Floats, Floats]:
        """Return mean and variance, noise left out, at any places; each (k,).

        Parameters
        ----------
        places : list of ndarray of shape (k, d)
            Features, by group.
        """
        rows = solved_rows(self.fit, self.factor, self.places, places).all
        variance = self.fit.kernel.variance(self.fit.parameters) - _squares(rows)
        return self.solved @ rows, np.maximum(variance, LEAST_VARIANCE)

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Predict each value from all others.

        Returns
        -------
        residual, std : ndarray of shape (n,)
            Value minus prediction, and standard deviation of the prediction, noise included.
        """
        return left_out(self.weights, self.precision)

    def ahead(self) -> tuple[Floats, Floats]:
        """Predict each value from those before it.

        Returns
        -------
        residual, std : ndarray of shape (n,)
            Value minus prediction, and standard deviation of the prediction, noise included. Both stand in the Cholesky factor:
            its rows follow the order of the values.
        """
        std = self.factor.diagonal()
        return std * self.solved, std

    @property
    def values(self) -> Floats:
        """Values of the measured places, (n,), warped."""
        return self.factor @ self.solved

    @property
    def mean_where_measured(self) -> Floats:
        """Posterior mean of the measured places, (n,), in warped values.

        It is the values less their estimated noise.
        """
        return self.factor @ self.solved - self.noise * self.weights

    def _covariance(self, a: Sequence[Floats], b: Sequence[Floats]) -> Floats:
        return self.fit.kernel.covariance(squared_distances(a, b), self.fit.parameters)


def noises(fit: Fit, known: Floats) -> Floats:
    """Return the noise variance of each value.

    Parameters
    ----------
    fit : Fit
        Its noise is the same for all values.
    known : ndarray of shape (n,)
        Variance that is known of each spectrum beforehand; it is added.

    Returns
    -------
    ndarray of shape (n,)
        In squares of warped values.
    """
    return noise_variance(fit.parameters) + known


def gram(fit: Fit, squared: Sequence[Floats], noise: Floats) -> Floats:
    """Return the covariance of the measured values, noise included; (n, n).

    Parameters
    ----------
    fit : Fit
        Kernel and its parameters.
    squared : sequence of ndarray of shape (n, n)
        Squared distances of the measured places, by group.
    noise : ndarray of shape (n,)
        Noise variance of each value; see `noises`.
    """
    return fit.kernel.covariance(squared, fit.parameters) + np.diag(noise)


def solved_rows(fit: Fit, factor: Floats, places: list[Floats], others: list[Floats]) -> Rows:
    """Return ``L^-1 K(places, others)``, computed in chunks so that only the result is large.

    Parameters
    ----------
    fit : Fit
        Kernel and its parameters.
    factor : ndarray of shape (n, n)
        Lower Cholesky factor L.
    places : list of ndarray of shape (n, d)
        Features of the measured places, by group.
    others : list of ndarray of shape (m, d)
        Features of other places, by group.

    Returns
    -------
    Rows of shape (n, m)
    """
    from scipy.linalg.blas import dtrsm

    rows = Rows.empty(len(factor), len(others[0]))
    for start in range(0, rows.all.shape[1], CANDIDATES_AT_ONCE):
        part = [group[start : start + CANDIDATES_AT_ONCE] for group in others]
        covariance = fit.kernel.covariance(squared_distances(places, part), fit.parameters)
        # Lower by rows is upper by columns, as BLAS counts: it is solved in place, from the other side.
        rows.all[:, start : start + CANDIDATES_AT_ONCE] = dtrsm(1.0, factor.T, covariance.T, side=1, overwrite_b=1).T
    return rows


def solved(factor: Floats, values: Floats, transposed: bool = False) -> Floats:
    """Return ``L^-1 values``, or ``L^-T values``.

    Parameters
    ----------
    factor : ndarray of shape (n, n)
        Lower Cholesky factor L.
    values : ndarray of shape (n,)
        Right side.
    transposed : bool
        Take the transpose of L.

    Returns
    -------
    ndarray of shape (n,)
    """
    from scipy.linalg.blas import dtrsv

    return dtrsv(factor.T, values, lower=0, trans=0 if transposed else 1)


def _squares(rows: Floats) -> Floats:
    """Return the sum of the squares of each column, (m,), without a second matrix of that size."""
    return np.einsum("ij,ij->j", rows, rows)
