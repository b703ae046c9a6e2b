"""Band edges and gap, from where the conductance leaves its noise floor.

The floor is the quietest stretch of the sweep; its level and its noise set the threshold. An edge is where the conductance
stays above it for three samples, interpolated between two samples. Unlike a line through the onset this needs no shape of the
curve, and unlike a fixed current it does not depend on the distance of the tip.
"""

from __future__ import annotations

import math

import numpy as np

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.robust import normal_deviation
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._sweep import Sweep

CONSECUTIVE = 3
"""Number of consecutive samples above the threshold that make an edge; noise does not produce as many."""

METALLIC = 0.2
"""Share of the mean conductance above which a floor is no gap; the median may lie in the gap itself, so that noise decides."""


class _Edges(ScalarizerPart):
    """The band edges on both sides of the noise floor; the three scalarizers below each return a part of them."""

    sigmas: float = setting(3.0, "", "Standard deviations of the noise floor above which a signal counts as conductance.", gt=0)
    # Keeps an edge finite in a spectrum without noise.
    least: float = setting(2e-4, "", "Smallest conductance that counts, as a share of the largest in the sweep.", gt=0, lt=1)
    stretch: float = setting(0.25, units.BIAS, "Width of the range of bias in which the noise floor is found.", gt=0)

    @property
    def units(self) -> str:
        """A bias, which is an energy over the elementary charge."""
        return units.BIAS

    def edges(self, spectrum: Spectrum) -> tuple[float, float]:
        """Return the last occupied and the first empty states, in V; NaN for an edge that the sweep does not reach.

        Raises
        ------
        NoValueError
            When the sweep has too few samples or no gap.
        """
        sweep = Sweep.of(spectrum).clear
        floor = _quietest(sweep, self.stretch)
        middle = (floor.start + floor.stop) // 2
        # the whole gap tells its noise better than the stretch: of so few samples the median deviation may be next to nothing
        for sigmas, spread in ((2 * self.sigmas, np.std), (2 * self.sigmas, normal_deviation), (self.sigmas, normal_deviation)):
            level, noise = float(np.median(sweep.didv[floor])), float(spread(sweep.didv[floor]))
            threshold = level + max(sigmas * noise, self.least * float(sweep.didv.max() - level))
            down, up = middle - _crossing(sweep.didv[middle::-1], threshold), middle + _crossing(sweep.didv[middle:], threshold)
            floor = slice(math.ceil(max(down, 0)), math.floor(min(up, len(sweep.bias) - 1)) + 1)
        low, high = np.interp([down, up], np.arange(len(sweep.bias)), sweep.bias, left=np.nan, right=np.nan)
        return float(low), float(high)

    def _edge(self, spectrum: Spectrum, which: int) -> float:
        edge = self.edges(spectrum)[which]
        if np.isnan(edge):
            end = Sweep.of(spectrum).clear.bias[-which]
            raise NoValueError(f"the {('valence', 'conduction')[which]} band is not reached up to {end:g} V")
        return edge


class Gap(_Edges):
    """Conduction edge minus valence edge, in V."""

    name: str = "gap"

    def value(self, spectrum: Spectrum) -> float:
        """Return the gap, in V.

        Raises
        ------
        NoValueError
            When there is no gap, or an edge lies outside of the sweep.
        """
        return self._edge(spectrum, 1) - self._edge(spectrum, 0)


class ValenceEdge(_Edges):
    """Bias at which the occupied states end, in V."""

    name: str = "valence_edge"

    def value(self, spectrum: Spectrum) -> float:
        """Return the edge below the floor, in V.

        Raises
        ------
        NoValueError
            When there is no gap, or the edge lies outside of the sweep.
        """
        return self._edge(spectrum, 0)


class ConductionEdge(_Edges):
    """Bias at which the empty states begin, in V."""

    name: str = "conduction_edge"

    def value(self, spectrum: Spectrum) -> float:
        """Return the edge above the floor, in V.

        Raises
        ------
        NoValueError
            When there is no gap, or the edge lies outside of the sweep.
        """
        return self._edge(spectrum, 1)


def _quietest(sweep: Sweep, stretch: float) -> slice:
    """Return the stretch of samples with the least conductance and spread."""
    size = max(5, round(stretch / max(float(np.median(np.diff(sweep.bias))), 1e-12)) + 1) if len(sweep.bias) > 1 else 5
    if len(sweep.bias) < size + 2 * CONSECUTIVE:
        raise NoValueError(f"{len(sweep.bias)} samples are too few to tell a floor from its edges")
    windows = np.lib.stride_tricks.sliding_window_view(sweep.didv, size)
    level = np.median(windows, axis=1)
    start = int(np.argmin(level + np.ptp(windows, axis=1)))
    if level[start] > max(METALLIC * np.abs(sweep.didv).mean(), np.ptp(windows[start])):
        raise NoValueError(f"no gap: the conductance does not fall below {level[start]:.3g} nS")
    return slice(start, start + size)


def _crossing(didv: Floats, threshold: float) -> float:
    """Return the number of samples (also a fraction) up to where the curve leaves the floor; inf where it does not."""
    lasting = np.convolve(didv > threshold, np.ones(CONSECUTIVE))[CONSECUTIVE - 1 :] == CONSECUTIVE
    if not lasting.any():
        return float("inf")
    if (first := int(np.argmax(lasting))) == 0:
        return 0.0
    return first - 1 + float((threshold - didv[first - 1]) / (didv[first] - didv[first - 1]))
