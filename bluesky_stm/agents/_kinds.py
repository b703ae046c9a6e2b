"""Seed points that visit one kind of spot after another: the first spectra of a person who looks at the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree

from bluesky_stm.measurements import Topograph
from bluesky_stm.spots import curvature, on_spots, threefold
from bluesky_stm.valued import chance_of_value

NEAREST_SPOTS = 3
"""Measured spots by which it is judged how new the look of another is: one spectrum beside its defect says little of a kind."""


class SpotKinds:
    """Candidates on the spots of a topograph, how each looks, and which looks least like those that were measured.

    Parameters
    ----------
    topograph : Topograph
    patch, step : float
        Side of the window around a candidate and distance between candidates, in nm.

    Attributes
    ----------
    candidates : ndarray of shape (n, 2)
        In nm.
    """

    def __init__(self, topograph: Topograph, patch: float, step: float) -> None:
        self.candidates, self._spots = on_spots(topograph, patch, step)
        pixels = topograph.frame.to_pixel(self.candidates).T
        shapes = (*curvature(topograph, patch), *threefold(topograph, patch))
        seen = [map_coordinates(one, pixels, order=1, mode="reflect") for one in shapes]
        self._appearance = np.arcsinh(np.stack(seen, axis=-1))  # ratios count: from dot to vacancy as from vacancy to cluster

    def next(self, free: NDArray[np.bool_], measured: Sequence[int], promising: Sequence[bool]) -> int | None:
        """The free spot that looks least like the ``measured`` candidates, and may be worth it; None where no spot is left.

        Farthest-first traversal, by the mean distance from the nearest `NEAREST_SPOTS`: it meets each kind, rare ones early,
        and a few of each. Where spectra nearby were not ``promising``, without a value or with a poor one, another of the kind
        is sought elsewhere. The first is the most ordinary spot.
        """
        index = np.flatnonzero(free & self._spots)
        if not len(index):
            return None
        appearance = self._appearance[index]
        if not len(measured):
            return int(index[np.argmin(((appearance - np.median(appearance, axis=0)) ** 2).sum(axis=1))])
        apart, _ = KDTree(self._appearance[np.asarray(measured)]).query(
            appearance, [*range(1, min(NEAREST_SPOTS, len(measured)) + 1)]
        )
        chance = chance_of_value(self.candidates, self.candidates[np.asarray(measured)], promising)
        return int(index[np.argmax(apart.mean(axis=1) * chance[index])])
