"""Point defects: which, how many, where, and what each does to relief and states around it.

Each species is a Poisson process of its own, drawn block by block, thinned by a mild gradient of density and by the region it
prefers. Effects of neighbours add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._envelopes import Envelope
from bluesky_stm.surface._random import SmoothField, block_rng
from bluesky_stm.surface._regions import Regions

_BLOCK = 32.0
"""Side of the blocks in which defects are drawn, in nm."""

_MANY = 2**21
"""Pairs of place and defect above which a search tree is faster than looking at all."""

_RUN = 64
"""Places that follow each other, as in a line of an image, and are looked at together."""

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
    """Pairs of a place and a defect near it, by the number of the species.

    Attributes
    ----------
    places : int
        Number of places.
    first : ndarray
        Where the pairs of each species begin, and where the last ones end.
    place : ndarray
        Index of the place of each pair.
    dx, dy : ndarray
        Way from the defect to the place, in nm.
    size : ndarray
        Size of the defect relative to its species.
    """

    places: int
    first: NDArray[np.intp]
    place: NDArray[np.intp]
    dx: Floats
    dy: Floats
    size: Floats

    def any(self, species: int) -> bool:
        """Whether a defect of that species is near any of the places."""
        return bool(self.first[species] < self.first[species + 1])

    def sum(self, species: int, envelope: Envelope, sized: bool = False) -> Floats:
        """The envelope summed over the defects near each place, each times its size if ``sized``; shape (places,)."""
        pairs = slice(self.first[species], self.first[species + 1])
        values = envelope(self.dx[pairs], self.dy[pairs])
        weights = values * self.size[pairs] if sized else values
        return np.bincount(self.place[pairs], weights, minlength=self.places).astype(float)


@dataclass(frozen=True, eq=False)
class Population:
    """All defects of one surface.

    Attributes
    ----------
    species : tuple of Species
    regions : Regions
    seed : int
    added : tuple of Defect
        Those that did not grow there.
    gradient : float
        Root mean square of the variation of the density across the sample, relative.
    gradient_length : float
        Distance over which it varies, in nm.
    """

    species: tuple[Species, ...]
    regions: Regions
    seed: int
    added: tuple[Defect, ...] = ()
    gradient: float = 0.15
    gradient_length: float = 150.0

    def within(self, low: Floats, high: Floats) -> Floats:
        """Defects of the rectangle from ``low`` to ``high`` (x, y) in nm; rows (x, y, size, number of the species), sorted."""
        (left, bottom), (right, top) = (np.floor(corner / _BLOCK).astype(int).tolist() for corner in (low, high))
        blocks = [_block(self, i, j) for i in range(left, right + 1) for j in range(bottom, top + 1)]
        found = np.concatenate([*blocks, self._added_rows])
        found = found[((found[:, :2] >= low) & (found[:, :2] < high)).all(axis=1)]
        return found[np.argsort(found[:, 3], kind="stable")]

    def near(self, points: Floats) -> Neighbours:
        """All pairs of a place (n, 2) and a defect within reach of it."""
        reaches = self._reaches
        low, high = points.min(axis=0), points.max(axis=0)
        defects = self.within(low - reaches.max(), high + reaches.max())
        outside = np.maximum(low - defects[:, :2], defects[:, :2] - high).max(axis=1, initial=-np.inf)
        defects = defects[outside < reaches[defects[:, 3].astype(int)]]
        species = defects[:, 3].astype(int)
        defect, place = _pairs(defects[:, :2], points, reaches[species])
        first = np.searchsorted(species[defect], np.arange(len(self.species) + 1))
        dx, dy = (points[place] - defects[defect, :2]).T
        return Neighbours(len(points), first, place, dx, dy, defects[defect, 2])

    def local_density(self, points: Floats, species: NDArray[np.intp]) -> Floats:
        """Density at the places (n, 2) of the species with the numbers (n,), in units of their mean ones."""
        gradient = SmoothField(self.seed, "gradient", self.gradient_length)(points)
        preference = np.array([s.in_region for s in self.species])[species]
        return (1 + (preference - 1) * self.regions.share(points)) * np.clip(1 + self.gradient * gradient, 0.0, _MOST)

    @cached_property
    def _added_rows(self) -> Floats:
        """What was added, in rows as those of a block."""
        names = [species.name for species in self.species]
        rows = [(defect.x, defect.y, defect.size, names.index(defect.species)) for defect in self.added]
        return np.array(rows, dtype=float).reshape(-1, 4)

    @cached_property
    def _reaches(self) -> Floats:
        return np.array([species.reach for species in self.species])


def _pairs(defects: Floats, points: Floats, reaches: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of all pairs within reach, defect by defect: run by run of places, or by a tree for places far apart."""
    if len(points) * len(defects) > _MANY:
        pairs = cKDTree(defects).sparse_distance_matrix(cKDTree(points), reaches.max(), output_type="ndarray")
        pairs = pairs[pairs["v"] < reaches[pairs["i"]]]
        pairs = pairs[np.lexsort((pairs["j"], pairs["i"]))]
        return pairs["i"], pairs["j"]
    run = _RUN if len(points) % _RUN == 0 else 1
    runs = points.reshape(-1, run, 2)
    low, high = runs.min(axis=1), runs.max(axis=1)
    apart = [np.maximum(low[:, k] - defects[:, k, None], defects[:, k, None] - high[:, k]) for k in (0, 1)]
    defect, which = np.nonzero(np.maximum(*apart) < reaches[:, None])
    dx, dy = (runs[which, :, k] - defects[defect, k, None] for k in (0, 1))
    found, inside = np.nonzero(dx * dx + dy * dy < reaches[defect, None] ** 2)
    return defect[found], which[found] * run + inside


@lru_cache(maxsize=16384)
def _block(population: Population, i: int, j: int) -> Floats:
    """All defects of a block; each species is drawn for itself, so that its density changes no other."""
    drawn = np.concatenate([np.empty((0, 5)), *(_drawn(population, k, i, j) for k in range(len(population.species)))])
    if not len(drawn):
        return drawn[:, :4]
    kept = drawn[:, 4] < population.local_density(drawn[:, :2], drawn[:, 3].astype(int))
    return drawn[kept, :4]


def _drawn(population: Population, number: int, i: int, j: int) -> Floats:
    """Defects of one species as if its density were the highest everywhere: (x, y, size, number, the density they need)."""
    species = population.species[number]
    rng = block_rng(population.seed, species.name, i, j)
    most = _MOST * max(1.0, species.in_region)
    count = rng.poisson(species.density / 100 * _BLOCK**2 * most)
    places = (np.array([i, j]) + rng.random((count, 2))) * _BLOCK
    size = 1 + species.spread * np.clip(rng.standard_normal(count), -2.5, 2.5)
    return np.column_stack([places, size, np.full(count, number), rng.random(count) * most])
