"""Whole spectra as a few numbers: the targets of an agent that predicts more than one scalar.

A spectrum counts as asinh(dI/dV / `LOG_ONSET`): linear in the gap, logarithmic above, so that no decade drowns another. Its
principal components over the spectra so far are the numbers; the rest is kept as a standard deviation for each bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import Observation

LOG_ONSET = 0.05
"""Conductance, in nS, above which it counts by its logarithm."""

SPECTRUM_COMPONENTS = 5
"""Largest number of principal components."""


@dataclass(frozen=True, eq=False)
class Cube:
    """Predicted dI/dV at some places.

    Attributes
    ----------
    bias : ndarray of shape (k,)
        In V.
    didv : ndarray of shape (m, k)
        Median, in nS.
    low, high : ndarray of shape (m, k)
        Ends of the 90 % interval, in nS, noise included as far as the spectra showed it.
    """

    bias: Floats
    didv: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Curves:
    """Principal components of spectra on one bias axis.

    Attributes
    ----------
    bias : ndarray of shape (k,)
        In V.
    center : ndarray of shape (k,)
        Mean curve.
    axes : ndarray of shape (c, k)
        Principal axes.
    rest : ndarray of shape (k,)
        Standard deviation of what the components leave out.
    """

    bias: Floats
    center: Floats
    axes: Floats
    rest: Floats

    @classmethod
    def fitted(cls, spectra: Sequence[Spectrum]) -> Self:
        """Fit the components to spectra.

        Parameters
        ----------
        spectra : sequence of Spectrum
            Two or more; they are interpolated to the bias axis of the first one. Components that do not vary are left out.
        """
        bias = spectra[0].bias
        curves = np.array([_curve(spectrum, bias) for spectrum in spectra])
        center = curves.mean(axis=0)
        _, sizes, axes = np.linalg.svd(curves - center, full_matrices=False)
        kept = axes[:SPECTRUM_COMPONENTS][sizes[:SPECTRUM_COMPONENTS] > 1e-9]
        rest = curves - center - (curves - center) @ kept.T @ kept
        return cls(bias, center, kept, rest.std(axis=0))

    def scores(self, spectra: Sequence[Spectrum]) -> Floats:
        """Return the components of spectra.

        Parameters
        ----------
        spectra : sequence of Spectrum
            They are interpolated to the bias axis of the components.

        Returns
        -------
        ndarray of shape (n, c)
            Of the compressed dI/dV, without a unit.
        """
        return np.array([self.axes @ (_curve(spectrum, self.bias) - self.center) for spectrum in spectra])

    def cube(self, mean: Floats, std: Floats) -> Cube:
        """Return the spectra that belong to predicted components.

        Parameters
        ----------
        mean, std : ndarray of shape (m, c)
            Means and standard deviations of the components.
        """
        middle = self.center + mean @ self.axes
        spread = 1.6449 * np.sqrt(std**2 @ self.axes**2 + self.rest**2)
        return Cube(self.bias, *(LOG_ONSET * np.sinh(curve) for curve in (middle, middle - spread, middle + spread)))


def complete_spectra(observations: Sequence[Observation]) -> list[tuple[int, Spectrum]]:
    """Return the spectra that were measured to their end, with a value or without.

    Parameters
    ----------
    observations : sequence of Observation
        Observations in their order; those without a spectrum are skipped.

    Returns
    -------
    list of (int, Spectrum)
        Each with the index of its observation.
    """
    found = [(i, o.spectrum) for i, o in enumerate(observations) if o.spectrum is not None]
    return [(i, s) for i, s in found if len(s.bias) > 1 and np.isfinite(s.didv).all() and np.isfinite(s.bias).all()]


def require_spectra(spectra: Sequence[object], least: int) -> None:
    """Refuse fewer than ``least`` spectra.

    Raises
    ------
    SettingsError
    """
    if len(spectra) < least:
        raise SettingsError(
            f"Spectra are predicted from {least} whole ones on; this agent was given {len(spectra)}. "
            "Lessons need their spectrum: Observation(point, value, spectrum)."
        )


def _curve(spectrum: Spectrum, bias: Floats) -> Floats:
    order = np.argsort(spectrum.bias)
    didv = np.interp(bias, spectrum.bias[order], spectrum.didv[order])
    return np.arcsinh(didv / LOG_ONSET)
