"""The gap of a superconductor, by a fit of Dynes' formula, and the distance of its coherence peaks.

dI/dV is Dynes' density of states, |Re (E + iG) / sqrt((E + iG)**2 - D**2)| with the gap D and the broadening G [1]_, at the
resolution that temperature and modulation leave, on a normal conductance that changes smoothly with the bias. Left out of the
model, a temperature of 1.2 K makes the broadening of a gap of 1.1 meV three times too large.

The broadening is sought on a logarithmic scale: it enters squared, so that a search that begins at zero stays there and calls
that certain.

References
----------
.. [1] R. C. Dynes, V. Narayanamurti, J. P. Garno, Phys. Rev. Lett. 41, 1509 (1978), doi:10.1103/PhysRevLett.41.1509
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Literal

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._line_fit import fit_line
from bluesky_stm.scalarizers._noise import deviations
from bluesky_stm.scalarizers._parts import vertex
from bluesky_stm.scalarizers._smearing import ResolvedScalarizer, Smearing
from bluesky_stm.scalarizers._sweep import Sweep

NORMAL: Final = 1.3
"""Bias, in units of the gap, that a sweep has to reach on either side, so that it shows the normal conductance."""

STARTS: Final = (np.geomspace(0.08, 0.8, 8), (0.05, 0.5))
"""Gaps, in units of half the sweep, and broadenings, in units of the gap, among which the search begins."""

ASKEW: Final = 0.15
"""Sum of the biases of both peaks, in units of their distance, beyond which they belong to different things."""

LEAST_SAMPLES: Final = 20
"""Number of samples of a sweep that can show two peaks."""


@dataclass(frozen=True)
class DynesFit:
    """A superconducting gap.

    Attributes
    ----------
    gap, broadening : float
        In eV.
    gap_std, broadening_std : float
        Standard deviations by the noise, in eV.
    bias, didv : ndarray of shape (n,)
        Bias, in V, and the fit there, in nS.
    """

    gap: float
    broadening: float
    gap_std: float
    broadening_std: float
    bias: Floats = field(repr=False, compare=False)
    didv: Floats = field(repr=False, compare=False)


class SuperconductingGap(ResolvedScalarizer):
    """Gap of a superconductor, half of what lies between its edges, in eV: a fit of Dynes' density of states."""

    name: str = "superconducting_gap"
    which: Literal["gap", "broadening"] = setting("gap", "", "What is returned of the fit.")
    degree: int = setting(2, "", "Degree of the polynomial by which the normal conductance depends on the bias.", ge=0, le=4)
    sigmas: float = setting(4.0, "", "Standard deviations by which the gap must stand out of the noise.", gt=0)
    certain: float = setting(
        0.3, "", "Largest standard deviation of the gap that is a value, as a share of the gap.", gt=0, le=1
    )

    @property
    @override
    def units(self) -> str:
        return units.ENERGY

    def fit(self, spectrum: Spectrum) -> DynesFit:
        """Return the gap, its broadening, and how certain they are.

        Raises
        ------
        NoValueError
            When the sweep is too narrow or too coarse, when there is no gap above the noise, or when the curve is another one.
        """
        sweep = Sweep.of(spectrum).clear
        reach, smeared = sweep.reach, self.smearing(spectrum, sweep)
        smeared.check(reach)
        normal = np.vander(sweep.bias / reach, self.degree + 1, increasing=True)
        gaps, shares = STARTS
        found = fit_line(
            sweep.didv,
            sweep.current,
            lambda p: _dynes(smeared, *_energies(p))[:, None] * normal,
            normal,
            [np.log([gap * reach, share * gap * reach]) for gap, share in product(gaps, shares)],
        )
        (gap, broadening), (gap_std, broadening_std) = _energies(found.parameters), found.deviations[:2]
        if found.gain < self.sigmas:
            raise NoValueError(f"no gap stands out of the noise: the best one has {found.gain:.2g} standard deviations")
        step = float(np.median(np.diff(sweep.bias)))
        if gap < step or not gap_std < self.certain:
            raise NoValueError(
                f"the gap is not determined: {gap * 1e3:.3g} meV, give or take {min(gap_std, 9.99):.0%}, "
                f"in steps of {step * 1e3:.3g} mV"
            )
        if reach < NORMAL * gap + smeared.width / 2:
            raise NoValueError(
                f"the sweep reaches {reach * 1e3:.3g} mV beyond zero bias, too little to show the normal conductance beside a "
                f"gap of about {gap * 1e3:.2g} meV"
            )
        if broadening > gap:
            raise NoValueError(
                f"there is no gap left: a broadening of {broadening * 1e3:.2g} meV exceeds one of {gap * 1e3:.2g} meV"
            )
        found.check(sweep.didv, "a superconductor")
        return DynesFit(gap, broadening, gap * gap_std, broadening * broadening_std, sweep.bias, found.curve)

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        found = self.fitted(spectrum)
        ends = (Mark.edge("gap", side * found.gap, std=found.gap_std) for side in (-1, 1))
        return [Mark.curve("fit of Dynes' formula", found.bias, found.didv), *ends]


