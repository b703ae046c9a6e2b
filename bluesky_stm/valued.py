"""The chance that the next spectrum has a value, learned from those that had none.

Failures lie close together: a terrace without a gap in the range of the sweep, a cluster over which the preamplifier clips.
Each place is judged by the spectra around it. The distance over which a neighbour counts is the one that predicts best which of
the spectra so far had a value, each left out once; without any such distance the share of all spectra remains.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.geometry import Floats

NEIGHBOURHOODS: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, np.inf)
"""Standard deviations of a Gaussian that are tried as the distance over which a neighbour counts, in root mean square distances
of all places from their centre."""

PRIOR_SPECTRA: Final = 0.5
"""Weight of the share of all spectra at every place, as a number of spectra."""

POINTS_AT_ONCE: Final = 256
"""Number of places whose distances are computed together; they then stay in the cache of the processor."""


def chance_of_value(points: ArrayLike, measured: ArrayLike, valued: ArrayLike) -> Floats:
    """Return the probability that a spectrum at each place has a value.

    Parameters
    ----------
    points : array_like of shape (m, 2)
        Places that may be measured, as (x, y), in nm.
    measured : array_like of shape (n, 2)
        Places of the spectra taken, in nm.
    valued : array_like of bool of shape (n,)
        True for the spectra that have a value.

    Returns
    -------
    ndarray of shape (m,)
        Above 0; exactly 1 as long as no spectrum failed.
    """
    places = np.asarray(points, dtype=float).reshape(-1, 2)
    known, success = np.asarray(measured, dtype=float).reshape(-1, 2), np.asarray(valued, dtype=float)
    if success.all() or not len(places):
        return np.ones(len(places))
    share = (success.sum() + 1) / (len(success) + 1)
    extent = float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1).mean())) or 1.0
    apart = _squared(known, known)
    others = ~np.eye(len(known), dtype=bool)
    likely = [
        _log_likelihood(np.exp(-0.5 * apart / (reach * extent) ** 2) * others, success, share) for reach in NEIGHBOURHOODS
    ]
    length = NEIGHBOURHOODS[int(np.argmax(likely))] * extent
    parts = [places[start : start + POINTS_AT_ONCE] for start in range(0, len(places), POINTS_AT_ONCE)]
    return np.concatenate([_chance(np.exp(-0.5 * _squared(part, known) / length**2), success, share) for part in parts])


def _chance(weights: Floats, success: Floats, share: float) -> Floats:
    """Return the chance at each place from the ``weights`` (m, n) of the spectra and the overall ``share``."""
    return (PRIOR_SPECTRA * share + (weights * success).sum(axis=1)) / (PRIOR_SPECTRA + weights.sum(axis=1))


def _log_likelihood(weights: Floats, success: Floats, share: float) -> float:
    chance = _chance(weights, success, share)
    return float(np.log(np.where(success > 0, chance, 1 - chance)).sum())


def _squared(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.subtract.outer(a[:, 0], b[:, 0]) ** 2 + np.subtract.outer(a[:, 1], b[:, 1]) ** 2)
