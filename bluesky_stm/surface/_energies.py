"""Energy bins: as fine as what is measured can resolve, and no finer.

What a spectrum resolves is set by the temperature and, where these are coarser, by the step of the sweep and the modulation of
the lock-in. A bin holds the *integral* of the density of states over it (`mean_states`), so that a level narrower than a bin
keeps its weight wherever it lies; the bin only blurs its position. A bin of half of kT adds 1/160 to the variance of the
thermal broadening [1]_, and one of a quarter of the modulation 1/48 to that of the modulation; `SweepIntegral` takes this back.
Where a sample is known to have no structure that narrow, its bins are wider.

References
----------
.. [1] The derivative of the Fermi function has the variance (pi kT)**2 / 3, a bin of width b that of b**2 / 12.
"""

from __future__ import annotations

import numpy as np

from bluesky_stm.geometry import Floats

WIDEST = 0.0125
"""Largest width of the bins of a sweep, in eV: that in which the transmission is taken as constant."""

_WIDEST_KEPT = 0.05
"""Largest width of the bins of a set point, in eV, far from both Fermi levels, where all states carry the current alike."""

REACH = 12.0
"""Distance from a Fermi level, in kT, beyond which no electrons count: exp(-12) = 6e-6 of them."""


def bin_width(sharpness: float, step: float, modulation: float, finest: float) -> float:
    """Return the width of the energy bins of a sweep.

    Parameters
    ----------
    sharpness : float
        Energy over which the tip tells states apart, in eV: kT, unless its own states are sharper.
    step : float
        Distance of neighbouring biases, in V; 0 for a single bias.
    modulation : float
        Amplitude (peak) of the lock-in modulation, in V; 0 for no modulation.
    finest : float
        Width of bins that resolve the density of states, in eV; 0 where it is not known.

    Returns
    -------
    float
        In eV: half of ``sharpness``, or, where this is larger, the smaller of half a step and a quarter of the modulation, or
        ``finest``.
    """
    sampled = min(step / 2, modulation / 4) if modulation else step / 2
    return min(WIDEST, max(sharpness / 2, sampled, finest))


def bin_edges(low: float, high: float, width: float) -> Floats:
    """Return the edges of equal energy bins that cover a range; they lie at whole multiples of the width.

    Parameters
    ----------
    low, high : float
        Ends of the range, in eV.
    width : float
        Width of a bin, in eV.

    Returns
    -------
    ndarray of shape (K + 1,)
        In eV, increasing.
    """
    return np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width


def graded_edges(bias: float, thermal: float, sharpness: float, finest: float = 0.0) -> Floats:
    """Return the edges of energy bins for the current at one bias: fine at both Fermi levels, wide between them.

    Parameters
    ----------
    bias : float
        Sample bias, in V.
    thermal : float
        Thermal energy kT, in eV.
    sharpness : float
        Energy over which the tip tells states apart, in eV.
    finest : float
        Width of bins that resolve the density of states, in eV; 0 where it is not known.

    Returns
    -------
    ndarray of shape (K + 1,)
        In eV from the Fermi level of the sample, increasing.
    """
    low, high, width = min(bias, 0.0), max(bias, 0.0), min(WIDEST, max(sharpness / 2, finest))
    outside, inside = _graded(width, REACH * thermal), _graded(width, (high - low) / 2)
    return np.unique(np.concatenate([low - outside, low + inside, high - inside, high + outside]))


def _graded(width: float, reach: float) -> Floats:
    """Return distances from a Fermi level, from 0 to ``reach`` in eV: by ``width`` at first, then ever further apart."""
    distances = [0.0]
    while distances[-1] < reach:
        distances.append(distances[-1] + min(max(width, distances[-1] / 2), _WIDEST_KEPT))
    return np.append(distances[:-1], reach) if reach else np.array(distances)