class CoherencePeaks(ScalarizerPart):
    """Distance of the two coherence peaks beside the gap, in V: about twice the gap, and more where the peaks are broad.

    It takes no fit and no temperature. Where pairs are broken there are no peaks, and no value.
    """

    name: str = "coherence_peaks"
    smoothing: float = setting(
        0.05,
        "",
        "Width of the parabola with which dI/dV is smoothed, as a share of the sweep; five samples at least.",
        gt=0,
        lt=0.5,
    )
    sigmas: float = setting(5.0, "", "Standard deviations of the noise by which each peak must stand out.", gt=0)

    @property
    @override
    def units(self) -> str:
        return units.BIAS

    def value(self, spectrum: Spectrum) -> float:
        """Return the distance of the peaks, in V.

        Raises
        ------
        NoValueError
            When the sweep does not pass zero bias, or no peak stands out on one side of it.
        """
        return self._distance(spectrum)[0]

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        sweep, curve, _, tops = self._tops(spectrum)
        peaks = (vertex(sweep.bias[top - 1 : top + 2], curve[top - 1 : top + 2]) for top in tops)
        return [Mark.curve("smoothed", sweep.bias, curve), *(Mark.point("coherence peak", *peak) for peak in peaks)]

    def deviation(self, spectrum: Spectrum) -> float:
        """Return the standard deviation of the distance, in V, by the noise of the slope at both peaks."""
        try:
            return self._distance(spectrum)[1]
        except NoValueError:
            return math.nan

    def _tops(self, spectrum: Spectrum) -> tuple[Sweep, Floats, Floats, list[int]]:
        """Return the sweep, its smoothed dI/dV, the noise of that before smoothing, and the samples of both peaks."""
        from scipy.signal import savgol_filter

        sweep = Sweep.of(spectrum).clear
        if sweep.reach <= 0 or len(sweep.bias) < LEAST_SAMPLES:
            raise NoValueError(f"{len(sweep.bias)} samples are too few to show two peaks")
        size = self._size(sweep)
        curve = savgol_filter(sweep.didv, size, 2)
        noise = deviations(sweep.didv)
        left = math.sqrt(9 / 4 / size)  # what the parabola leaves of it
        return sweep, curve, noise, [self._peak(sweep.bias, curve, left * noise, side) for side in (-1, +1)]

    def _distance(self, spectrum: Spectrum) -> tuple[float, float]:
        """Return the distance of the peaks and its standard deviation, in V."""
        sweep, curve, noise, tops = self._tops(spectrum)
        size = self._size(sweep)
        low, high = (vertex(sweep.bias[top - 1 : top + 2], curve[top - 1 : top + 2])[0] for top in tops)
        if abs(low + high) > ASKEW * (high - low):
            raise NoValueError(f"the peaks at {low * 1e3:.3g} and {high * 1e3:.3g} mV do not lie on both sides of one gap")
        # noise of the slope of a parabola through so many samples, over the curvature of the peak
        slope = noise[tops] * math.sqrt(12 / (size * (size**2 - 1)))
        bend = np.abs([curve[top - 1] - 2 * curve[top] + curve[top + 1] for top in tops])
        step = float(np.median(np.diff(sweep.bias)))
        return high - low, step * float(np.hypot(*np.minimum(slope / np.maximum(bend, 1e-300), size)))

    def _size(self, sweep: Sweep) -> int:
        """Return the number of samples of the parabola, which is odd."""
        return max(5, round(self.smoothing * len(sweep.bias)) | 1)

    def _peak(self, bias: Floats, curve: Floats, noise: Floats, side: int) -> int:
        """Return the sample of the first peak that stands out of the noise around it, from zero bias to one side."""
        from scipy.signal import find_peaks

        here = np.flatnonzero(side * bias >= 0)[::side]
        tops, about = find_peaks(curve[here], prominence=1e-9 * float(np.ptp(curve)))
        rise = np.minimum(about["prominences"], curve[here[tops]] - curve[here[0]])
        clear = here[tops][rise >= self.sigmas * noise[here[tops]]]
        if not len(clear):
            where = "above" if side > 0 else "below"
            raise NoValueError(
                f"no coherence peak stands out of the noise of {np.median(noise[here]):.2g} nS {where} zero bias"
            )
        return int(clear[0])


def _energies(parameters: Floats) -> Floats:
    """Return gap and broadening, in eV, from their logarithms, between which the search is bounded only by reason."""
    return np.exp(np.clip(parameters, -40, 5))


def _dynes(smeared: Smearing, gap: float, broadening: float) -> Floats:
    """Return dI/dV of a superconductor in units of the normal one, at each bias."""
    edges = smeared.edges + 1j * broadening
    counted = np.sign(smeared.edges) * np.abs(np.sqrt(edges**2 - gap**2).real)
    return smeared.weights @ (np.diff(counted) / np.diff(smeared.edges))
