"""dI/dV from the current and from the lock-in together, with its standard deviation.

The current is the integral of dI/dV, so both channels measure one curve. Inside a gap the current is by far the more
sensitive one: on a good day of the published runs a state of 0.1 nS that is 0.1 V wide lifts the current by 10 pA, which is 80
standard deviations of its noise, and the lock-in by ten of its own. A parabola is fitted to the current and its slope, a
straight line, to dI/dV within a narrow window, each weighted by its noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.scalarizers._base import NoValueError
from bluesky_stm.scalarizers._sweep import Sweep

LEAST_REACH: Final = 2
"""Samples on either side of a bias that a fit takes at least: five in all."""

QUIETEST: Final = 1e-6
"""Noise below which a channel counts as having none, as a share of the current or of the conductance at the set point."""


@dataclass(frozen=True)
class ChannelNoise:
    """The noise of a spectrum where it carries no current, and the offset of its lock-in.

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

    current: float
    didv: float
    offset: float
    samples: int

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
            Samples by increasing bias.
        noise : ChannelNoise
            Weights of the channels, and the offset that is taken from dI/dV.
        reach : int
            Samples of the window on either side; at the ends of the sweep it is cut.

        Raises
        ------
        NoValueError
            When so many samples have the same bias that a window has no slope.
        """
        index = np.arange(-reach, reach + 1) + np.arange(len(sweep.bias))[:, None]
        inside = (index >= 0) & (index < len(sweep.bias))
        index = np.clip(index, 0, len(sweep.bias) - 1)
        u = sweep.bias[index] - sweep.bias[:, None]  # (n, window)
        # I = a + b u + c u^2 / 2 and dI/dV = b + c u
        of_current = np.stack([np.ones_like(u), u, u * u / 2], axis=-1) * (inside / noise.current)[..., None]
        of_didv = np.stack([np.zeros_like(u), np.ones_like(u), u], axis=-1) * (inside / noise.didv)[..., None]
        measured = [sweep.current[index] * inside / noise.current, (sweep.didv[index] - noise.offset) * inside / noise.didv]
        design, values = np.concatenate([of_current, of_didv], axis=1), np.concatenate(measured, axis=1)
        try:
            covariance = np.linalg.inv(np.einsum("nwi,nwj->nij", design, design))
        except np.linalg.LinAlgError:
            raise NoValueError("several samples have the same bias: the curve has no slope there") from None
        return cls(np.einsum("ni,nwi,nw->n", covariance[:, 1], design, values), np.sqrt(np.maximum(covariance[:, 1, 1], 0)))


def _about_a_line(bias: Floats, values: Floats) -> tuple[float, float]:
    """Return the slope of the straight line through values, and their standard deviation about it."""
    centred = bias - bias.mean()
    slope = float(centred @ values / max(centred @ centred, 1e-300))
    rest = values - values.mean() - slope * centred
    return slope, float(np.sqrt(rest @ rest / max(len(bias) - 2, 1)))
