"""Energy resolution of a spectrum: a density of states as temperature and modulation let dI/dV show it.

dI/dV of a sharp level is the derivative of the Fermi function, 3.53 kT wide, folded with the half circle that the first
harmonic of a lock-in averages over, whose radius is the amplitude (peak) of the modulation and whose full width at half
maximum is 1.73 of it [1]_.

References
----------
.. [1] J. Klein, A. Leger, M. Belin, D. Defourneau, M. J. L. Sangster, Phys. Rev. B 7, 2336 (1973), doi:10.1103/PhysRevB.7.2336
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._sweep import Sweep

log = logging.getLogger(__name__)

THERMAL: Final = 4 * math.acosh(math.sqrt(2))
"""Full width at half maximum of the derivative of the Fermi function, in units of kT: 3.53."""

REACH: Final = 12
"""Distance beyond the sweep, in units of kT, from which electrons still enter: further away come less than 1e-5 of them."""

BINS_PER_WIDTH: Final = 12
"""Number of energy bins within the resolution; the fold over a bin is exact for the mean density that it holds."""

SAME_WIDTH: Final = 0.05
"""Share by which the resolution that lock-in and sample leave may differ from the one that a fit assumes."""

MOST_BINS: Final = 4000
"""Number of bins that is not exceeded, however cold the sample and however wide the sweep."""


@dataclass(frozen=True, eq=False)
class Smearing:
    """The matrix by which mean densities of states in energy bins become dI/dV at the biases of a sweep.

    Attributes
    ----------
    edges : ndarray of shape (K + 1,)
        Edges of the bins, in eV from the Fermi level.
    weights : ndarray of shape (n, K)
        Share of each bin in dI/dV at each bias.
    width : float
        Resolution: the full widths of temperature and modulation added in squares, in eV.
    modulation : float
        Amplitude (peak) of the modulation, in V.
    """

    edges: Floats
    weights: Floats
    width: float
    modulation: float

    def check(self, reach: float) -> None:
        """Refuse a sweep that is narrower than the resolution.

        Parameters
        ----------
        reach : float
            How far the sweep reaches beyond zero bias, in V.

        Raises
        ------
        NoValueError
            When it could show no line.
        """
        if self.width > reach:
            raise NoValueError(
                f"temperature and modulation leave a resolution of {self.width * 1e3:.3g} meV, and the sweep reaches only "
                f"{reach * 1e3:.3g} mV beyond zero bias"
            )


def _width(temperature: float, modulation: float) -> float:
    """Return the full widths of a temperature (K) and of a modulation (V, peak), added in squares, in eV."""
    return math.hypot(THERMAL * units.BOLTZMANN * temperature, math.sqrt(3) * modulation)


def smearing(bias: Floats, temperature: float, modulation: float) -> Smearing:
    """Return the resolution at the biases of a sweep; a sweep like the last ones costs nothing.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        In V.
    temperature : float
        Of the electrons, in K; more than 0.
    modulation : float
        Amplitude (peak) of the modulation, in V; 0 for none.
    """
    return _smearing(bias.tobytes(), temperature, modulation)


@lru_cache(maxsize=16)
def _smearing(bias: bytes, temperature: float, modulation: float) -> Smearing:
    from scipy.special import expit

    at, kt = np.frombuffer(bias), units.BOLTZMANN * temperature
    width = _width(temperature, modulation)
    low, high = at.min() - REACH * kt - modulation, at.max() + REACH * kt + modulation
    edges = np.linspace(low, high, 1 + min(MOST_BINS, math.ceil((high - low) / width * BINS_PER_WIDTH)))
    below = over_modulation(lambda energy: expit(energy / kt), edges - at[:, None], kt, modulation)
    return Smearing(edges, np.diff(below, axis=1), width, modulation)


def over_modulation(curve: Callable[[Floats], Floats], energy: Floats, kt: float, modulation: float) -> Floats:
    """Return a thermal curve as the first harmonic of a lock-in shows it: the average over a half circle.

    Parameters
    ----------
    curve : callable
        Takes energies and returns an array of the same shape; smooth over kT.
    energy : ndarray
        In eV.
    kt : float
        Temperature, in eV.
    modulation : float
        Amplitude (peak), in V.
    """
    # Gauss's rule for the weight sqrt(1 - x**2); its nodes lie closer together than kT
    count = max(1, math.ceil(4 * modulation / kt))
    angles = np.pi * np.arange(1, count + 1) / (count + 1)
    weights = np.sin(angles) ** 2 / np.sum(np.sin(angles) ** 2)
    parts = [w * curve(energy - modulation * x) for w, x in zip(weights, np.cos(angles), strict=True)]
    return np.sum(parts, axis=0)


class ResolvedScalarizer(ScalarizerPart):
    """A scalarizer that fits a line to dI/dV, and has to know how sharp that can be at all.

    What `fit` returns has an attribute for each ``which``, and its standard deviation under that name with ``_std`` behind it.
    """

    which: str

    temperature: float = setting(..., units.TEMPERATURE, "Temperature of the electrons, which smears the spectrum.", gt=0)
    modulation: float = setting(..., units.BIAS, "Amplitude (peak) of the modulation of the lock-in; 0 without one.", ge=0)

    def smearing(self, spectrum: Spectrum, sweep: Sweep) -> Smearing:
        """Return the energy resolution at the samples of a sweep.

        Parameters
        ----------
        spectrum : Spectrum
            Its flags say whether a lock-in measured dI/dV.
        sweep : Sweep
            The samples.
        """
        if spectrum.quality & Quality.DERIVED:
            # the difference of the neighbours of a sample averages over two steps: a half circle of equal variance
            return smearing(sweep.bias, self.temperature, 2 / math.sqrt(3) * float(np.median(np.diff(sweep.bias))))
        return smearing(sweep.bias, self.temperature, self.modulation)

    @override
    def check_resolution(self, amplitude: float, temperature: float) -> None:
        """Refuse a resolution that this lock-in and this sample cannot have left.

        Electrons may be warmer than the thermometer says, by what comes in through the wires: of a fit that assumes so it is
        only said (a warning of this logger). Colder than the sample they are not.

        Parameters
        ----------
        amplitude : float
            Peak amplitude of the modulation, in V; NaN where it is not known.
        temperature : float
            Temperature of the sample, in K; NaN where it is not known.

        Raises
        ------
        SettingsError
            With both amplitudes or temperatures, where the widths that they leave differ by more than `SAME_WIDTH`.
        """
        assumed, applied = (_width(self.temperature, peak) for peak in (self.modulation, amplitude))
        if abs(applied - assumed) > SAME_WIDTH * applied:
            raise SettingsError(
                f"The fit of {self.name!r} assumes a modulation of {self.modulation * 1e3:.4g} mV (peak) at "
                f"{self.temperature:g} K, and the lock-in modulates by {amplitude * 1e3:.4g} mV: a resolution of "
                f"{applied * 1e3:.3g} meV would be taken for {assumed * 1e3:.3g} meV. Nothing has been started. Give the "
                f"scalarizer modulation={amplitude:g}, or set the lock-in to {self.modulation:g} V."
            )
        left = _width(temperature, self.modulation)
        words = (
            f"The fit of {self.name!r} assumes electrons at {self.temperature:g} K, and the sample is at {temperature:g} K: a "
            f"resolution of {left * 1e3:.3g} meV would be taken for {assumed * 1e3:.3g} meV."
        )
        if assumed < (1 - SAME_WIDTH) * left:
            raise SettingsError(f"{words} Nothing has been started. Give the scalarizer temperature={temperature:g}.")
        if assumed > (1 + SAME_WIDTH) * left:
            log.warning("%s They may be warmer than the thermometer says; else give temperature=%g.", words, temperature)

    def fit(self, spectrum: Spectrum) -> object:
        """Return what the fit finds, and how certain that is.

        Raises
        ------
        NoValueError
            When the spectrum does not carry it.
        """
        raise NotImplementedError

    def value(self, spectrum: Spectrum) -> float:
        """Return what the setting ``which`` names.

        Raises
        ------
        NoValueError
            When the spectrum does not carry it.
        """
        return float(getattr(self.fitted(spectrum), self.which))

    def fitted(self, spectrum: Spectrum) -> Any:
        """Return what `fit` returns, which is asked for several times of one spectrum and computed once."""
        return _fitted(self, spectrum)

    def deviation(self, spectrum: Spectrum) -> float:
        """Return the standard deviation of the value by the noise, as the fit knows it."""
        try:
            return float(getattr(self.fitted(spectrum), f"{self.which}_std"))
        except NoValueError:
            return math.nan


@lru_cache(maxsize=2)
def _fitted(part: ResolvedScalarizer, spectrum: Spectrum) -> object:
    """Return the fit of a spectrum, which is asked for twice: for a value and for its deviation."""
    return part.fit(spectrum)
