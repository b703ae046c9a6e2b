"""Changes of the tip within a spectrum, found where the current jumps and lock-in X says that it should not.

Along a sweep of one tip the current grows as its slope says, and the lock-in measures the slope: from one bias to the next

    ln(I[k+1] / I[k]) = dV (G[k] + G[k+1]) / (I[k] + I[k+1])

with the differential conductance G. A tip that changes multiplies current and slope by the same factor, so that the right side
stays what it was and the left side jumps. What is left between both sides, less its running median (the gain of a lock-in is
never quite right), is compared with its robust scatter in the same spectrum: the vibration of the gap, which grows and falls
by a tenth in some junctions, is thus not taken for changes. A second look compares the mean of two samples before with that of
two samples after, which finds lasting jumps in noisy junctions. Inside the gap the current is noise, and at the end of the
preamplifier's range it is cut off: neither is judged.

The thresholds were chosen on one half of the published spectra of EuZn2As2 (every spectrum labelled by hand) and of simulated
ones, which know their jumps, and measured on the other half: ``benchmarks/results/tip_changes.md``. The other numbers below
were chosen on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.robust import median, normal_deviation

LEAST_STEP: Final = 0.1
"""Smallest step of the logarithm of the current that counts as a jump: about a tenth of the current."""

SIGNIFICANCE: Final = {1: 5.4, 2: 6.0}
"""How many standard deviations a step has to stand out, by the samples that are averaged on each side of it."""

FLOOR: Final = 20.0
"""Current, in standard deviations of its additive noise, below which it is not judged."""

SMALLEST_SHARE: Final = 0.075
"""Current, as a share of the set point, below which it is not judged: onsets of states begin there in a single step of bias."""

SLOPE_ERROR: Final = 0.1
"""Relative error of the slope that the lock-in gives: gain, and broadening by the modulation where the slope changes fast."""

LEAST_SCATTER: Final = 0.004
"""Scatter of the current from sample to sample, relative to it, that is assumed at least."""

FEWEST: Final = 8
"""Pairs of neighbouring samples with a current that can be judged below which nothing is said."""

OFFSET: Final = 0.002
"""Largest offset of a preamplifier, in nA, that is taken off."""

_MEDIAN_OVER: Final = 13
"""Samples over which the running median is taken."""

_SEGMENT: Final = 4
"""Fewest neighbouring samples that have a median."""

_MEDIAN_ERROR: Final = 1.2533
"""Standard error of the median of normal numbers, in units of that of their mean."""


@dataclass(frozen=True)
class CurrentStep:
    """A jump of the current from one sample to the next.

    Attributes
    ----------
    size : float
        Natural logarithm of the current after it over that before it, less what the slope explains.
    index : int
        Number of the last sample before it.
    significance : float
        Its size in standard deviations, over those that are asked for: a tip change from 1 on.
    """

    size: float
    index: int
    significance: float


def marked(spectrum: Spectrum) -> Spectrum:
    """Return the spectrum with the flag ``TIP_CHANGED`` where the current jumped within it; both ways are looked at."""
    return replace(spectrum, quality=spectrum.quality | Quality.TIP_CHANGED) if tip_changed(spectrum) else spectrum


def tip_changed(spectrum: Spectrum) -> bool:
    """Return True when the current jumped within the spectrum, on the way forth or back."""
    step = largest_step(spectrum)
    return step is not None and step.significance >= 1


def largest_step(spectrum: Spectrum) -> CurrentStep | None:
    """Return the most significant step of the current, of both ways where both were swept; None where none can be judged."""
    ways = list(_ways(spectrum))
    found = [step for current, slope, judged in ways if (step := _largest(spectrum, current, slope, judged))]
    if len(ways) == 2 and (between := _hysteresis(*ways)):
        found.append(between)
    return max(found, key=lambda step: step.significance, default=None)


Way = tuple[Floats, Floats, NDArray[np.bool_]]
"""Current less its offset (nA), dI/dV (nS), and where the current can be judged, each of shape (n,)."""


def _ways(spectrum: Spectrum) -> Iterator[Way]:
    """Give each way that was swept; the channels of a spectrum are the mean of both ways where there are two."""
    back = spectrum.backward
    if not back:
        yield _way(spectrum, spectrum.current, spectrum.didv)
        return
    slopes = back.get("didv", np.full_like(spectrum.bias, np.nan))
    yield _way(spectrum, 2 * spectrum.current - back["current"], 2 * spectrum.didv - slopes)
    yield _way(spectrum, back["current"], slopes)


def _way(spectrum: Spectrum, current: Floats, slope: Floats) -> Way:
    noise, offset = _noise(current)
    less = current - offset
    enough = np.abs(less) > max(FLOOR * noise, SMALLEST_SHARE * spectrum.setpoint.current)
    return less, slope, enough & ~spectrum.saturated


def _noise(current: Floats) -> tuple[float, float]:
    """Return the additive noise of the current and its offset, in nA, from the quarter of the samples that are smallest.

    The offset is 0 where these show no gap: there the current goes through 0 with a slope.
    """
    measured = int(np.isfinite(current).sum())
    low = np.argsort(np.abs(current))[: min(max(measured // 4, FEWEST), measured)]  # NaN comes last
    chosen = np.zeros(len(current), dtype=bool)
    chosen[low] = True
    steps = (current[1:] - current[:-1])[chosen[1:] & chosen[:-1]]
    if len(steps) < 2:
        return 0.0, 0.0
    noise = normal_deviation(steps) / np.sqrt(2)
    offset = median(current[low])
    return noise, offset if abs(offset) < 5 * noise + OFFSET else 0.0


def _largest(spectrum: Spectrum, current: Floats, slope: Floats, judged: NDArray[np.bool_]) -> CurrentStep | None:
    """Return the most significant step of one way."""
    pair = judged[1:] & judged[:-1] & (current[1:] * current[:-1] > 0)
    if pair.sum() < FEWEST:
        return None
    grown = np.zeros(len(pair))
    grown[pair] = np.log(np.abs(current[1:][pair] / current[:-1][pair]))
    explained = _explained(spectrum.bias, current, slope, pair)
    ends = _segments(pair)
    segments = [_level(grown[s:e] - explained[s:e]) for s, e in ends]

    def errors() -> list[Floats]:
        """Return what the noise and the error of the slope let each increment be off by, as of the segments."""
        expected, both = np.zeros(len(pair)), np.hypot(1 / current[1:][pair], 1 / current[:-1][pair])
        expected[pair] = np.hypot(_noise(current)[0] * both, SLOPE_ERROR * explained[pair])
        return [expected[s:e] for s, e in ends]

    steps = [_step(segments, errors, [s for s, _ in ends], over) for over in SIGNIFICANCE]
    return max((step for step in steps if step), key=lambda step: step.significance, default=None)


def _explained(bias: Floats, current: Floats, slope: Floats, pair: NDArray[np.bool_]) -> Floats:
    """Return the growth of the logarithm of the current from sample to sample that the slope explains.

    Without a slope (the lock-in is off) the steps of the current before and after explain what they can: near 0 V the
    logarithm of an ohmic current grows by any amount from sample to sample.
    """
    explained, steps = np.zeros(len(pair)), np.diff(bias) * (slope[1:] + slope[:-1])
    if not np.isfinite(steps[pair]).all():
        padded = np.pad(np.diff(current), 1, mode="edge")
        steps = padded[2:] + padded[:-2]
    explained[pair] = steps[pair] / (current[1:] + current[:-1])[pair]
    return explained


def _segments(pair: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and past-the-last index of each run of True that is long enough to have a median."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], pair.astype(int), [0]])))
    return [(int(s), int(e)) for s, e in zip(ends[::2], ends[1::2], strict=True) if e - s >= _SEGMENT]


def _level(rest: Floats) -> Floats:
    """Return increments (m,) less their running median, over fewer samples at both ends."""
    half, count, index = _MEDIAN_OVER // 2, len(rest), np.arange(len(rest))
    padded = np.full(count + 2 * half, np.inf)  # sorted behind what is there
    padded[half : half + count] = rest
    ordered = np.sort(padded[index[:, None] + np.arange(_MEDIAN_OVER)], axis=1)
    there = np.minimum(index, half) + np.minimum(index[::-1], half) + 1
    return rest - (ordered[index, (there - 1) // 2] + ordered[index, there // 2]) / 2


def _step(segments: list[Floats], errors: Callable[[], list[Floats]], starts: list[int], over: int) -> CurrentStep | None:
    """Return the most significant step between means of ``over`` samples on each side, in any of the segments."""
    summed = [np.concatenate([[0.0], np.cumsum(rest)]) for rest in segments]
    sizes = [_apart(levels, over) for levels in summed]
    indices = [start + over - 1 + np.arange(len(size)) for start, size in zip(starts, sizes, strict=True)]
    if not sum(map(len, sizes)):
        return None
    size, index = np.concatenate(sizes), np.concatenate(indices)
    large = np.abs(size) >= LEAST_STEP
    if not large.any():
        return CurrentStep(float(size[0]), int(index[0]), 0.0)
    spreads = [error[over - 1 : over - 1 + len(some)] / np.sqrt(over) for error, some in zip(errors(), sizes, strict=True)]
    spread = np.concatenate(spreads)
    # The scatter that the additive noise and the slope do not account for is that of the gap, the same at every current.
    gap = np.sqrt(max(normal_deviation(size) ** 2 - median(spread) ** 2, LEAST_SCATTER**2))
    significance = np.where(large, np.abs(size) / np.hypot(gap, spread), 0.0) / SIGNIFICANCE[over]
    best = int(np.argmax(significance))
    return CurrentStep(float(size[best]), int(index[best]), float(significance[best]))


def _apart(levels: Floats, over: int) -> Floats:
    """Return the mean of ``over`` neighbouring levels less that of as many before them, along levels (m,)."""
    means = levels if over == 1 else np.convolve(levels, np.full(over, 1 / over), "valid")
    return means[over:] - means[:-over] if len(means) > over else np.empty(0)


def _hysteresis(forth: Way, back: Way) -> CurrentStep | None:
    """Return by how much the current where the sweep began is another one when it comes back there.

    That shows a change at any time in between, in the gap too, where a jump is not seen as it happens.
    """
    both = np.flatnonzero(forth[2] & back[2] & (forth[0] * back[0] > 0))[:FEWEST]
    if len(both) < _SEGMENT:
        return None
    change = np.log(back[0][both] / forth[0][both])
    size = median(change)
    spread = max(normal_deviation(change), LEAST_SCATTER) * _MEDIAN_ERROR / np.sqrt(len(both))
    significance = abs(size) / spread / SIGNIFICANCE[1] if abs(size) >= LEAST_STEP else 0.0
    return CurrentStep(size, int(both[-1]), significance)
