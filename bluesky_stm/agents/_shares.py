"""For how much of the surface each measured value stands.

An agent that seeks large values measures where they are, so that its values are no sample of the surface: their mean lies
too high, their spread says nothing of an ordinary place, and a kernel that predicts them well may fail everywhere else.
Geostatistics knows this as preferential sampling, and its remedy as declustering [1]_: each value counts for the candidates
that are nearer to it than to any other measured place, here by position and by look. Mean and spread of the values, and the
weights of the kernels, are then those of the surface and not those of what was picked.

References
----------
.. [1] C. V. Deutsch, A. G. Journel, "GSLIB: Geostatistical Software Library and User's Guide", 2nd ed., Oxford University Press
   (1998), chapter VI
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bluesky_stm.agents._kernel import LENGTHS, part_of, squared_distances
from bluesky_stm.geometry import Floats

ASKED = 1024
"""Number of candidates, evenly chosen, that are asked which measured place is nearest to them."""

AT_ONCE = 64
"""Number of these that are asked together: their distances stay in the cache of the processor."""

EVEN = 0.05
"""Part of the total that is shared by all values alike, so that none is lost."""

SAME_DISTANCE = 1e-9
"""Squared distance, in length scales, within which two measured places are equally near, as repeats at one place are."""


def shares(candidates: Mapping[str, Floats], places: Sequence[Mapping[str, Floats]]) -> Floats:
    """Return for how much of the surface each measured place stands.

    Distances are those in position and in the picture, in the length scales that are expected before any value is known: they
    follow from the places alone. The features of the net do not count.

    Parameters
    ----------
    candidates : mapping of str to ndarray of shape (m, d)
        Features of the candidates, by group; at most `ASKED` of them count.
    places : sequence of mapping of str to ndarray of shape (1, d)
        Features of the n measured places.

    Returns
    -------
    ndarray of shape (n,)
        Positive; they sum to 1.
    """
    step = -(-len(candidates["xy"]) // ASKED)
    groups = [name for name in candidates if part_of(name) != "deep"]
    measured = _scaled({group: np.concatenate([place[group] for place in places]) for group in groups})
    asked, counted = _scaled({group: candidates[group][::step] for group in groups}), np.zeros(len(places))
    for start in range(0, len(asked), AT_ONCE):
        (squared,) = squared_distances([asked[start : start + AT_ONCE]], [measured])
        candidate, place = np.nonzero(squared <= squared.min(axis=1, keepdims=True) + SAME_DISTANCE)
        counted += np.bincount(place, 1 / np.bincount(candidate)[candidate], len(places))
    return (1 - EVEN) * counted / len(asked) + EVEN / len(counted)


def _scaled(features: Mapping[str, Floats]) -> Floats:
    """Return all features side by side, (n, d), in the length scales that are expected."""
    return np.concatenate([values / LENGTHS[part_of(group)].median for group, values in features.items()], axis=1)
