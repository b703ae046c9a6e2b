"""What scalarizers saw on many spectra, for a page that shows thousands of them: band edges of like sweeps together.

It is the search of `Gap` with one row for each spectrum; all that depends on the biases alone is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import Mark, Marking
from bluesky_stm.scalarizers._base import NoValueError
from bluesky_stm.scalarizers._edges import ROUNDS, BandEdges, EdgesPart, at_setpoint, crossed, quietest
from bluesky_stm.scalarizers._slope import LEAST_REACH, QUIETEST, ChannelNoise, FittedSlope
from bluesky_stm.scalarizers._sweep import Sweep, alike

Numbers = NDArray[np.intp]


def marks_of_all(scalarizer: Marking, spectra: Sequence[Spectrum]) -> list[list[Mark]]:
    """Return what a scalarizer saw on each of many spectra: the same as its `marks` of one after the other.

    Parameters
    ----------
    scalarizer : Marking
        Any that marks what it sees; band edges are found in all like sweeps together.
    spectra : sequence of Spectrum
        Any spectra.
    """
    if not isinstance(scalarizer, EdgesPart):
        return [scalarizer.marks(spectrum) for spectrum in spectra]
    marks: list[list[Mark]] = [[] for _ in spectra]
    taken = [number for number, spectrum in enumerate(spectra) if not spectrum.quality & scalarizer.refused]
    for group in alike([spectra[number] for number in taken]):
        numbers = [taken[number] for number in group.numbers]
        try:
            found = _found(scalarizer, group.sweep.clear, [spectra[number] for number in numbers])
        except NoValueError:  # of all, as they have too few samples, or of one with noise that another has not
            for number in numbers:
                marks[number] = scalarizer.marks(spectra[number])
            continue
        for row, edges in found.items():
            marks[numbers[row]] = scalarizer.marked(edges)
    return marks


@dataclass(eq=False)
class _Search:
    """The search for gaps in like sweeps; every array has one row for each of them.

    Attributes
    ----------
    start, stop : ndarray of int of shape (m,)
        Samples of the gap, the first one and the one past the last.
    didv, std : ndarray of shape (m, n)
        Fitted dI/dV and its standard deviation, in nS.
    samples : ndarray of int of shape (m,)
        Number of samples from which the noise is known, as of `ChannelNoise`.
    there : ndarray of bool of shape (m,)
        False where there is no gap.
    """

    start: Numbers
    stop: Numbers
    didv: Floats
    std: Floats
    samples: Numbers
    there: NDArray[np.bool_]


def _found(part: EdgesPart, sweep: Sweep, spectra: Sequence[Spectrum]) -> dict[int, BandEdges]:
    """Return the edges of each of like sweeps that has some, by its row."""
    from scipy.special import ndtr, stdtrit

    (start, size), reach = quietest(sweep), part.reach(sweep)
    scale = np.array([_scale(*each, size) for each in zip(spectra, sweep.each, start.tolist(), strict=True)])
    level = part.level * scale
    search = _searched(sweep, start, start + size, scale, level, reach)
    limit = -stdtrit(search.samples, ndtr(-part.sigmas)) * _medians(search.std, search.start, search.stop)
    ends = (
        *_crossings(sweep.bias, search, level, search.start, -1),
        *_crossings(sweep.bias, search, level, search.stop - 1, +1),
    )
    low, low_std, high, high_std = (end.tolist() for end in ends)
    found = {}
    for i in np.flatnonzero(search.there & (limit <= level)).tolist():
        shown = slice(max(int(search.start[i]) - 2 * reach, 0), int(search.stop[i]) + 2 * reach)
        curve = sweep.bias[shown], search.didv[i, shown]
        found[i] = BandEdges(low[i], high[i], low_std[i], high_std[i], float(level[i]), float(limit[i]), *curve)
    return found


def _scale(spectrum: Spectrum, sweep: Sweep, start: int, size: int) -> float:
    """Return the conductance of a junction at its set point, in nS; NaN where it is not known."""
    try:
        return at_setpoint(spectrum, sweep, slice(start, start + size))
    except NoValueError:
        return np.nan


def _searched(sweep: Sweep, start: Numbers, stop: Numbers, scale: Floats, level: Floats, reach: int) -> _Search:
    """Search for the gaps, the noise being measured in the quiet stretches from ``start`` to ``stop`` at first."""
    count, at, half = len(sweep.bias), np.arange(len(sweep.bias)), float(np.ptp(sweep.bias)) / 2
    blank = np.zeros(sweep.didv.shape)
    found = _Search(start.copy(), stop.copy(), blank, blank.copy(), np.ones(len(scale), dtype=int), np.isfinite(scale))
    middle, left = start, np.flatnonzero(found.there)
    for number in range(ROUNDS):
        quiet = (at >= start[left, None]) & (at < stop[left, None])
        rows = Sweep(sweep.bias, sweep.current[left], sweep.didv[left], sweep.clipped)
        noise = _noise(rows, quiet, scale[left, None], half)
        slope = FittedSlope.of(rows, noise, reach)
        found.didv[left], found.std[left], found.samples[left] = slope.didv, slope.std, noise.samples
        if number == 0:
            middle = middle.copy()
            middle[left] = np.argmin(np.where(quiet, slope.didv, np.inf), axis=1)
        below, apart = slope.didv < level[left, None], at - middle[left, None]
        found.there[left] = below[apart == 0]
        found.start[left] = np.where(~below & (apart < 0), at, -1).max(axis=1) + 1
        found.stop[left] = np.where(~below & (apart > 0), at, count).min(axis=1)
        # the feet of both edges are no noise
        inside = np.stack([found.start[left] + reach, found.stop[left] - reach])
        narrow = inside[1] - inside[0] < 2 * LEAST_REACH + 1
        inside[:, narrow] = found.start[left[narrow]], found.stop[left[narrow]]
        again = found.there[left] & ((inside[0] != start[left]) | (inside[1] != stop[left]))
        again &= inside[1] - inside[0] >= 2 * LEAST_REACH + 1
        left, inside = left[again], inside[:, again]
        if not len(left):
            break
        start, stop = start.copy(), stop.copy()
        start[left], stop[left] = inside
    return found


def _noise(sweep: Sweep, quiet: NDArray[np.bool_], scale: Floats, bias: float) -> ChannelNoise:
    """Return the noise of each sweep in its samples that are ``quiet`` (m, n), as `ChannelNoise.inside` does of one."""
    counts, least = quiet.sum(axis=1, keepdims=True), QUIETEST * scale
    free = np.maximum(counts - 2, 1)

    def about_a_line(values: Floats) -> tuple[Floats, Floats]:
        centred = np.where(quiet, sweep.bias - (quiet @ sweep.bias)[:, None] / counts, 0.0)
        mean = np.where(quiet, values, 0.0).sum(axis=1, keepdims=True) / counts
        slope = (centred * values).sum(axis=1, keepdims=True) / np.maximum((centred**2).sum(axis=1, keepdims=True), 1e-300)
        rest = np.where(quiet, values - mean, 0.0) - slope * centred
        return slope, np.sqrt((rest**2).sum(axis=1, keepdims=True) / free)

    slope, current = about_a_line(sweep.current)
    _, didv = about_a_line(sweep.didv)
    offset = np.where(quiet, sweep.didv, 0.0).sum(axis=1, keepdims=True) / counts - slope
    return ChannelNoise(np.maximum(current, least * abs(bias)), np.maximum(didv, least), offset, free[:, 0])


def _medians(values: Floats, start: Numbers, stop: Numbers) -> Floats:
    """Return the median of each row of values (m, n) from ``start`` to ``stop``, both of shape (m,)."""
    at = np.arange(values.shape[1])
    ordered = np.sort(np.where((at >= start[:, None]) & (at < stop[:, None]), values, np.inf), axis=1)
    rows, count = np.arange(len(values)), stop - start
    return (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2


def _crossings(bias: Floats, search: _Search, level: Floats, last: Numbers, step: int) -> tuple[Floats, Floats]:
    """Return where dI/dV leaves each gap after sample ``last`` in the direction ``step``, and its standard deviation."""
    rows, first = np.arange(len(last)), np.clip(last + step, 0, len(bias) - 1)
    inside, outside = search.didv[rows, last], search.didv[rows, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing, deviation = crossed(bias[last], bias[first], inside, outside, level, search.std[rows, last])
    left = (first != last) & search.there
    return np.where(left, crossing, np.nan), np.where(left, deviation, np.nan)
