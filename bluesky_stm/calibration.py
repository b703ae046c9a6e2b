"""Calibration of a lock-in against the current of the same sweeps: the one way in which dI/dV gets its scale.

The current is the integral of dI/dV over the bias. So with dI/dV = slope * X + floor, it is fitted by the integral of the
lock-in and by the bias,

    I(V) = slope * (integral of X dV) + floor * V + constant,

with a constant for each stretch of samples. An integral has hardly any noise where a numerical derivative has little else, and
the noise of the current stands on the left side, where it does not bend the fit. The phase comes before: X and Y are turned
until X varies most over the sweep. A capacitive part does not vary, so that it cannot turn the phase, as it does where the
largest mean is sought. Where the current contradicts the turned channel and agrees with X as it was recorded, X is taken.

The limits below are those with which a channel is refused. On 500 generated spectra (``tests/files/test_calibration_bar.py``)
no channel is accepted with a wrong dI/dV.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Calibration
from bluesky_stm.robust import NORMAL_MEDIAN_DEVIATIONS

LINEAR_CURRENT, LARGE_CURRENT = 0.3, 3.0
"""Where a current exceeds the second, in nA, only those below the first are fitted: the gain of a lock-in grows by a third
towards 10 nA (measured on EuZn2As2)."""

MOST_SPECTRA: Final = (32, 400)
"""Spectra of a grid that are fitted, evenly spread: so many first, and so many where these leave dI/dV uncertain."""

CERTAIN: Final = 0.005
"""Standard deviation of dI/dV by that of gain and offset, as a share of dI/dV, below which no more spectra are fitted."""

ENOUGH: Final = 2000
"""Values that give a standard deviation to better than 3 %."""

FEWEST: Final = 16
"""Samples below which nothing is fitted."""

UNCERTAIN: Final = 0.025
"""Standard deviation of dI/dV by that of gain and offset, as a share of dI/dV, above which the fit is not used."""

INSIGNIFICANT: Final = 8.0
"""Gain, in its standard deviations, below which the lock-in is not seen in the current."""

EXPLAINED: Final = 0.95
"""Share of the bend of the current, noise apart, that a lock-in explains at least; real ones reach 0.97 to 1."""

DEVIATING: Final = 0.05
"""Deviation between lock-in and current over a tenth of the sweep, as a share of dI/dV, above which they contradict."""

BEYOND: Final = (0.1, 1 / 30)
"""The same over the whole sweep, large currents included: at no current, and the growth with the largest current per nA."""

NOISY: Final = 0.3
"""Share of the variation of the integral that the noise of the lock-in makes, above which the fit is not corrected for it."""

BLOCKS: Final = 10
"""Parts of a stretch over which lock-in and current are compared."""

OUTLYING: Final = 2.5
"""Residual, in robust standard deviations, beyond which a sample loses weight."""

OF_WALK: Final = 1 / 15
"""Variance of a random walk of n steps less its mean and trend, in units of n times that of a step."""


class _Samples(NamedTuple):
    """Samples that are fitted, in units of their spread, one stretch after the other."""

    x: Floats
    terms: Floats
    """Integral of X and bias, each less the mean of its stretch; shape (n, 2)."""
    current: Floats
    """Less the mean of its stretch."""
    stretch: NDArray[np.int_]
    place: Floats
    """Place within the stretch, 0 to 1."""
    noise: tuple[float, float]
    """Standard deviations of the noise of current and X, from sample to sample."""
    step: float
    """Root mean square step of the bias."""


class _Fit(NamedTuple):
    slope: float
    floor: float
    covariance: Floats
    explained: float
    deviation: float
    beyond: float
    uncertainty: float


def calibrate(bias: Floats, current: Floats, x: Floats, y: Floats | None = None) -> Calibration:
    """Return gain, offset and phase of a lock-in channel, or the reason why the data refuse it.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        Sample bias, in V, in the order of the sweep. Where its step is 0 or NaN a new segment begins.
    current : ndarray of shape (..., n)
        Tunneling current, in nA; NaN where it was not measured or does not count.
    x : ndarray of shape (..., n)
        Lock-in channel, in nA. One gain and one offset hold for all spectra.
    y : ndarray of shape (..., n), optional
        The channel in quadrature, in nA.

    Returns
    -------
    Calibration
    """
    for most in MOST_SPECTRA:
        found = _calibrated(bias, thinned(current, most), thinned(x, most), None if y is None else thinned(y, most))
        if most >= np.size(current) // len(bias) or (not found.refused and found.uncertainty < CERTAIN):
            break
    return found


def thinned(values: Floats, most: int = MOST_SPECTRA[-1]) -> Floats:
    """Return at most so many of some spectra (..., n), evenly spread, of shape (m, n).

    Parameters
    ----------
    values : ndarray of shape (..., n)
        Samples of all spectra.
    most : int
        Number of spectra that are enough.
    """
    spectra = np.reshape(values, (-1, np.shape(values)[-1]))
    return spectra[:: max(1, -(-len(spectra) // most))].astype(float)


def _calibrated(bias: Floats, current: Floats, x: Floats, y: Floats | None) -> Calibration:
    """Return the calibration of a few spectra, with the channels turned, or as recorded where the current prefers that."""
    turned = [0.0]
    if y is not None and np.isfinite(y).any():
        turned.insert(0, _phase(_used(current, x), x, y))
    for angle in turned:  # where the current has no preference, the turned channel has the larger signal
        found = _fitted(bias, current, x if y is None else _turned(x, y, angle), angle)
        if not found.refused:
            break
    return found


def _turned(x: Floats, y: Floats, degrees: float) -> Floats:
    return x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees)) if degrees else x


def _used(current: Floats, x: Floats) -> NDArray[np.bool_]:
    """Return where current and lock-in count; large currents, where the gain grows, do not."""
    magnitude = np.abs(current)
    measured = np.isfinite(current) & np.isfinite(x)
    if not measured.any() or magnitude[measured].max() <= LARGE_CURRENT:
        return measured
    return measured & (magnitude <= max(LINEAR_CURRENT, float(np.median(magnitude[measured]))))


def _noise(values: Floats) -> float:
    """Return the standard deviation of the noise from sample to sample; a smooth curve has none."""
    bends = values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]
    return _deviation_of(bends[np.isfinite(bends)]) / np.sqrt(6)


def _deviation_of(values: Floats) -> float:
    """Return the robust standard deviation of values around 0, (n,); of many, that of some are enough."""
    some = np.abs(values[:: 1 + len(values) // ENOUGH])
    return float(np.median(some)) * NORMAL_MEDIAN_DEVIATIONS if len(some) else 0.0


def _phase(use: NDArray[np.bool_], x: Floats, y: Floats) -> float:
    """Return the angle, in degrees, at which X varies most over the sweep, noise apart; between -90 and 90."""
    use = use & np.isfinite(y)
    count = np.maximum(use.sum(axis=-1, keepdims=True), 1)
    a, b = ((v - np.sum(v, axis=-1, where=use, keepdims=True) / count)[use] for v in (x, y))
    if not len(a):
        return 0.0
    difference = np.mean(a * a) - _noise(x) ** 2 - np.mean(b * b) + _noise(y) ** 2
    return float(np.degrees(0.5 * np.arctan2(2 * np.mean(a * b), difference)))


def _fitted(bias: Floats, current: Floats, x: Floats, phase: float) -> Calibration:
    use = _used(current, x)
    if use.sum() < FEWEST:
        return Calibration(refused=f"only {use.sum()} samples of lock-in and current count: nothing can be calibrated")
    middle, scales = (
        float(np.mean(x[use])),
        (float(np.std(x[use])), float(np.ptp(bias[np.isfinite(bias)])), float(np.std(current[use]))),
    )
    spread, width, size = scales
    if not (spread > 1e-9 * abs(middle) and width > 0 and size > 0):
        return Calibration(refused="lock-in or current is constant over the sweep: the lock-in was off")
    parts = (use, np.isfinite(current) & np.isfinite(x))
    fit = _fit(*(_samples(bias / width, current / size, (x - middle) / spread, part) for part in parts))
    if fit is None:
        return Calibration(refused="the lock-in is noise: its integral tells nothing of the current")
    scale = size / width
    gain = spread / (fit.slope * scale)
    offset = middle - spread * fit.floor / fit.slope
    relative = float(np.sqrt(fit.covariance[0, 0])) / abs(fit.slope)
    along = np.array([fit.floor / fit.slope, -1.0]) * spread / fit.slope  # derivative of the offset by slope and floor
    calibration = Calibration(
        gain=float(gain),
        gain_std=float(abs(gain) * relative),
        offset=float(offset),
        offset_std=float(np.sqrt(along @ fit.covariance @ along)),
        phase=phase,
        explained=fit.explained,
        uncertainty=fit.uncertainty,
    )
    beyond = BEYOND[0] + BEYOND[1] * float(np.nanmax(np.abs(current)))
    return replace(calibration, refused=_refusal(fit, relative, beyond))


def _refusal(fit: _Fit, relative: float, beyond: float) -> str:
    """Return the reason why the data contradict a calibration; empty where they do not.

    Parameters
    ----------
    fit : _Fit
        Fit of the lock-in to the current.
    relative : float
        Standard deviation of the gain, as a share of it.
    beyond : float
        Deviation over the whole sweep that is accepted.
    """
    if relative * INSIGNIFICANT > 1:
        return (
            f"its gain is not seen in the current (uncertain by {relative:.0%}): that is too straight, or the lock-in was off"
        )
    if fit.explained < EXPLAINED:
        return f"its integral explains {fit.explained:.0%} of the bend of the current: it measured something else"
    if fit.deviation > DEVIATING:
        return f"lock-in and current deviate by {fit.deviation:.0%} over a tenth of the sweep: they contradict each other"
    if fit.beyond > beyond:
        return f"lock-in and current deviate by {fit.beyond:.0%} where the current is large: they contradict each other"
    if fit.uncertainty > UNCERTAIN:
        return f"gain and offset leave dI/dV uncertain by {fit.uncertainty:.1%}: the current is too noisy or too straight"
    return ""


def _samples(bias: Floats, current: Floats, x: Floats, use: NDArray[np.bool_]) -> _Samples:
    steps = np.diff(bias)
    joined = use[:, 1:] & use[:, :-1] & (np.isfinite(steps) & (steps != 0))
    area = np.where(joined, 0.5 * (x[:, 1:] + x[:, :-1]) * np.where(np.isfinite(steps), steps, 0.0), 0.0)
    begins = np.concatenate([np.ones((len(use), 1), dtype=bool), ~joined], axis=1)
    stretch = np.cumsum(begins[use]) - 1 if begins[use][0] else np.cumsum(begins[use])
    count = np.bincount(stretch)
    first = (np.cumsum(count) - count)[stretch]

    def centred(values: Floats) -> Floats:
        return values - (np.bincount(stretch, values) / count)[stretch]

    whole = np.concatenate([np.zeros((len(use), 1)), np.cumsum(area, axis=1)], axis=1)
    return _Samples(
        x[use],
        np.stack([centred(whole[use]), centred(np.broadcast_to(bias, use.shape)[use])], axis=1),
        centred(current[use]),
        stretch,
        (np.arange(len(stretch)) - first) / count[stretch],
        (_noise(current), _noise(x)),
        float(np.sqrt(np.nanmean(steps**2))),
    )


def _fit(samples: _Samples, whole: _Samples) -> _Fit | None:
    """Fit slope and floor to samples, and look how well they hold for the whole sweep.

    Outliers lose weight. The result is None where the lock-in is nothing but noise.
    """
    terms, current, (of_current, of_x) = samples.terms, samples.current, samples.noise
    lengths = np.bincount(samples.stretch).astype(float)
    walk = (of_x * samples.step) ** 2 * OF_WALK * np.sum(lengths**2)  # what noise adds to the sum of squares of the integral
    weights = np.ones(len(current))
    for _ in range(4):
        normal = (terms * weights[:, None]).T @ terms
        bent = normal[0, 0] - normal[0, 1] ** 2 / max(normal[1, 1], 1e-300)
        if not bent * NOISY > walk:
            return None
        normal[0, 0] -= walk
        solution = np.linalg.solve(normal, (terms * weights[:, None]).T @ current)
        rest = current - terms @ solution
        limit = OUTLYING * max(_deviation_of(rest), 1e-30)
        weights = limit / np.maximum(np.abs(rest), limit)
    slope, floor = (float(v) for v in solution)
    large = float(np.sqrt(np.mean((slope * whole.x + floor) ** 2)))
    covariance = _covariance(samples, normal, rest, slope)
    conductance, ones = slope * samples.x + floor, np.stack([samples.x, np.ones_like(samples.x)], axis=1)
    size = float(np.sqrt(np.mean(conductance**2)))
    spread = np.sqrt(np.mean(np.sum(ones @ covariance * ones, axis=1)))
    straight = terms[:, 1] * (terms[:, 1] @ current) / (terms[:, 1] @ terms[:, 1])
    noise = len(current) * of_current**2 * (1 + 4 * np.sqrt(2 / len(current))) + 2 * slope**2 * walk
    bend, left = (max(np.sum(v**2) - noise, 0.0) for v in (current - straight, rest))
    return _Fit(
        slope,
        floor,
        covariance,
        float(1 - left / bend) if bend > left else 0.0 if left else 1.0,
        _deviation(samples, rest, slope) / size,
        _deviation(whole, whole.current - whole.terms @ solution, slope) / large,
        float(spread / size),
    )


def _covariance(samples: _Samples, normal: Floats, rest: Floats, slope: float) -> Floats:
    """Return the covariance of slope and floor: by the noise of both channels, or by the residuals where that is more."""
    terms, (of_current, of_x) = samples.terms, samples.noise
    # Noise of the lock-in is summed up along the sweep; so is, the other way round, its weight in the fit.
    sums = np.cumsum(terms[::-1], axis=0)[::-1]
    ends = np.cumsum(np.bincount(samples.stretch))
    ahead = (sums - np.vstack([sums, np.zeros(2)])[ends][samples.stretch]) * samples.step
    by_noise = of_current**2 * terms.T @ terms + (slope * of_x) ** 2 * ahead.T @ ahead
    block = samples.stretch * 6 + (samples.place * 6).astype(int)
    scores = np.stack([np.bincount(block, terms[:, k] * rest) for k in (0, 1)], axis=1)
    blocks = int(np.count_nonzero(np.bincount(block)))
    by_rest = scores.T @ scores * blocks / max(blocks - 2, 1)
    inverse = np.linalg.inv(normal)
    one, other = inverse @ by_noise @ inverse, inverse @ by_rest @ inverse
    return one if float(np.trace(one)) > float(np.trace(other)) else other


def _deviation(samples: _Samples, rest: Floats, slope: float) -> float:
    """Return how much the slope of the current and the lock-in differ over the parts of a sweep, beyond what noise makes."""
    bias, (of_current, of_x) = samples.terms[:, 1], samples.noise
    part = np.minimum((samples.place * BLOCKS).astype(int), BLOCKS - 1)
    block = samples.stretch * BLOCKS + part
    count = np.maximum(np.bincount(block), 1)
    v, r = (values - (np.bincount(block, values) / count)[block] for values in (bias, rest))
    squares = np.bincount(block, v * v)
    held = (count >= 3) & (squares > 0)
    index = (np.arange(len(count)) % BLOCKS)[held]
    slopes = np.bincount(block, v * r)[held] / squares[held]
    noise = of_current**2 / squares[held] + (slope * of_x) ** 2 / count[held]
    several = np.maximum(np.bincount(index, minlength=BLOCKS), 1)
    there = np.bincount(index, minlength=BLOCKS) > 0
    mean, expected = np.bincount(index, slopes, BLOCKS) / several, np.bincount(index, noise, BLOCKS) / several**2
    allowed = 1 + 3 * np.sqrt(2 / max(there.sum(), 1))
    return float(np.sqrt(max(np.mean(mean[there] ** 2) - allowed * np.mean(expected[there]), 0.0))) if there.any() else 0.0
