"""The scalars of the published runs, as they were computed [1]_; where a gap has another number, `BandgapSlopefit` says.

Their flaws are kept, since the purpose is to compare: the area leaves out the last sample, the ratio integrates the lock-in
with its offset, and clipped samples count as they are. Units differ: nA and V here, A and V in the published files.

References
----------
.. [1] G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), doi:10.1038/s41524-025-01642-1
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart

SMOOTHING = 4
"""Number of samples of the trailing mean that precedes the slope fit."""

UNSEEN, FALLING = 0.0, -4.0
"""Onsets, in V, that the published code gives to a side with too few samples below the threshold, and without a rising line."""

LEAST_SLOPE = 0.1
"""Slope that a window must exceed, in 1/V of the curve scaled to 0..1."""


class PositiveChannelArea(ScalarizerPart):
    """Current integrated over the positive bias values, the last sample of the sweep left out; nA V."""

    name: str = "positive_channel_area"

    refused: ClassVar[Quality] = ScalarizerPart.refused & ~Quality.UNMODULATED

    @property
    @override
    def units(self) -> str:
        return f"{units.CURRENT} {units.BIAS}"

    def value(self, spectrum: Spectrum) -> float:
        """Return the integral over V > 0 by the trapezoidal rule, in nA V.

        Raises
        ------
        NoValueError
            When the sweep ended early.
        """
        bias, current = spectrum.bias[:-1], spectrum.current[:-1]
        positive = bias > 0
        return _area(bias[positive], current[positive])

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        positive = spectrum.bias[:-1][spectrum.bias[:-1] > 0]
        return [Mark.window("integrated", positive.min(), positive.max(), "current")] if len(positive) else []


class AreaRatio(ScalarizerPart):
    """Ratio of two areas of the raw lock-in, over 0 to ``narrow`` V and over 0 to ``wide`` V, plus ``offset``."""

    name: str = "area_ratio"
    narrow: float = setting(0.5, units.BIAS, "Upper end of the range above the fraction line, which begins at 0 V.", gt=0)
    wide: float = setting(1.5, units.BIAS, "Upper end of the range below the fraction line, which begins at 0 V.", gt=0)
    offset: float = setting(0.0, "", "Number that is added to the ratio.")

    @property
    @override
    def units(self) -> str:
        return ""

    def value(self, spectrum: Spectrum) -> float:
        """Return the ratio; both ends of a range belong to it.

        Raises
        ------
        NoValueError
            When the sweep ended before a range.
        """
        return self.offset + self._part(spectrum, self.narrow) / self._part(spectrum, self.wide)

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        both = ("divided by this area", self.wide), ("area", self.narrow)
        return [Mark.window(label, 0.0, end, "lockin_x") for label, end in both]

    def _part(self, spectrum: Spectrum, end: float) -> float:
        inside = (spectrum.bias >= 0) & (spectrum.bias <= end)
        return _area(spectrum.bias[inside], spectrum.lockin_x[inside])


class BandgapSlopefit(ScalarizerPart):
    """Gap from straight lines through the onsets of the raw lock-in, in V.

    On each side of zero the smoothed curve is scaled to 0..1 and kept until it exceeds ``threshold``. The window of
    ``window`` V that a straight line fits best gives the onset, where that line meets zero. The gap is the sum of both onsets.

    A side may have no onset. The published code [1]_ then goes on with a number: with 0 where at most two samples lie below the
    threshold (of a side that is noise alone, scaled to 0..1, few do), and with -4 V where not even the line through its first
    window rises. The sum is a "gap" of one side alone, 0.95 to 1.15 V on the second region of figure 3, which is less than
    that of the clean terrace: an agent that seeks small gaps is led there. Here such a spectrum has no value, unless
    ``failed="published"`` asks for the number of the published code. Where both give a value they agree to rounding.
    """

    name: str = "bandgap_slopefit"
    window: float = setting(0.2, units.BIAS, "Width of the window in which a straight line is fitted.", gt=0)
    threshold: float = setting(0.2, "", "Height, as a share of the largest, up to which the curve is fitted.", gt=0, le=1)
    failed: Literal["none", "published"] = setting(
        "none", "", "A side without onset gives no value, or the 0 or -4 V of the published code, for comparisons."
    )

    @property
    @override
    def units(self) -> str:
        return units.BIAS

    def value(self, spectrum: Spectrum) -> float:
        """Return the sum of both onsets, in V.

        Raises
        ------
        NoValueError
            When no line rises on one of the sides.
        """
        (below, under), (above, over) = self._sides(spectrum)
        return self._onset(below, under) + self._onset(above, over)

    def _sides(self, spectrum: Spectrum) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """Return the magnitude of the bias and the smoothed lock-in below zero bias, and the same above it."""
        bias, smooth = spectrum.bias, np.maximum(_trailing_mean(spectrum.lockin_x), 0)
        below, above = bias < 0, bias >= 0
        return (-bias[below][::-1], smooth[below][::-1]), (bias[above], smooth[above])

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        marks = [Mark.curve("smoothed lock-in", spectrum.bias, np.maximum(_trailing_mean(spectrum.lockin_x), 0), "lockin_x")]
        for sign, (bias, curve) in zip((-1, 1), self._sides(spectrum), strict=True):
            marks.append(Mark.level("threshold of the fit", curve.min() + self.threshold * np.ptp(curve), "lockin_x"))
            try:
                marks.append(Mark.edge("onset of the straight line", sign * self._onset(bias, curve), "lockin_x"))
            except NoValueError:
                continue
        return marks

    def _onset(self, bias: Floats, curve: Floats) -> float:
        published = self.failed == "published"
        if len(bias) < 3 or not np.ptp(curve) > 0:
            if published and np.isfinite(curve).all():
                return UNSEEN
            raise NoValueError("the lock-in does not rise on both sides of zero bias")
        scaled = (curve - curve.min()) / np.ptp(curve)
        above = np.flatnonzero(scaled > self.threshold)
        kept = above[0] if len(above) else len(scaled)
        if published and kept <= 2:
            return UNSEEN
        found = _best_intercept(bias[:kept], scaled[:kept], int(self.window / (bias[1] - bias[0])), published)
        if found is None and not published:
            raise NoValueError("no straight line rises from the gap")
        return FALLING if found is None else found


def _best_intercept(bias: Floats, curve: Floats, size: int, shorter: bool) -> float | None:
    """Return where the best of the lines through windows of ``size`` samples meets zero; None where none rises.

    Parameters
    ----------
    bias, curve : ndarray of shape (n,)
        Magnitude of the bias, in V, and lock-in, scaled.
    size : int
        Samples of a window.
    shorter : bool
        True to take all samples where they are fewer than a window, as the published code does.
    """
    count = len(bias) - size
    if count < 1 or size < 2:
        return _intercept(bias[:size], curve[:size]) if shorter else None
    slopes, intercepts, fitness = _lines(bias, curve, size, count)
    rising = slopes > LEAST_SLOPE
    best = int(np.argmax(np.where(rising, fitness, -1.0))) if rising.any() else 0
    return float(-intercepts[best] / slopes[best]) if slopes[best] > 0 else None


def _lines(bias: Floats, curve: Floats, size: int, count: int) -> tuple[Floats, Floats, Floats]:
    """Return slope, intercept and squared correlation of the lines through the first ``count`` windows of ``size`` samples."""
    x, y = sliding_window_view(bias, size)[:count], sliding_window_view(curve, size)[:count]
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    across, along, down = (dx * dy).sum(axis=1), (dx * dx).sum(axis=1), (dy * dy).sum(axis=1)
    slopes = across / along
    fitness = np.divide(across**2, along * down, out=np.zeros_like(down), where=down > 0)
    return slopes, y.mean(axis=1) - slopes * x.mean(axis=1), fitness


def _intercept(bias: Floats, curve: Floats) -> float | None:
    """Return where the line through all samples meets zero; None where it does not rise."""
    if len(bias) < 2:
        return None
    slopes, intercepts, _ = _lines(bias, curve, len(bias), 1)
    return float(-intercepts[0] / slopes[0]) if slopes[0] > 0 else None


def _trailing_mean(values: Floats) -> Floats:
    total = np.cumsum(np.concatenate([np.zeros(SMOOTHING), values]))
    count = np.minimum(np.arange(1, len(values) + 1), SMOOTHING)
    return (total[SMOOTHING:] - total[:-SMOOTHING]) / count


def _area(bias: Floats, values: Floats) -> float:
    if len(bias) < 2 or not np.isfinite(values).all():
        raise NoValueError("the sweep ended before the range it is asked for")
    return float(np.trapezoid(values, bias))
