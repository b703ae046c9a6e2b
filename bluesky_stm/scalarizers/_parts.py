"""Scalars of a part of the spectrum: an integral, the conductance at one bias, a peak, the weight inside the gap."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.scalarizers._base import NoValueError
from bluesky_stm.scalarizers._edges import WINDOW
from bluesky_stm.scalarizers._normalized import CurveScalarizer
from bluesky_stm.scalarizers._sweep import Sweep
from bluesky_stm.settings import Range


class Integral(CurveScalarizer):
    """Integral of ``channel`` ("current" or "didv") over the bias range ``between``, in V; the unit is nA V, or nA."""

    name: str = "integral"
    between: Range = setting(..., units.BIAS, "Range of bias that is integrated.")
    channel: Literal["current", "didv"] = setting("didv", "", "Channel that is integrated.")

    @model_validator(mode="after")
    def _of_didv(self) -> Self:
        if self.normalized and self.channel != "didv":
            raise ValueError("only dI/dV is normalised: take channel 'didv', or normalized=false")
        return self

    @property
    @override
    def units(self) -> str:
        if self.channel == "current":
            return f"{units.CURRENT} {units.BIAS}"
        return units.BIAS if self.normalized else units.CURRENT

    def value(self, spectrum: Spectrum) -> float:
        """Return the integral by the trapezoidal rule.

        Raises
        ------
        NoValueError
            When the sweep does not cover the range, or is clipped there.
        """
        part = self.sweep(spectrum).between(*self.between)
        return float(np.trapezoid(getattr(part, self.channel), part.bias))

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        channel = self.channel if self.channel == "current" else self.curve_channel
        return [Mark.window("integrated", *self.between, channel)]


class Conductance(CurveScalarizer):
    """Mean dI/dV over ``width`` V around ``bias``, in nS; at 0 V it is the zero-bias conductance."""

    name: str = "conductance"
    bias: float = setting(0.0, units.BIAS, "Bias at which the conductance is read; 0 V for the zero-bias conductance.")
    width: float | None = setting(
        None,
        units.BIAS,
        "Full width of the window over which dI/dV is averaged; by default a thirtieth of the sweep, three samples at least.",
        gt=0,
    )

    @property
    @override
    def units(self) -> str:
        return self.curve_units

    def value(self, spectrum: Spectrum) -> float:
        """Return the mean over the window, in nS.

        Raises
        ------
        NoValueError
            When the sweep does not cover the window, or is clipped there.
        """
        low, high = self._window(sweep := self.sweep(spectrum))
        return float(sweep.between(low, high).didv.mean())

    def _window(self, sweep: Sweep) -> tuple[float, float]:
        width = sweep.share(WINDOW) if self.width is None else self.width
        return self.bias - width / 2, self.bias + width / 2

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        low, high = self._window(self.sweep(spectrum))
        mean = self.value(spectrum)
        window = Mark.window("averaged", low, high, self.curve_channel)
        return [window, Mark.curve("mean", (low, high), (mean, mean), self.curve_channel)]


class InGapWeight(CurveScalarizer):
    """Integral of dI/dV over ``between`` (V), where a pristine sample has none, divided by that over ``of``."""

    name: str = "in_gap_weight"
    between: Range = setting(..., units.BIAS, "Range of bias inside the gap.")
    of: Range = setting(..., units.BIAS, "Range of bias to which the weight is related.")

    @property
    @override
    def units(self) -> str:
        return ""

    def value(self, spectrum: Spectrum) -> float:
        """Return the ratio of the two integrals.

        Raises
        ------
        NoValueError
            When the sweep does not cover a range, is clipped there, or has no conductance in the wider one.
        """
        inside, whole = (self._integral(spectrum, ends) for ends in (self.between, self.of))
        if not whole > 0:
            raise NoValueError(f"there is no conductance between {self.of[0]:g} and {self.of[1]:g} V")
        return inside / whole

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        both = ("related to this", self.of), ("weight of this", self.between)
        return [Mark.window(label, *ends, self.curve_channel) for label, ends in both]

    def _integral(self, spectrum: Spectrum, ends: tuple[float, float]) -> float:
        part = self.sweep(spectrum).between(*ends)
        return float(np.trapezoid(part.didv, part.bias))


class _Peak(CurveScalarizer):
    """The highest maximum of dI/dV inside ``between`` (V), smoothed over ``smoothing`` samples (a parabola)."""

    between: Range = setting(..., units.BIAS, "Range of bias in which the peak is sought.")
    smoothing: int = setting(5, "", "Samples of the parabola with which dI/dV is smoothed.", ge=3)

    def _smooth(self, spectrum: Spectrum) -> tuple[Floats, Floats]:
        """Return bias and smoothed curve in the range."""
        from scipy.signal import savgol_filter

        part = self.sweep(spectrum).between(*self.between)
        return part.bias, savgol_filter(part.didv, self.smoothing, 2) if len(part.didv) > self.smoothing else part.didv

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        searched = Mark.window("searched for a peak", *self.between, self.curve_channel)
        smooth = Mark.curve("smoothed", *self._smooth(spectrum), self.curve_channel)
        try:
            peak = Mark.point("peak", *self._peak(spectrum), self.curve_channel)
        except NoValueError:
            return [searched, smooth]
        return [searched, smooth, peak]

    def _peak(self, spectrum: Spectrum) -> tuple[float, float]:
        bias, curve = self._smooth(spectrum)
        top = int(np.argmax(curve))
        if top in {0, len(curve) - 1}:
            raise NoValueError(f"dI/dV has no maximum inside {self.between[0]:g} to {self.between[1]:g} V")
        return vertex(bias[top - 1 : top + 2], curve[top - 1 : top + 2])


class PeakPosition(_Peak):
    """Bias of the peak, in V."""

    name: str = "peak_position"

    @property
    @override
    def units(self) -> str:
        return units.BIAS

    def value(self, spectrum: Spectrum) -> float:
        """Return the bias of the peak, in V.

        It is the vertex of the parabola through the highest sample and its neighbours.

        Raises
        ------
        NoValueError
            When the largest dI/dV lies at an end of the range.
        """
        return self._peak(spectrum)[0]


class PeakHeight(_Peak):
    """dI/dV of the peak, in nS."""

    name: str = "peak_height"

    @property
    @override
    def units(self) -> str:
        return self.curve_units

    def value(self, spectrum: Spectrum) -> float:
        """Return the dI/dV of the peak, in nS.

        It is that of the vertex of the parabola through the highest sample and its neighbours.

        Raises
        ------
        NoValueError
            When the largest dI/dV lies at an end of the range.
        """
        return self._peak(spectrum)[1]


def vertex(x: Floats, y: Floats) -> tuple[float, float]:
    """Return place and height of the top of the parabola through three samples; the middle one where it has none."""
    a, b, c = np.polyfit(x - x[1], y, 2)
    return (float(x[1] - b / (2 * a)), float(c - b**2 / (4 * a))) if a < 0 else (float(x[1]), float(y[1]))
