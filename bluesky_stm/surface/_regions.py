"""Electronic regions of one terrace: a second region in bands across it, and the puddles of the surface potential.

Both leave the atoms where they are. It is not known what the second region of EuZn2As2 is (a coverage, charging, another
termination); it is described by its spectra only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._random import SmoothField, block_rng, direction


@dataclass(frozen=True, eq=False)
class Band:
    """The second electronic region of a sample: one band in every ``period``.

    Attributes
    ----------
    change : mapping of str to float
        Parameters of the states that differ from those of the first region, and their differences.
    relief : float
        Height by which the region stands above the first one, in nm, besides what its states add to the height.
    period : float
        Mean distance from band to band, in nm.
    lower, upper : (float, float)
        Ranges in which its two edges lie, measured from the middle of a period, in nm.
    crossover : float
        Width from 10 to 90 % of the change, in nm.
    angle : float
        Direction across the bands, in degrees counter-clockwise from x.
    meander, meander_length : float
        Root mean square deviation of the edges from a straight line, and its correlation length, in nm.
    """

    change: Mapping[str, float]
    relief: float = 0.0
    period: float = 380.0
    lower: tuple[float, float] = (-185.0, -150.0)
    upper: tuple[float, float] = (-60.0, -35.0)
    crossover: float = 22.0
    angle: float = 84.0
    meander: float = 14.0
    meander_length: float = 70.0


@dataclass(frozen=True)
class Regions:
    """The second electronic region of one surface.

    Attributes
    ----------
    band : Band or None
        None for a sample without a second region.
    seed : int
    """

    band: Band | None
    seed: int

    @property
    def meander(self) -> SmoothField | None:
        """The deviation of the edges from straight lines, in units of its root mean square; None without a second region."""
        return SmoothField(self.seed, "region", self.band.meander_length) if self.band is not None else None

    def share(self, points: Floats, meander: Floats | None = None) -> Floats:
        """Return how far each place belongs to the second region.

        Parameters
        ----------
        points : ndarray of shape (n, 2)
            Places as (x, y), in nm.
        meander : ndarray of shape (n,), optional
            Values of `meander` there, where they are known already.

        Returns
        -------
        ndarray of shape (n,)
            From 0 to 1; 0 everywhere for a sample without a second region.
        """
        if self.band is None or self.meander is None:
            return np.zeros(len(points))
        off = self.meander(points) if meander is None else meander
        across = points @ direction(self.band.angle) + self.band.meander * off
        ends = float(across.min()), float(across.max())
        first, last = (math.floor(end / self.band.period + 0.5) for end in ends)
        width, share = self.band.crossover / (2 * math.log(9)), np.zeros(len(points))
        far = _FAR * width
        for tile in range(first - 1, last + 2):  # the edge of the next band may lie at the very end of its period
            low, high = _edges(self, tile)
            if ends[1] > low - far and ends[0] < high + far:
                inside = ends[0] > low + far and ends[1] < high - far
                share += 1.0 if inside else _rise((across - low) / width) * _rise((high - across) / width)
        return share


_FAR = 37.0
"""Distance from an edge, in widths of its crossover, beyond which nothing is left of it: exp(-37) = 1e-16."""


@lru_cache(maxsize=1024)
def _edges(regions: Regions, tile: int) -> tuple[float, float]:
    assert regions.band is not None
    rng = block_rng(regions.seed, "band", tile)
    low, high = rng.uniform(*regions.band.lower), rng.uniform(*regions.band.upper)
    return tile * regions.band.period + low, tile * regions.band.period + high


def _rise(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True, eq=False)
class Puddle:
    """Long-range potential of unresolved charges, which shifts the states up and down.

    Attributes
    ----------
    change : mapping of str to float
        Root mean square of the shift of each parameter of the states that it changes.
    length : float
        Distance over which the correlation falls to 1/e, in nm.
    """

    change: Mapping[str, float]
    length: float
