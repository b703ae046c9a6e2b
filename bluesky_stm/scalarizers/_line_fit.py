"""Fit of a line shape to dI/dV: a few parameters by search, the heights and the background by linear regression."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.scalarizers._base import NoValueError
from bluesky_stm.scalarizers._noise import deviations

MOST_CALLS: Final = 60
"""Number of curves after which a search ends that has not settled by then; a dozen is usual."""

LEAST_FREE: Final = 5
"""Number of samples beyond that of the unknowns without which the noise of a fit is not known."""

LEAST_NOISE: Final = 0.1
"""Noise of a sample at least, in units of the largest: without it one sample at zero current could outweigh all others."""

NOISE: Final = 1.5
"""Root of the mean square that a fit may leave unexplained, in units of that of the noise; 1.25 is seen at most."""

MISFIT: Final = 0.02
"""What it may leave beside the noise, in units of the background; half of it is seen where a lock-in grows with the current."""

Design = Callable[[Floats], Floats]
"""Columns (n, k) of the linear regression, as a function of the parameters (p,)."""


@dataclass(frozen=True, eq=False)
class LineFit:
    """A line shape fitted to samples.

    Attributes
    ----------
    parameters : ndarray of shape (p,)
        Found by search.
    heights : ndarray of shape (k,)
        Coefficients of the columns.
    covariance : ndarray of shape (p + k, p + k)
        Of both, in that order, by what the fit leaves unexplained.
    misfit : float
        Root of the mean square that is left unexplained, in the unit of the samples.
    gain : float
        Root of the F statistic of the line against the background alone: how many standard deviations it stands out of the
        noise, for each of its unknowns.
    curve : ndarray of shape (n,)
        The fit at the samples, in their unit.
    """

    parameters: Floats
    heights: Floats
    covariance: Floats
    misfit: float
    gain: float
    curve: Floats

    @property
    def deviations(self) -> Floats:
        """Standard deviations of parameters and heights, shape (p + k,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0))

    def check(self, values: Floats, what: str) -> None:
        """Refuse a curve of another shape, and one on no background.

        Parameters
        ----------
        values : ndarray of shape (n,)
            The samples that were fitted, in nS; the first column is their background at zero bias.
        what : str
            What has such a line.

        Raises
        ------
        NoValueError
            When the fit misses the samples by more than their noise lets expect.
        """
        scale, noise = float(self.heights[0]), float(np.sqrt(np.mean(deviations(values) ** 2)))
        if not scale > 0:
            raise NoValueError(f"the background has no conductance: {scale:.2g} nS")
        if self.misfit > math.hypot(MISFIT * scale, NOISE * noise):
            raise NoValueError(
                f"the curve is not that of {what}: the best fit misses it by {self.misfit:.2g} nS of {scale:.2g} nS, and the "
                f"noise is {noise:.2g} nS"
            )


def fit_line(values: Floats, current: Floats, design: Design, background: Floats, starts: Sequence[Floats]) -> LineFit:
    """Fit a line on a background.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Samples.
    current : ndarray of shape (n,)
        Current at the samples, with which their noise grows, in nA.
    design : callable
        Columns of line and background, as a function of the parameters.
    background : ndarray of shape (n, b)
        Columns of the background without the line.
    starts : sequence of ndarray of shape (p,)
        Where the search may begin; it begins at the best of them.

    Raises
    ------
    NoValueError
        When there are too few samples for the unknowns, or the columns do not differ.
    """
    from scipy.optimize import least_squares, nnls

    unknowns = len(starts[0]) + design(starts[0]).shape[1]
    if (free := len(values) - unknowns) < LEAST_FREE:
        raise NoValueError(f"{len(values)} samples are too few for a line with {unknowns} unknowns")

    def rest(parameters: Floats) -> Floats:
        return _rest(weights[:, None] * design(parameters), weights * values)

    weights = np.ones(len(values))
    try:
        start = min(starts, key=lambda parameters: float(np.sum(rest(parameters) ** 2)))
        for _ in range(2):
            if len(start):
                start = least_squares(rest, start, method="lm", max_nfev=MOST_CALLS * len(start), xtol=1e-5, ftol=1e-8).x
            left = rest(start)
            columns = weights[:, None] * design(start)
            # vibrations of the gap make noise that grows with the current; the second round knows how much
            squares = nnls(np.column_stack([np.ones(len(values)), current**2]), (left / weights) ** 2)[0]
            noise = np.sqrt(squares[0] + squares[1] * current**2)
            used, weights = weights, 1 / np.maximum(noise, LEAST_NOISE * noise.max() + 1e-300)
        heights = np.linalg.lstsq(columns, used * values, rcond=None)[0]
        steps = np.diag(1e-5 * np.maximum(np.abs(start), 1e-3))
        slopes = [used * ((design(start + s) - design(start - s)) @ heights) / (2 * s.sum()) for s in steps]
        joint = np.column_stack([*slopes, columns])
        unexplained = float(left @ left)
        covariance = np.linalg.pinv(joint.T @ joint) * unexplained / free
    except (np.linalg.LinAlgError, ValueError, RuntimeError):
        raise NoValueError("no line can be fitted to these samples") from None
    without, more = float(np.sum(_rest(used[:, None] * background, used * values) ** 2)), unknowns - background.shape[1]
    gain = math.sqrt(max(without - unexplained, 0.0) / more / max(unexplained / free, 1e-300))
    misfit = float(np.sqrt(np.mean((left / used) ** 2)))
    return LineFit(start, heights, covariance, misfit, gain, design(start) @ heights)


def _rest(columns: Floats, target: Floats) -> Floats:
    """Return what a linear regression leaves unexplained."""
    q, _ = np.linalg.qr(columns)
    return target - q @ (q.T @ target)
