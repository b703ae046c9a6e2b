"""The gap between the onsets of conductance above the noise: what `Gap` was in the first runs, kept so that they replay.

It is the gap at the detection limit, as the onsets of the published data were read [1]_: with the noise of a good day the
terrace of EuZn2As2 has 1.87 V at 0.02 nA and 1.51 V at 1 nA. `Gap` does not depend on the set point.

References
----------
.. [1] G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), doi:10.1038/s41524-025-01642-1
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.robust import normal_deviation
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._sweep import Sweep

CONSECUTIVE = 3
"""Number of consecutive samples above the threshold that make an onset; noise does not produce as many."""

METALLIC = 0.2
"""Share of the mean conductance above which a floor is no gap; the median may lie in the gap itself, so that noise decides."""


class OnsetsAboveNoise(ScalarizerPart):
    """Gap or edge where dI/dV leaves its noise floor, in V; it depends on the noise and on the set point. See `Gap`."""

    name: str = "onsets_above_noise"
    which: Literal["gap", "valence", "conduction"] = setting("gap", "", "The gap, or one of its edges.")
    sigmas: float = setting(3.0, "", "Standard deviations of the noise floor above which a signal counts as conductance.", gt=0)
    # Keeps an onset finite in a spectrum without noise.
    least: float = setting(2e-4, "", "Smallest conductance that counts, as a share of the largest in the sweep.", gt=0, lt=1)
    stretch: float = setting(0.25, units.BIAS, "Width of the range of bias in which the noise floor is found.", gt=0)

    @property
    @override
    def units(self) -> str:
        return units.BIAS

    def value(self, spectrum: Spectrum) -> float:
        """Return the gap, or the edge, in V.

        Raises
        ------
        NoValueError
            When the sweep has too few samples or no gap, or an edge lies outside of it.
        """
        sweep = Sweep.of(spectrum).clear
        low, high, _ = self._onsets(sweep)
        edges = [low, high] if self.which == "gap" else [low if self.which == "valence" else high]
        if np.isnan(low) and self.which != "conduction":
            raise NoValueError(f"the valence band is not reached up to {sweep.bias[0]:g} V")
        if np.isnan(edges[-1]):
            raise NoValueError(f"the conduction band is not reached up to {sweep.bias[-1]:g} V")
        return edges[-1] - edges[0] if self.which == "gap" else edges[0]

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        low, high, threshold = self._onsets(Sweep.of(spectrum).clear)
        ends = {"valence": [low], "conduction": [high], "gap": [low, high]}[self.which]
        return [
            Mark.level("threshold above the noise floor", threshold),
            *(Mark.edge("onset above the noise", at) for at in ends if not np.isnan(at)),
        ]

    def _onsets(self, sweep: Sweep) -> tuple[float, float, float]:
        """Return the last occupied and the first empty states, in V, and the threshold, in nS.

        An onset that the sweep does not reach is NaN.
        """
        floor = _quietest(sweep, self.stretch)
        middle = (floor.start + floor.stop) // 2
        # the whole gap tells its noise better than the stretch: of so few samples the median deviation may be next to nothing
        for sigmas, spread in ((2 * self.sigmas, np.std), (2 * self.sigmas, normal_deviation), (self.sigmas, normal_deviation)):
            level, noise = float(np.median(sweep.didv[floor])), float(spread(sweep.didv[floor]))
            threshold = level + max(sigmas * noise, self.least * float(sweep.didv.max() - level))
            down, up = middle - _crossing(sweep.didv[middle::-1], threshold), middle + _crossing(sweep.didv[middle:], threshold)
            floor = slice(math.ceil(max(down, 0)), math.floor(min(up, len(sweep.bias) - 1)) + 1)
        low, high = np.interp([down, up], np.arange(len(sweep.bias)), sweep.bias, left=np.nan, right=np.nan)
        return float(low), float(high), threshold


def _quietest(sweep: Sweep, stretch: float) -> slice:
    """Return the stretch of samples with the least conductance and spread."""
    size = max(5, round(stretch / max(float(np.median(np.diff(sweep.bias))), 1e-12)) + 1) if len(sweep.bias) > 1 else 5
    if len(sweep.bias) < size + 2 * CONSECUTIVE:
        raise NoValueError(
            f"{len(sweep.bias)} samples over {np.ptp(sweep.bias):.3g} V are too few, or too narrow, "
            f"to tell a floor of {stretch:g} V from its edges"
        )
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
