"""Point defects: which, how many, where, and what each does to relief and states around it.

Each species is a Poisson process of its own, drawn block by block, thinned by a mild gradient of density and by the region it
prefers. Effects of neighbours add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._envelopes import Envelope
from bluesky_stm.surface._random import SmoothField, block_rng
from bluesky_stm.surface._regions import Regions

_BLOCK = 32.0
"""Side of the blocks in which defects are drawn, in nm."""

_MANY = 2**20
"""Pairs of place and defect above which a search tree is faster than looking at all."""

_MOST = 1.5
"""Highest local density, in units of the mean one."""


@dataclass(frozen=True)
class Relief:
    """A bump (or, negative, a pit) of the surface: ``height`` nm times an envelope."""

    height: float
    envelope: Envelope


@dataclass(frozen=True, eq=False)
class Influence:
    """A change of the states: parameters of the sample's `StateModel` that are added, times an envelope.

    ``part`` names it where a defect has places of more than one kind.
    """

    change: Mapping[str, float]
    envelope: Envelope
    part: str = ""


@dataclass(frozen=True, eq=False)
class Species:
    """A kind of defect.

    Attributes
    ----------
    name : str
    density : float
        Mean number in 100 nm2.
    relief : tuple of Relief
    influences : tuple of Influence
    clearer_atoms : tuple of (Envelope, float)
        Where the atomic lattice shows more strongly, and how many times as strongly.
    spread : float
        Standard deviation of the size of its relief, relative.
    in_region : float
        Density within the second electronic region, in units of that outside.
    """

    name: str
    density: float
    relief: tuple[Relief, ...] = ()
    influences: tuple[Influence, ...] = ()
    clearer_atoms: tuple[tuple[Envelope, float], ...] = ()
    spread: float = 0.12
    in_region: float = 1.0

    @property
    def reach(self) -> float:
        """Distance beyond which it has no effect, in nm."""
        envelopes = [part.envelope for part in self.relief] + [part.envelope for part in self.influences]
        envelopes += [envelope for envelope, _ in self.clearer_atoms]
        return max((envelope.reach for envelope in envelopes), default=0.0)


@dataclass(frozen=True)
class Defect:
    """The truth about one defect: what it is, where (nm), and the size of its relief relative to its species."""

    species: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Pairs of a place and a defect: the index of the place, the way from defect to place (nm), the size of the defect."""

    places: int
    place: NDArray[np.intp]
    dx: Floats
    dy: Floats
    size: Floats

    def sum(self, envelope: Envelope, sized: bool = False) -> Floats:
        """The envelope summed over the defects near each place, each times its size if ``sized``; shape (places,)."""
        if not len(self.place):
            return np.zeros(self.places)
        values = envelope(self.dx, self.dy)
        return np.bincount(self.place, values * self.size if sized else values, minlength=self.places).astype(float)


@dataclass(frozen=True)
class Population:
    """All defects of one species on one surface.

    Attributes
    ----------
    species : Species
    regions : Regions
    seed : int
    gradient : float
        Root mean square of the variation of the density across the sample, relative.
    gradient_length : float
        Distance over which it varies, in nm.
    """

    species: Species
    regions: Regions
    seed: int
    gradient: float = 0.15
    gradient_length: float = 150.0

    def within(self, low: Floats, high: Floats) -> Floats:
        """Defects of the rectangle from ``low`` to ``high`` (x, y) in nm; rows (x, y, size)."""
        first, last = np.floor(low / _BLOCK).astype(int), np.floor(high / _BLOCK).astype(int)
        blocks = [_block(self, i, j) for i in range(first[0], last[0] + 1) for j in range(first[1], last[1] + 1)]
        found = np.concatenate(blocks)
        return found[((found[:, :2] >= low) & (found[:, :2] < high)).all(axis=1)]

    def near(self, points: Floats) -> Neighbours:
        """All pairs of a place (n, 2) and a defect within reach of it."""
        reach = self.species.reach
        defects = self.within(points.min(axis=0) - reach, points.max(axis=0) + reach)
        place, defect = _pairs(points, defects[:, :2], reach)
        dx, dy = (points[place] - defects[defect, :2]).T
        return Neighbours(len(points), place, dx, dy, defects[defect, 2])

    def local_density(self, points: Floats) -> Floats:
        """Density at the places (n, 2), in units of the mean one."""
        gradient = SmoothField(self.seed, "gradient", self.gradient_length)(points)
        region = 1 + (self.species.in_region - 1) * self.regions.share(points)
        return region * np.clip(1 + self.gradient * gradient, 0.0, _MOST)


def _pairs(points: Floats, others: Floats, reach: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of all pairs closer than ``reach``: by brute force for places close together, by a tree for scattered ones."""
    if len(points) * len(others) > _MANY:
        pairs = cKDTree(points).sparse_distance_matrix(cKDTree(others), reach, output_type="ndarray")
        return pairs["i"], pairs["j"]
    dx, dy = (points[:, None, axis] - others[:, axis] for axis in (0, 1))
    place, other = np.nonzero(dx**2 + dy**2 < reach**2)
    return place, other


@lru_cache(maxsize=16384)
def _block(population: Population, i: int, j: int) -> Floats:
    species = population.species
    rng = block_rng(population.seed, species.name, i, j)
    most = _MOST * max(1.0, species.in_region)
    count = rng.poisson(species.density / 100 * _BLOCK**2 * most)
    places = (np.array([i, j]) + rng.random((count, 2))) * _BLOCK
    size = 1 + species.spread * np.clip(rng.standard_normal(count), -2.5, 2.5)
    if count == 0:
        return np.empty((0, 3))
    kept = rng.random(count) * most < population.local_density(places)
    return np.column_stack([places, size])[kept]
