"""Normalised conductance (dI/dV) / (I/V): without unit, and nearly the same however far the tip stands away [1]_.

The transmission of the barrier, which falls by a factor of ten for each 0.1 nm, divides out, and with it most of its
dependence on the bias. A state then has the same height from set points of either polarity and of any current; dI/dV by itself
has not (of a triangle of EuZn2As2 against the terrace, at +0.9 V: 0.96 from -1.5 V, 1.37 from +1.5 V).

Inside a gap both dI/dV and I/V are nothing but noise, and their ratio may be anything. I/V is therefore averaged over
neighbouring biases with the weight ``exp(-|V - V'| / broadening)`` [2]_ [3]_, its magnitude, so that noise cannot make it zero.
A broadening of the width of the gap makes the ratio vanish in the gap and mixes both bands, which depend on the set point in
different ways; a small one leaves the bands as they are and noise in the gap. At 0.05 V the ratio of two kinds of places at
+0.9 V is the same within 2.5 % from set points of -1.5 and +1.5 V (``tests/physics/test_normalized.py``), as without any
broadening: the rest is in the barrier.

References
----------
.. [1] J. A. Stroscio, R. M. Feenstra, A. P. Fein, Phys. Rev. Lett. 57, 2579 (1986), doi:10.1103/PhysRevLett.57.2579
.. [2] P. Mårtensson, R. M. Feenstra, Phys. Rev. B 39, 7744 (1989), doi:10.1103/PhysRevB.39.7744
.. [3] R. M. Feenstra, Phys. Rev. B 50, 4561 (1994), doi:10.1103/PhysRevB.50.4561
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import NORMALIZED
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._sweep import Sweep, alike

AROUND_ZERO: Final = 7
"""Samples nearest to zero bias through which a parabola is laid; its current at zero bias is the offset of the preamplifier."""

BROADENING: Final = 1 / 60
"""Share of the sweep over which I/V is averaged, if not said otherwise: 0.05 V of 3 V."""

NOTHING: Final = 1e-12
"""I/V that counts as none, as a share of the largest of the sweep."""


class CurveScalarizer(ScalarizerPart):
    """A scalar of the curve dI/dV, or of the normalised conductance (dI/dV) / (I/V).

    A subclass takes the curve from `sweep` and its unit from `curve_units`, so that both hold for either.
    """

    normalized: bool = setting(
        False, "", "True to take the normalised conductance (dI/dV)/(I/V), which depends little on the set point, for dI/dV."
    )
    broadening: float | None = setting(
        None,
        units.BIAS,
        "Distance over which I/V is averaged where it normalises dI/dV; by default a sixtieth of the sweep.",
        gt=0,
    )

    def sweep(self, spectrum: Spectrum) -> Sweep:
        """Return the samples of a spectrum, with the normalised conductance for dI/dV where that is asked for.

        Raises
        ------
        NoValueError
            When fewer than two samples were measured, or the sweep does not pass zero bias, where the current has its zero.
        """
        measured = Sweep.of(spectrum)
        return normalized(measured, self.broadening) if self.normalized else measured

    @property
    def curve_channel(self) -> str:
        """Channel on which the scalarizer looks: dI/dV, or the normalised conductance."""
        return NORMALIZED if self.normalized else "didv"

    @property
    def curve_units(self) -> str:
        """Unit of the curve: that of a conductance; empty for the normalised one."""
        return "" if self.normalized else units.CONDUCTANCE


def normalized_conductance(spectrum: Spectrum, broadening: float | None = None) -> tuple[Floats, Floats]:
    """Return the bias, in V, rising, and the normalised conductance of a spectrum, without unit.

    Parameters
    ----------
    spectrum : Spectrum
        A sweep in either direction; samples that were not measured, or are clipped, are left out.
    broadening : float, optional
        Distance in bias over which I/V is averaged, in V; by default a sixtieth of the sweep.

    Raises
    ------
    NoValueError
        When fewer than two samples were measured, or the sweep does not pass zero bias.
    """
    sweep = normalized(Sweep.of(spectrum), broadening).clear
    return sweep.bias, sweep.didv


def normalized_curves(spectra: Sequence[Spectrum]) -> list[Floats]:
    """Return the normalised conductance of each spectrum at each of its biases; NaN where it has none.

    Those with like samples are worked out together.

    Parameters
    ----------
    spectra : sequence of Spectrum
        Sweeps in either direction.
    """
    curves: list[Floats] = [np.full(len(spectrum.bias), np.nan) for spectrum in spectra]
    for group in alike(spectra):
        try:
            found = [normalized(group.sweep, None).didv]
        except NoValueError:  # of one of them, or of all
            found = [_none_or(row) for row in group.sweep.each]
        shown = ~group.sweep.clipped
        for number, row in zip(group.numbers, (row for rows in found for row in np.atleast_2d(rows)), strict=True):
            curves[number][group.order[shown]] = row[shown]
    return curves


def _none_or(sweep: Sweep) -> Floats:
    """Return the normalised conductance of a sweep; NaN where it has none."""
    try:
        return normalized(sweep, None).didv
    except NoValueError:
        return np.full(len(sweep.bias), np.nan)


def normalized(sweep: Sweep, broadening: float | None) -> Sweep:
    """Return a sweep with its normalised conductance in the place of dI/dV.

    Parameters
    ----------
    sweep : Sweep
        Samples by increasing bias, of one or of several like spectra; it passes zero bias. Those that are clipped take no part
        in the average and stay clipped.
    broadening : float or None
        Distance in bias over which I/V is averaged, in V; None for a sixtieth of the sweep.

    Returns
    -------
    Sweep
        Its ``didv`` is without unit: 1 for an ohmic contact.

    Raises
    ------
    NoValueError
        When the sweep does not pass zero bias, or carries no current; of several when one of them does not.
    """
    broadening = BROADENING * float(np.ptp(sweep.bias)) if broadening is None else broadening
    ratio = _current_over_bias(sweep)
    clear = ~sweep.clipped
    averaged = (_weights(np.asarray(sweep.bias, dtype=float).tobytes(), clear.tobytes(), broadening) @ ratio[..., clear].T).T
    most = averaged.max(axis=-1, keepdims=True)
    if not np.all(most > 0):
        raise NoValueError("there is no current to divide by")
    return replace(sweep, didv=sweep.didv / np.maximum(averaged, NOTHING * most))


def _current_over_bias(sweep: Sweep) -> Floats:
    """Return the magnitude of I/V, in nS, less the offset of the preamplifier; next to zero bias the slope of the current.

    The magnitude of noise is never zero: in a gap it keeps the ratio from diverging.
    """
    step = float(np.diff(sweep.bias).max())
    if sweep.bias[0] > step or sweep.bias[-1] < -step or len(sweep.bias) < AROUND_ZERO:
        raise NoValueError(
            f"the sweep from {sweep.bias[0]:g} to {sweep.bias[-1]:g} V does not pass zero bias, where the current has its zero"
        )
    near = np.argsort(np.abs(sweep.bias), kind="stable")[:AROUND_ZERO]
    reach = float(np.abs(sweep.bias[near]).max()) or 1.0
    _, slope, offset = np.polyfit(sweep.bias[near] / reach, sweep.current[..., near].T, 2)[..., None]
    away = np.abs(sweep.bias) > 1.5 * step
    return np.abs(np.where(away, (sweep.current - offset) / np.where(away, sweep.bias, 1.0), slope / reach))


@lru_cache(maxsize=4)
def _weights(biases: bytes, clear: bytes, broadening: float) -> Floats:
    """Return the shares (n, m) of m samples that are not clipped in the average at each of n biases, alike for like sweeps."""
    bias, taken = np.frombuffer(biases), np.frombuffer(clear, dtype=bool)
    weights: Floats = np.exp(-np.abs(bias[:, None] - bias[taken]) / broadening) * _widths(bias)[taken]
    return weights / weights.sum(axis=1, keepdims=True)


def _widths(bias: Floats) -> Floats:
    """Return the range of bias for which each sample stands, in V."""
    return np.gradient(bias)
