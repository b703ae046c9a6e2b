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

import torch
from torch import Tensor

from bluesky_stm.agents._kernel import LENGTHS, part_of, squared_distances
from bluesky_stm.geometry import Floats

ASKED = 1024
"""Number of candidates, evenly chosen, that are asked which measured place is nearest to them."""

EVEN = 0.05
"""Part of the total that is shared by all values alike, so that none is lost."""

SAME_DISTANCE = 1e-9
"""Squared distance, in length scales, within which two measured places are equally near, as repeats at one place are."""


def shares(candidates: Mapping[str, Tensor], places: Sequence[Mapping[str, Tensor]]) -> Floats:
    """Return for how much of the surface each measured place stands.

    Distances are those in position and in the picture, in the length scales that are expected before any value is known: they
    follow from the places alone. The features of the net do not count.

    Parameters
    ----------
    candidates : mapping of str to Tensor of shape (m, d)
        Features of the candidates, by group; at most `ASKED` of them count.
    places : sequence of mapping of str to Tensor of shape (1, d)
        Features of the n measured places.

    Returns
    -------
    ndarray of shape (n,)
        Positive; they sum to 1.
    """
    step = -(-len(candidates["xy"]) // ASKED)
    apart = torch.zeros((), dtype=torch.float64)
    for group in (name for name in candidates if part_of(name) != "deep"):
        measured = torch.cat([place[group] for place in places])
        (squared,) = squared_distances([candidates[group][::step]], [measured])
        apart = apart + squared / LENGTHS[part_of(group)].median ** 2
    nearest = (apart <= apart.min(1, keepdim=True).values + SAME_DISTANCE).double()
    counted = (nearest / nearest.sum(1, keepdim=True)).mean(0).numpy()
    return (1 - EVEN) * counted + EVEN / len(counted)
