"""Where spectra have a value: the chance that the next one has, from those that had none.

Failures lie close together: a terrace without a gap in the range of the sweep, a cluster over which the preamplifier clips.
So a place fails as its neighbours do, and how far a neighbour counts is what tells best which spectra so far had a value, each
left out once; without any such distance the share of all spectra remains.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.geometry import Floats

NEIGHBOURHOODS: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, np.inf)
"""How far a neighbour may count: standard deviations of a Gaussian, in root mean square distances of all places from their
middle."""

PRIOR_SPECTRA: Final = 0.5
"""Spectra that the share of all spectra counts for, everywhere."""

POINTS_AT_ONCE: Final = 256
"""Places whose distances are computed at once: they then stay in the cache of the processor."""


def chance_of_value(points: ArrayLike, measured: ArrayLike, valued: ArrayLike) -> Floats:
    """Chance that a spectrum has a value.

    Parameters
    ----------
    points : array_like of shape (m, 2)
        The places that may be measured, in nm.
    measured : array_like of shape (n, 2)
        Where spectra were taken.
    valued : array_like of shape (n,)
        Whether each has a value.

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
    """From the ``weights`` (m, n) of the spectra for each place."""
    return (PRIOR_SPECTRA * share + (weights * success).sum(axis=1)) / (PRIOR_SPECTRA + weights.sum(axis=1))


def _log_likelihood(weights: Floats, success: Floats, share: float) -> float:
    chance = _chance(weights, success, share)
    return float(np.log(np.where(success > 0, chance, 1 - chance)).sum())


def _squared(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.subtract.outer(a[:, 0], b[:, 0]) ** 2 + np.subtract.outer(a[:, 1], b[:, 1]) ** 2)
