"""dI/dV from the current and from the lock-in together, with its standard deviation.

The current is the integral of dI/dV, so both channels measure one curve. Inside a gap the current is by far the more
sensitive one: on a good day of the published runs a state of 0.1 nS that is 0.1 V wide lifts the current by 10 pA, which is 80
standard deviations of its noise, and the lock-in by ten of its own. A parabola is fitted to the current and its slope, a
straight line, to dI/dV within a narrow window, each weighted by its noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.scalarizers._base import NoValueError
from bluesky_stm.scalarizers._sweep import Sweep

LEAST_REACH: Final = 2
"""Samples on either side of a bias that a fit takes at least: five in all."""

QUIETEST: Final = 1e-6
"""Noise below which a channel counts as having none, as a share of the current or of the conductance at the set point."""

SINGULAR: Final = 1e-12
"""Determinant below which a fit has no solution, as a share of the product of the diagonal of its normal matrix."""


@dataclass(frozen=True)
class ChannelNoise:
    """The noise of a spectrum where it carries no current, and the offset of its lock-in; of several in columns (m, 1).

    Attributes
    ----------
    current : float
        Standard deviation of one sample of the current, in nA.
    didv : float
        Standard deviation of one sample of dI/dV, in nS.
    offset : float
        Excess of dI/dV over the slope of the current, in nS: the part of the offset of the lock-in that its calibration left.
    samples : int
        Number of samples from which the two deviations are known, less the two parameters of a line.
    """

    current: float | Floats
    didv: float | Floats
    offset: float | Floats
    samples: int | NDArray[np.intp]

    @classmethod
    def inside(cls, quiet: Sweep, scale: float, bias: float) -> Self:
        """Measure the noise in the part of a sweep that carries no current.

        Parameters
        ----------
        quiet : Sweep
            Samples inside the gap, three at least.
        scale : float
            Conductance at the set point, in nS; noise below a millionth of it counts as none.
        bias : float
            Bias of the set point, in V.
        """
        slope, current = _about_a_line(quiet.bias, quiet.current)
        _, didv = _about_a_line(quiet.bias, quiet.didv)
        offset = float(quiet.didv.mean()) - slope
        least = QUIETEST * scale
        return cls(max(current, least * abs(bias)), max(didv, least), offset, max(len(quiet.bias) - 2, 1))


@dataclass(frozen=True, eq=False)
class FittedSlope:
    """dI/dV at each bias of a sweep, from both channels.

    Attributes
    ----------
    didv : ndarray of shape (n,)
        In nS.
    std : ndarray of shape (n,)
        Its standard deviation by the noise of both channels, in nS.
    """

    didv: Floats
    std: Floats

    @classmethod
    def of(cls, sweep: Sweep, noise: ChannelNoise, reach: int) -> Self:
        """Fit both channels within a window around each bias.

        Parameters
        ----------
        sweep : Sweep
            Samples by increasing bias; its current and dI/dV may be those of several sweeps with these biases, (m, n).
        noise : ChannelNoise
            Weights of the channels, and the offset that is taken from dI/dV; of several sweeps arrays of shape (m, 1).
        reach : int
            Samples of the window on either side; at the ends of the sweep it is cut.

        Raises
        ------
        NoValueError
            When so many samples have the same bias that a window has no slope.
        """
        windows = _Windows.around(np.asarray(sweep.bias, dtype=float).tobytes(), reach)
        weigh_current, weigh_didv = noise.current**-2, noise.didv**-2
        of_current, of_didv = (each.reshape(3, 3, *(1,) * (np.ndim(sweep.current) - 1), -1) for each in windows.normal)
        normal = weigh_current * of_current + weigh_didv * of_didv
        current, didv = sweep.current[..., windows.index], (sweep.didv - noise.offset)[..., windows.index]
        values = np.stack([np.einsum("...nw,nw->...n", current, column) for column in windows.columns])
        values *= weigh_current
        values[1:] += weigh_didv * np.stack([np.einsum("...nw,nw->...n", didv, column) for column in windows.columns[:2]])
        row, variance = _second_row_of_inverse(normal)
        return cls((row * values).sum(axis=0), np.sqrt(np.maximum(variance, 0)))


@dataclass(frozen=True, eq=False)
class _Windows:
    """What the fits of all sweeps with the same biases share: I = a + b u + c u^2 / 2 and dI/dV = b + c u near each bias.

    Attributes
    ----------
    index : ndarray of shape (n, window)
        Samples of the window around each bias.
    columns : tuple of ndarray of shape (n, window)
        1, u and u^2 / 2, with u in V from the middle of the window; zero at samples that the ends of the sweep cut off.
    normal : (ndarray, ndarray), each of shape (3, 3, n)
        Normal matrix of current and of dI/dV at unit weight.
    """

    index: NDArray[np.intp]
    columns: tuple[Floats, Floats, Floats]
    normal: tuple[Floats, Floats]

    @classmethod
    @lru_cache(maxsize=16)
    def around(cls, biases: bytes, reach: int) -> Self:
        bias = np.frombuffer(biases)
        index = np.arange(-reach, reach + 1) + np.arange(len(bias))[:, None]
        inside = ((index >= 0) & (index < len(bias))).astype(float)
        index = np.clip(index, 0, len(bias) - 1)
        u = (bias[index] - bias[:, None]) * inside
        columns = inside, u, u * u / 2
        of_current = np.array([[np.einsum("nw,nw->n", one, other) for other in columns] for one in columns])
        slope = np.zeros_like(inside), inside, u
        of_didv = np.array([[np.einsum("nw,nw->n", one, other) for other in slope] for one in slope])
        return cls(index, columns, (of_current, of_didv))


def _second_row_of_inverse(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the second row (3, ...) of the inverse of symmetric matrices (3, 3, ...), and its element on the diagonal."""
    (a, b, c), (_, d, e), (_, _, f) = matrix
    first, second, third = c * e - b * f, a * f - c * c, b * c - a * e
    determinant = b * first + d * second + e * third
    if not (determinant > SINGULAR * a * d * f).all():
        raise NoValueError("several samples have the same bias: the curve has no slope there")
    return np.stack([first, second, third]) / determinant, second / determinant


def _about_a_line(bias: Floats, values: Floats) -> tuple[float, float]:
    """Return the slope of the straight line through values, and their standard deviation about it."""
    centred = bias - bias.mean()
    slope = float(centred @ values / max(centred @ centred, 1e-300))
    rest = values - values.mean() - slope * centred
    return slope, float(np.sqrt(rest @ rest / max(len(bias) - 2, 1)))
