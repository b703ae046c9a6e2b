"""Seed points that visit one kind of spot after another, as a person who looks at the image would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.measurements import Topograph
from bluesky_stm.smoothing import interpolated
from bluesky_stm.spots import curvature, on_spots, threefold
from bluesky_stm.valued import chance_of_value

NEAREST_SPOTS = 3
"""Number of measured spots with which the appearance of another is compared. With one, a single spectrum that missed its defect
would settle the whole kind."""


class SpotKinds:
    """Candidates on the spots of a topograph, the appearance of each, and the choice of the one least like those measured.

    Parameters
    ----------
    topograph : Topograph
        Image in which spots are searched.
    patch, step : float
        Side of the window around a candidate and distance between candidates, in nm.

    Attributes
    ----------
    candidates : ndarray of shape (n, 2)
        Places as (x, y), in nm.
    """

    def __init__(self, topograph: Topograph, patch: float, step: float) -> None:
        bent = curvature(topograph, patch)
        self.candidates, self._spots = on_spots(topograph, patch, step, bent)
        pixels = topograph.frame.to_pixel(self.candidates).T
        shapes = np.concatenate([bent, threefold(topograph, patch)])
        seen = interpolated(shapes, np.arange(len(shapes))[:, None], *pixels)
        self._appearance = np.arcsinh(seen.T)  # ratios count: from dot to vacancy as from vacancy to cluster

    def next(self, free: NDArray[np.bool_], measured: Sequence[int], promising: Sequence[bool]) -> int | None:
        """Return the free spot that looks least like the measured ones and may be worth a spectrum.

        This is a farthest-first traversal by the mean distance from the nearest `NEAREST_SPOTS`: it meets each kind, rare ones
        early, and a few spots of each. Where spectra nearby were not promising, another spot of the kind is sought elsewhere.
        The first spot is the most ordinary one.

        Parameters
        ----------
        free : ndarray of bool of shape (n,)
            True for candidates that may be chosen.
        measured : sequence of int
            Candidates that were measured or are pending.
        promising : sequence of bool
            For each of these, False when its spectrum had no value or a poor one.

        Returns
        -------
        int or None
            Index of the candidate; None where no spot is left.
        """
        from scipy.spatial import KDTree

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
