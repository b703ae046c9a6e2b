"""What happens at zero bias: a dip or a peak without any model, and the line of a Kondo resonance.

A magnetic impurity that the electrons of a metal screen shows a line at the Fermi level. Interference of two ways of
tunneling gives it the shape of Fano [1]_ [2]_, (q + e)**2 / (1 + e**2), from a dip (q = 0) to a peak (q large); the line of
Frota [3]_, which follows the renormalisation group more closely, has wider flanks, and a phase in place of q [4]_. Both are
the real part of a complex line times a complex amplitude, so that a search has energy and width alone to find. Temperature
and modulation are folded in, so that the width is that of the line itself at the temperature of the sample.

References
----------
.. [1] U. Fano, Phys. Rev. 124, 1866 (1961), doi:10.1103/PhysRev.124.1866
.. [2] V. Madhavan et al., Science 280, 567 (1998), doi:10.1126/science.280.5363.567
.. [3] H. O. Frota, Phys. Rev. B 45, 1096 (1992), doi:10.1103/PhysRevB.45.1096
.. [4] H. Prüser et al., Nat. Phys. 7, 203 (2011), doi:10.1038/nphys1876
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._line_fit import fit_line
from bluesky_stm.scalarizers._smearing import ResolvedScalarizer
from bluesky_stm.scalarizers._sweep import Sweep

_Line = Callable[[Floats], NDArray[np.complex128]]

# Integrals over e, the distance from the resonance in units of its width: of 1 / (1 - ie), and of its square root.
_COUNTED: Final[dict[str, _Line]] = {"fano": lambda e: 1j * np.log(1 - 1j * e), "frota": lambda e: 2j * np.sqrt(1 - 1j * e)}

_HALF: Final = {"fano": 1.0, "frota": math.sqrt(3 + 2 * math.sqrt(3))}
"""Half of the full width at half maximum of a peak, in units of the width that stands in the formula."""

STARTS: Final = (np.linspace(-0.25, 0.25, 3), np.geomspace(0.05, 0.4, 4))
"""Energies and widths, in units of half the sweep, among which the search begins."""

WIDEST: Final = 0.7
"""Half width, and distance from zero bias, that a line may have, in units of half the sweep: beyond that is no background."""


class ZeroBiasAnomaly(ScalarizerPart):
    """Excess of dI/dV at zero bias over what its flanks let expect, relative to that: -0.3 is a dip of 30 %.

    A straight line through the flanks stands for the background. There is a value wherever the sweep is wide and clear enough,
    also where nothing happens at zero bias: it is 0 then, within its deviation.
    """

    name: str = "zero_bias_anomaly"
    width: float | None = setting(
        None, units.BIAS, "Full width at zero bias over which dI/dV is averaged; by default a tenth of the sweep.", gt=0
    )
    flank: float | None = setting(
        None, units.BIAS, "Distance from zero bias at which the flanks begin; by default a quarter of the sweep.", gt=0
    )

    @property
    @override
    def units(self) -> str:
        return ""

    def value(self, spectrum: Spectrum) -> float:
        """Return the relative excess at zero bias, without unit.

        Raises
        ------
        NoValueError
            When the sweep does not reach the flanks on both sides, has too few samples there, or has no conductance.
        """
        (x0, y0), (x, y), (x1, y1), _ = self._means(spectrum)
        expected = y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        if not expected > 0:
            raise NoValueError(f"the flanks have no conductance: {expected:.2g} nS")
        return y / expected - 1

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        (x0, y0), (x, y), (x1, y1), windows = self._means(spectrum)
        labels = ("lower flank", "averaged", "upper flank")
        return [
            *(Mark.window(label, low, high) for label, (low, high) in zip(labels, windows, strict=True)),
            Mark.curve("line through the flanks", (x0, x1), (y0, y1)),
            Mark.point("mean at zero bias", x, y),
        ]

    def _means(
        self, spectrum: Spectrum
    ) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float], list[tuple[float, float]]]:
        """Return mean bias and mean dI/dV of the lower flank, around zero bias and of the upper flank, and their ranges."""
        sweep = Sweep.of(spectrum).clear
        reach = sweep.reach
        width = reach / 5 if self.width is None else self.width
        flank = max(reach / 2, width / 2) if self.flank is None else self.flank
        near, below, above = np.abs(sweep.bias) <= width / 2 + 1e-12, sweep.bias <= -flank, sweep.bias >= flank
        if min(counts := [int(part.sum()) for part in (below, near, above)]) < 3:
            raise NoValueError(
                f"there are {counts[1]} samples within {width / 2:.3g} V of zero bias and {counts[0]} and {counts[2]} beyond "
                f"{flank:.3g} V; three of each are needed"
            )
        # the means of both flanks lie at different distances from zero bias
        lower, middle, upper = (
            (float(sweep.bias[part].mean()), float(sweep.didv[part].mean())) for part in (below, near, above)
        )
        ranges = [(float(sweep.bias[part].min()), float(sweep.bias[part].max())) for part in (below, near, above)]
        return lower, middle, upper, ranges


@dataclass(frozen=True)
class ResonanceFit:
    """A resonance at the Fermi level.

    Attributes
    ----------
    energy, width : float
        Position, and half width at half maximum, in eV.
    amplitude : float
        Difference of the largest and the smallest conductance of the line, relative to the background at zero bias.
    phase : float
        Angle of the complex amplitude, in degrees: 0 for a peak, 180 or -180 for a dip; q is the cotangent of half of it.
    energy_std, width_std, amplitude_std : float
        Standard deviations by the noise.
    bias, didv : ndarray of shape (n,)
        Bias, in V, and the fit there, in nS.
    """

    energy: float
    width: float
    amplitude: float
    phase: float
    energy_std: float
    width_std: float
    amplitude_std: float
    bias: Floats = field(repr=False, compare=False)
    didv: Floats = field(repr=False, compare=False)


class Kondo(ResolvedScalarizer):
    """Resonance of a screened magnetic impurity: a fit of the line of Fano or Frota near zero bias."""

    name: str = "kondo"
    which: Literal["amplitude", "width", "energy"] = setting(
        "amplitude", "", "What is returned: amplitude over background, half width at half maximum (eV), or position (eV)."
    )
    line: Literal["fano", "frota"] = setting("fano", "", "Shape of the line.")
    degree: int = setting(2, "", "Degree of the polynomial by which the background depends on the bias.", ge=0, le=3)
    sigmas: float = setting(4.0, "", "Standard deviations by which the line must stand out of the noise.", gt=0)
    certain: float = setting(0.5, "", "Largest standard deviation of the width that gives a value, relative to it.", gt=0)

    @property
    @override
    def units(self) -> str:
        return "" if self.which == "amplitude" else units.ENERGY

    def fit(self, spectrum: Spectrum) -> ResonanceFit:
        """Return the resonance, and how certain it is.

        Raises
        ------
        NoValueError
            When the sweep is too narrow, or no line stands out of the noise.
        """
        sweep = Sweep.of(spectrum).clear
        reach, smeared = sweep.reach, self.smearing(spectrum, sweep)
        smeared.check(reach)
        background = np.vander(sweep.bias / reach, self.degree + 1, increasing=True)

        def design(parameters: Floats) -> Floats:
            width = reach * math.exp(min(max(parameters[1], -20.0), 5.0))
            counted = _COUNTED[self.line]((smeared.edges - parameters[0] * reach) / width)
            line = np.diff(counted) * width / np.diff(smeared.edges)
            # two products of real numbers: one of complex ones copies the weights each time and wakes all threads of BLAS
            return np.column_stack([background, smeared.weights @ line.real.copy(), smeared.weights @ line.imag.copy()])

        starts = [np.array([energy, math.log(width)]) for energy, width in product(*STARTS)]
        found = fit_line(sweep.didv, sweep.current, design, background, starts)
        energy, width = float(found.parameters[0]), math.exp(min(found.parameters[1], 5.0)) * _HALF[self.line]
        if found.gain < self.sigmas:
            raise NoValueError(f"no line stands out of the noise: the best one has {found.gain:.2g} standard deviations")
        if abs(energy) > WIDEST or width > WIDEST or not (width_std := float(found.deviations[1])) < self.certain:
            raise NoValueError(
                f"the line is not determined: a half width of {width * reach * 1e3:.2g} meV, give or take "
                f"{min(float(found.deviations[1]), 9.99):.0%}, at {energy * reach * 1e3:.2g} meV, in a sweep that reaches "
                f"{reach * 1e3:.3g} mV beyond zero bias"
            )
        found.check(sweep.didv, "one resonance")
        scale, (real, imaginary) = float(found.heights[0]), found.heights[-2:]
        height = math.hypot(real, imaginary)
        # slopes of height / scale with the heights of background and line
        slopes = np.zeros(len(found.heights))
        slopes[[0, -2, -1]] = -height / scale**2, real / height / scale, imaginary / height / scale
        spread = float(slopes @ found.covariance[2:, 2:] @ slopes)
        return ResonanceFit(
            energy * reach,
            width * reach,
            height / scale,
            math.degrees(math.atan2(imaginary, real)),
            float(found.deviations[0]) * reach,
            width_std * width * reach,
            math.sqrt(max(spread, 0.0)),
            sweep.bias,
            found.curve,
        )

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        found = self.fitted(spectrum)
        ends = found.energy - found.width, found.energy + found.width
        return [
            Mark.window("full width at half maximum", *ends),
            Mark.curve(f"fit of the line of {self.line.capitalize()}", found.bias, found.didv),
            Mark.edge("resonance", found.energy, std=found.energy_std),
        ]
