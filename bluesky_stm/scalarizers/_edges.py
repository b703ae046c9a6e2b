"""Band edges and gap, as contours of the conductance that follow the set point, with what the noise lets be seen.

An edge is where dI/dV reaches ``level`` times the conductance that the junction has at its set point, ``|I / V|``. A tip that
stands closer, or a set point that was missed by a few per cent, changes both alike. What remains is that the barrier
lets states of different energy decay differently with the distance of the tip.

dI/dV is that of current and lock-in together (`FittedSlope`). Where the noise would hide a conductance of that level there
is no edge to be found, and no value: a state in the gap could not have been seen. The message says what could have been seen,
and at which set point the edges could be.

Measured on the simulated EuZn2As2 (``tests/physics/test_gap.py``) at set points from 0.05 to 1 nA, -1.5 V: the gap of the
terrace is 1.585 to 1.598 V on a good day; on a bad day it has none below 0.1 nA, and 1.582 to 1.596 V from there on.

A set point of the other polarity is another contour: where the conduction band carries fifty times the current of the valence
band, ``level`` times the conductance at +1.5 V is more than the valence band ever has.

The edges of the bands themselves lie inside of the contours, by 0.05 to 0.15 V here: conductance rises from them with about the
square of the distance. Extrapolations to that edge, linear as in the published runs (`BandgapSlopefit`) or of the square root,
depend on the part of the curve to which a line is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.robust import median
from bluesky_stm.scalarizers._above_noise import OnsetsAboveNoise
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._slope import LEAST_REACH, ChannelNoise, FittedSlope
from bluesky_stm.scalarizers._sweep import Sweep

QUIET: Final = 1 / 12
"""Share of the sweep that is searched for the quietest stretch, in which the gap is assumed: 0.25 V of 3 V."""

WINDOW: Final = 1 / 30
"""Share of the sweep within which dI/dV is fitted, if not said otherwise: 0.1 V of 3 V."""

ROUNDS: Final = 4
"""How often the noise is measured inside the gap that was found with it; the second round seldom changes anything."""


@dataclass(frozen=True)
class BandEdges:
    """The edges on both sides of the gap, in V.

    Attributes
    ----------
    valence, conduction : float
        Last occupied and first empty states; NaN for an edge that the sweep does not reach.
    valence_std, conduction_std : float
        Standard deviations.
    level : float
        Conductance at which the edges are, in nS.
    limit : float
        Smallest conductance that the noise lets be seen, in nS.
    bias, didv : ndarray of shape (n,)
        Bias, in V, and fitted dI/dV, in nS, inside the gap and at its edges, as far as their noise was judged.
    """

    valence: float
    conduction: float
    valence_std: float
    conduction_std: float
    level: float
    limit: float
    bias: Floats = field(repr=False, compare=False)
    didv: Floats = field(repr=False, compare=False)


class EdgesPart(ScalarizerPart):
    """The band edges on both sides of the gap; the three scalarizers below each return a part of them.

    `marks_of_all` finds them in many spectra at once.
    """

    # On a good day 0.3 is twice what 0.05 nA lets be seen; a state in the gap of the triangles reaches 1.6.
    level: float = setting(
        0.3,
        "",
        "Conductance at which an edge is, as a share of that at the set point, |I/V|: the smallest state looked for.",
        gt=0,
    )
    sigmas: float = setting(
        4.0, "", "Standard deviations of the noise that this conductance must exceed, or there is no value.", gt=0
    )
    window: float | None = setting(
        None,
        units.BIAS,
        "Width within which dI/dV is fitted; by default a thirtieth of the sweep. Five samples at least.",
        gt=0,
    )

    former: ClassVar[Literal["gap", "valence", "conduction"]]
    """What a run of the first days meant by the name."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Take an instance as it is, or make one of a mapping; see `Settings.parse`.

        A run of the first days names ``least`` and ``stretch``: its values were the onsets above the noise, and still are.
        """
        if isinstance(value, Mapping) and {"least", "stretch"} & set(value):
            named = {**value, "name": OnsetsAboveNoise.model_fields["name"].default, "which": cls.former}
            return OnsetsAboveNoise.parse(named)  # type: ignore[return-value]
        return super().parse(value)

    @property
    @override
    def units(self) -> str:
        return units.BIAS

    def edges(self, spectrum: Spectrum) -> BandEdges:
        """Return both edges.

        Raises
        ------
        NoValueError
            When the sweep has too few samples or no gap, or when its noise hides the conductance at which the edges are.
        """
        return _found(self, spectrum)

    def _find(self, spectrum: Spectrum) -> BandEdges:
        from scipy.special import ndtr, stdtrit

        sweep = Sweep.of(spectrum).clear
        first, size = quietest(sweep)
        quiet = slice(int(first), int(first) + size)
        scale = at_setpoint(spectrum, sweep, quiet)
        level, reach = self.level * scale, self.reach(sweep)
        slope, gap, noise = self._gap(sweep, quiet, scale, level, reach)
        # So few samples do not tell their noise well: Student's factor instead of the normal one
        factor = -float(stdtrit(noise.samples, ndtr(-self.sigmas)))
        limit = factor * median(slope.std[gap])
        if limit > level:
            asked = spectrum.setpoint.current
            raise NoValueError(
                f"the noise hides conductances below {limit:.2g} nS, and the edges are where dI/dV reaches {level:.2g} nS, "
                f"{self.level:g} of that at the set point of {asked:g} nA: from about {asked * limit / level:.2g} nA on they "
                "could be seen"
            )
        low, low_std = _crossing(sweep.bias, slope, level, gap.start, -1)
        high, high_std = _crossing(sweep.bias, slope, level, gap.stop - 1, +1)
        shown = slice(max(gap.start - 2 * reach, 0), gap.stop + 2 * reach)
        return BandEdges(low, high, low_std, high_std, level, limit, sweep.bias[shown], slope.didv[shown])

    def reach(self, sweep: Sweep) -> int:
        """Return the number of samples of a window on either side.

        Parameters
        ----------
        sweep : Sweep
            Its biases say how many lie within the window.
        """
        window = np.ptp(sweep.bias) * WINDOW if self.window is None else self.window
        return max(LEAST_REACH, round(window / 2 / max(median(np.diff(sweep.bias)), 1e-12)))

    def _gap(
        self, sweep: Sweep, quiet: slice, scale: float, level: float, reach: int
    ) -> tuple[FittedSlope, slice, ChannelNoise]:
        """Return dI/dV, the samples around the quietest stretch where it stays below ``level``, and the noise there."""
        middle = None
        for _ in range(ROUNDS):
            noise = ChannelNoise.inside(sweep[quiet], scale, float(np.ptp(sweep.bias)) / 2)
            slope = FittedSlope.of(sweep, noise, reach)
            if middle is None:
                middle = quiet.start + int(np.argmin(slope.didv[quiet]))
            below = slope.didv < level
            if not below[middle]:
                least = float(slope.didv[middle])
                raise NoValueError(
                    f"no gap: dI/dV does not fall below {least:.3g} nS, and the edges are where it reaches {level:.3g} nS"
                )
            gap = slice(
                middle - int(np.argmin(np.append(below[middle::-1], False))) + 1,
                middle + int(np.argmin(np.append(below[middle:], False))),
            )
            # the feet of both edges are no noise
            narrower = slice(gap.start + reach, gap.stop - reach)
            inside = narrower if narrower.stop - narrower.start >= 2 * LEAST_REACH + 1 else gap
            if inside == quiet or inside.stop - inside.start < 2 * LEAST_REACH + 1:
                break
            quiet = inside
        return slope, gap, noise

    shown: ClassVar[tuple[str, ...]]
    """Edges of which the value is made."""

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        return self.marked(self.edges(spectrum))

    def marked(self, found: BandEdges) -> list[Mark]:
        """Return what is drawn of edges that were found.

        Parameters
        ----------
        found : BandEdges
            As of `edges`.
        """
        ends = [(f"{which} edge", getattr(found, which), getattr(found, f"{which}_std")) for which in self.shown]
        return [
            Mark.curve("dI/dV fitted to current and lock-in", found.bias, found.didv),
            Mark.level(f"level of the edges, {self.level:g} of |I/V| at the set point", found.level),
            Mark.level("detection limit", found.limit),
            *(Mark.edge(label, at, std=std) for label, at, std in ends if not np.isnan(at)),
        ]

    def deviation(self, spectrum: Spectrum) -> float:
        """Return the standard deviation of the value, in V, by the noise of both channels."""
        try:
            return self._deviation(self.edges(spectrum))
        except NoValueError:
            return float("nan")

    def _deviation(self, found: BandEdges) -> float:
        raise NotImplementedError

    def _reached(self, which: str, spectrum: Spectrum, found: BandEdges) -> float:
        """Return the edge ``which`` ("valence", "conduction"), in V, or say that the sweep does not reach it."""
        edge = float(getattr(found, which))
        if np.isnan(edge):
            bias = Sweep.of(spectrum).clear.bias
            raise NoValueError(
                f"the {which} band is not reached up to {bias[0 if which == 'valence' else -1]:g} V: dI/dV stays below "
                f"{found.level:.2g} nS, {self.level:g} of that at the set point of {spectrum.setpoint.bias:g} V"
            )
        return edge


@lru_cache(maxsize=2)
def _found(part: EdgesPart, spectrum: Spectrum) -> BandEdges:
    """Return the edges of a spectrum, which are asked for twice: for a value and for its deviation."""
    return part._find(spectrum)  # noqa: SLF001


class Gap(EdgesPart):
    """Conduction edge minus valence edge, in V: between them dI/dV stays below ``level`` times that at the set point."""

    name: str = "gap"
    former: ClassVar[Literal["gap", "valence", "conduction"]] = "gap"
    shown: ClassVar[tuple[str, ...]] = ("valence", "conduction")

    def value(self, spectrum: Spectrum) -> float:
        """Return the gap, in V.

        Raises
        ------
        NoValueError
            When there is no gap, an edge lies outside of the sweep, or the noise hides both.
        """
        found = self.edges(spectrum)
        return self._reached("conduction", spectrum, found) - self._reached("valence", spectrum, found)

    def _deviation(self, found: BandEdges) -> float:
        return float(np.hypot(found.valence_std, found.conduction_std))


class ValenceEdge(EdgesPart):
    """Bias at which the occupied states end, in V."""

    name: str = "valence_edge"
    former: ClassVar[Literal["gap", "valence", "conduction"]] = "valence"
    shown: ClassVar[tuple[str, ...]] = ("valence",)

    def value(self, spectrum: Spectrum) -> float:
        """Return the edge below the gap, in V.

        Raises
        ------
        NoValueError
            When there is no gap, the edge lies outside of the sweep, or the noise hides it.
        """
        return self._reached("valence", spectrum, self.edges(spectrum))

    def _deviation(self, found: BandEdges) -> float:
        return found.valence_std


class ConductionEdge(EdgesPart):
    """Bias at which the empty states begin, in V."""

    name: str = "conduction_edge"
    former: ClassVar[Literal["gap", "valence", "conduction"]] = "conduction"
    shown: ClassVar[tuple[str, ...]] = ("conduction",)

    def value(self, spectrum: Spectrum) -> float:
        """Return the edge above the gap, in V.

        Raises
        ------
        NoValueError
            When there is no gap, the edge lies outside of the sweep, or the noise hides it.
        """
        return self._reached("conduction", spectrum, self.edges(spectrum))

    def _deviation(self, found: BandEdges) -> float:
        return found.conduction_std


def quietest(sweep: Sweep) -> tuple[NDArray[np.intp], int]:
    """Return the stretch of samples with the least conductance and spread.

    Parameters
    ----------
    sweep : Sweep
        One sweep, or several like ones.

    Returns
    -------
    first : ndarray of int of shape () or (m,)
        First sample of the stretch, of each sweep.
    size : int
        Number of its samples.

    Raises
    ------
    NoValueError
        When there are too few samples.
    """
    count = len(sweep.bias)
    size = max(2 * LEAST_REACH + 1, round(QUIET * count) + 1)
    if count < size + 2 * LEAST_REACH + 2:
        raise NoValueError(f"{count} samples are too few to tell a gap from its edges")
    windows = np.lib.stride_tricks.sliding_window_view(sweep.didv, size, axis=-1)
    return np.asarray(np.argmin(np.median(windows, axis=-1) + np.ptp(windows, axis=-1), axis=-1)), size


def at_setpoint(spectrum: Spectrum, sweep: Sweep, quiet: slice) -> float:
    """Return the conductance of the junction at its set point, |I/V|, in nS.

    Where the sweep passes the bias of the set point, the current is the one measured there, less that inside the gap, which is
    the offset of the preamplifier: a tip that was held a few per cent off is scaled alike.

    Parameters
    ----------
    spectrum : Spectrum
        Says its set point.
    sweep : Sweep
        Its samples.
    quiet : slice
        Samples inside the gap.

    Raises
    ------
    NoValueError
        When bias or current of the set point is not known, or nothing.
    """
    bias, current = spectrum.setpoint.bias, abs(spectrum.setpoint.current)
    if sweep.bias[0] <= bias + 1e-9 and bias - 1e-9 <= sweep.bias[-1]:
        current = abs(float(np.interp(bias, sweep.bias, sweep.current) - median(sweep.current[quiet])))
    if not (bias != 0 and np.isfinite(bias) and current > 0 and np.isfinite(current)):
        raise NoValueError(f"there is no conductance at the set point of {bias:g} V, {current:g} nA to compare with")
    return current / abs(bias)


def _crossing(bias: Floats, slope: FittedSlope, level: float, last: int, step: int) -> tuple[float, float]:
    """Return where dI/dV leaves a gap, and its standard deviation; NaN where it does not.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        In V.
    slope : FittedSlope
        dI/dV at these biases.
    level : float
        Conductance at the edge, in nS.
    last : int
        Last sample inside the gap.
    step : {-1, +1}
        Direction out of the gap.
    """
    first = last + step
    if not 0 <= first < len(bias):
        return float("nan"), float("nan")
    at, std = crossed(bias[last], bias[first], slope.didv[last], slope.didv[first], level, slope.std[last])
    return float(at), float(std)


def crossed(
    near: Floats, far: Floats, inside: Floats, outside: Floats, level: Floats | float, std: Floats
) -> tuple[Floats, Floats]:
    """Return where a straight line between two samples reaches a level, and the standard deviation of that; any shape.

    Parameters
    ----------
    near, far : ndarray
        Bias of the samples, in V.
    inside, outside : ndarray
        Their dI/dV, below the level and above it, in nS.
    level : ndarray or float
        In nS.
    std : ndarray
        Standard deviation of dI/dV at the first sample, in nS.
    """
    apart, rise = far - near, outside - inside
    # a curve between two samples is known to a part of their distance only: that of a uniform distribution over half of it
    between = np.abs(apart) / 2 / np.sqrt(12)
    return near + (level - inside) / rise * apart, np.hypot(std * np.abs(apart) / rise, between)
