"""Replicas of a spectrum: the same curve with the noise of the spectrum drawn anew, to see how far it moves a value.

The noise of each sample is read from the spectrum itself, from the differences of neighbouring samples, which the curve hardly
changes. It therefore holds what differs from sample to sample: white noise, and the vibration of the gap. Beside it the whole
spectrum is scaled, by as much as its current at the bias of the set point misses that of the set point: a tip that was held too
high or too low changes an area by that much, and a gap or a normalised conductance not at all. Slow noise within a sweep and a
changed tip are not in it.

The draws are always the same, so that a value has the same deviation in every replay.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum

REPLICAS: Final = 24
"""Number of replicas; their standard deviation is known to 15 %."""

LARGEST_MISS: Final = 0.5
"""Relative miss of the set point beyond which the tip was moved on purpose once the feedback was open."""

THIRD: Final = np.array([1.0, -3.0, 3.0, -1.0])
"""Weights of a third difference, in which a parabola vanishes."""

AROUND: Final = 15
"""Third differences whose median tells the noise at their middle."""


def replicas(spectrum: Spectrum) -> list[Spectrum]:
    """Return spectra as they could have been measured instead; none where there are too few samples to tell their noise.

    Lock-in and dI/dV get the same noise. Samples at the end of the range of the preamplifier stay as they are.
    """
    if np.isfinite(spectrum.bias).sum() < len(THIRD) + AROUND:
        return []
    free, miss = ~spectrum.saturated, _miss(spectrum)
    sizes = [free * deviations(channel) for channel in (spectrum.current, spectrum.didv, spectrum.lockin_x)]
    return [
        replace(
            spectrum,
            current=spectrum.current * (1 + miss * free * scale) + sizes[0] * one,
            didv=spectrum.didv * (1 + miss * free * scale) + sizes[1] * other,
            lockin_x=spectrum.lockin_x * (1 + miss * free * scale) + sizes[2] * other,
        )
        for scale, one, other in _draws(len(spectrum.bias))
    ]


def _miss(spectrum: Spectrum) -> float:
    """Return the relative difference of the current at the bias of the set point and that of the set point; 0 if unknown."""
    bias, current = spectrum.setpoint.bias, abs(spectrum.setpoint.current)
    nearest = int(np.argmin(np.abs(np.nan_to_num(spectrum.bias, nan=np.inf) - bias)))
    step = float(np.nanmax(np.abs(np.diff(spectrum.bias))))
    if not (abs(spectrum.bias[nearest] - bias) <= step / 2 and current > 0):
        return 0.0
    miss = abs(abs(float(spectrum.current[nearest])) / current - 1)
    return miss if miss < LARGEST_MISS else 0.0


def deviations(values: Floats) -> Floats:
    """Return the standard deviation of the noise of each sample of a curve.

    It follows from third differences, to which a smooth curve adds little.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Samples at equal steps; NaN where not measured.

    Returns
    -------
    ndarray of shape (n,)
        In the unit of the values; 0 where too little was measured around a sample.
    """
    size = np.abs(np.convolve(values, THIRD, mode="valid")) / np.linalg.norm(THIRD)
    # NaN of samples that were not measured stays outside: the median of what is left of a window
    windows = sliding_window_view(np.pad(size, (AROUND // 2 + 1, AROUND // 2 + 2), mode="reflect"), AROUND)
    found = np.full(len(values), 0.0)
    known = np.isfinite(windows).sum(axis=1) > AROUND // 2
    found[known] = 1.4826 * np.nanmedian(windows[known], axis=1)
    return found


@lru_cache(maxsize=8)
def _draws(count: int) -> list[tuple[float, Floats, Floats]]:
    rng = np.random.default_rng(0)
    scales, noise = rng.standard_normal(REPLICAS), rng.standard_normal((REPLICAS, 2, count))
    return [(float(scale), one, other) for scale, (one, other) in zip(scales, noise, strict=True)]
