"""Point defects: their species, density and positions, and the change of relief and states around each of them.

Each species is a Poisson process of its own. It is drawn block by block and thinned by a mild gradient of the density and by
the electronic region that the species prefers. The effects of neighbouring defects add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._charging import Charging
from bluesky_stm.surface._envelopes import Envelope
from bluesky_stm.surface._random import SmoothField, block_rng
from bluesky_stm.surface._regions import Regions

_BLOCK = 32.0
"""Side of the blocks in which defects are drawn, in nm."""

_BLOCKS = 16384
"""Number of blocks from which on those drawn before are forgotten."""

_NONE = np.empty((0, 5))
"""The defects that are drawn for a sample without species."""

_KEPT = _BLOCK / 2
"""Side of the squares for which all that reaches into them is kept, in nm."""

_MANY = 2**23
"""Number of pairs of place and defect, left after runs of places were compared, above which a search tree takes less memory."""

_RUN = 16
"""Number of consecutive places, as in a line of an image, that are compared with the defects together."""

_TOGETHER = 2048
"""Number of such runs whose places are compared at once: more than these no fast memory holds."""

_MOST = 1.5
"""Highest local density, in units of the mean density."""


@dataclass(frozen=True)
class Relief:
    """A bump (or, with a negative height, a pit) of the surface.

    Attributes
    ----------
    height : float
        Height at the maximum of the envelope, in nm.
    envelope : Envelope
        Shape of the bump, between 0 and 1.
    """

    height: float
    envelope: Envelope


@dataclass(frozen=True, eq=False)
class Influence:
    """A change of the local density of states around a defect.

    Attributes
    ----------
    change : mapping of str to float
        Amounts that are added to the parameters of the sample's `StateModel` where the envelope is 1, by parameter name.
    envelope : Envelope
        Shape of the change, between 0 and 1.
    part : str
        Name of this place within the defect, for a defect with places of more than one kind; empty otherwise.
    """

    change: Mapping[str, float]
    envelope: Envelope
    part: str = ""


@dataclass(frozen=True, eq=False)
class Species:
    """A species of defect.

    Attributes
    ----------
    name : str
    density : float
        Mean number in 100 nm2.
    relief : tuple of Relief
        Bumps and pits, which add up.
    influences : tuple of Influence
        Changes of the density of states, which add up.
    clearer_atoms : tuple of (Envelope, float)
        Regions in which the atomic lattice shows more strongly, and the factor of its amplitude there.
    spread : float
        Standard deviation of the size of the relief, relative to its mean.
    in_region : float
        Density within the second electronic region, in units of the density outside of it.
    loose : bool
        True for what lies on the surface, so that a tip can push it away.
    charging : Charging or None
        Charge that the defect takes on under the field of the tip; the sample has to say how it screens.
    """

    name: str
    density: float
    relief: tuple[Relief, ...] = ()
    influences: tuple[Influence, ...] = ()
    clearer_atoms: tuple[tuple[Envelope, float], ...] = ()
    spread: float = 0.12
    in_region: float = 1.0
    loose: bool = False
    charging: Charging | None = None

    @property
    def reach(self) -> float:
        """Distance beyond which the defect has no effect, in nm.

        It is the largest reach of its relief, of its influences on the states, of its charge, and of what makes the atoms
        around it clearer; 0 for a species without any of these.
        """
        envelopes = [part.envelope for part in self.relief] + [part.envelope for part in self.influences]
        envelopes += [envelope for envelope, _ in self.clearer_atoms]
        envelopes += [self.charging.envelope] if self.charging else []
        return max((envelope.reach for envelope in envelopes), default=0.0)


@dataclass(frozen=True)
class Defect:
    """One defect as it really is: the ground truth for tests and benchmarks.

    Attributes
    ----------
    species : str
        Name of the species.
    x, y : float
        Position, in nm.
    size : float
        Size of its relief, relative to the mean of its species.
    """

    species: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Pairs of a place and a defect near it, sorted by the index of the species.

    Attributes
    ----------
    places : int
        Number of places.
    first : list of int, of length species + 1
        Index of the first pair of each species, and as the last element the number of pairs.
    place : ndarray of shape (pairs,)
        Index of the place of each pair.
    dx, dy : ndarray of shape (pairs,)
        Vector from the defect to the place, in nm; of many places in single precision, which leaves 1e-6 nm.
    size : ndarray of shape (pairs,)
        Size of the defect, relative to the mean of its species.
    """

    places: int
    first: list[int]
    place: NDArray[np.intp]
    dx: Floats
    dy: Floats
    size: Floats

    def any(self, species: int) -> bool:
        """Return True when a defect of a species is near any of the places.

        Parameters
        ----------
        species : int
            Index of the species, in the order of those of the sample.
        """
        return self.first[species] < self.first[species + 1]

    def first_places(self, count: int) -> Neighbours:
        """Return the pairs of the first ``count`` places."""
        chosen = self.place < count
        first = np.append(0, np.cumsum(chosen))[self.first].tolist()
        return Neighbours(count, first, self.place[chosen], self.dx[chosen], self.dy[chosen], self.size[chosen])

    def sum(self, species: int, envelope: Envelope, sized: bool = False) -> Floats:
        """Sum an envelope over the defects of one species near each place.

        Parameters
        ----------
        species : int
            Index of the species.
        envelope : Envelope
            Function of the vector from defect to place.
        sized : bool
            Multiply each term by the size of its defect.

        Returns
        -------
        ndarray of shape (places,)
            The sum at each place; 0 where no defect of the species is near.
        """
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
        Electronic regions, which some species prefer.
    seed : int
    added : tuple of Defect
        Defects that did not grow there, such as debris of the tip.
    taken : tuple of Defect
        Defects that grew there and are no longer there, such as adsorbates that a tip has pushed away.
    gradient : float
        Root mean square of the variation of the density across the sample, relative to the density.
    gradient_length : float
        Distance over which the density varies, in nm.
    """

    species: tuple[Species, ...]
    regions: Regions
    seed: int
    added: tuple[Defect, ...] = ()
    taken: tuple[Defect, ...] = ()
    gradient: float = 0.15
    gradient_length: float = 150.0

    def within(self, low: Floats, high: Floats) -> Floats:
        """Return the defects of a rectangle.

        Parameters
        ----------
        low, high : ndarray of shape (2,)
            Lower left and upper right corner, as (x, y) in nm.

        Returns
        -------
        ndarray of shape (n, 4)
            Rows of x (nm), y (nm), relative size, and index of the species, by which they are sorted.
        """
        (left, bottom), (right, top) = (np.floor(corner / _BLOCK).astype(int).tolist() for corner in (low, high))
        blocks = [(i, j) for i in range(left, right + 1) for j in range(bottom, top + 1)]
        found = np.concatenate([*self._grown(blocks), self._added_rows])
        for gone in self._taken_rows:
            found = found[(found != gone).any(axis=1)]
        found = found[((found[:, :2] >= low) & (found[:, :2] < high)).all(axis=1)]
        return found[np.argsort(found[:, 3], kind="stable")]

    def near(self, points: Floats) -> Neighbours:
        """Return all pairs of a place in ``points`` (n, 2), in nm, and a defect within whose reach it lies.

        The defects of the bounding box of all places, widened by the largest reach, are drawn first. Those that are outside of
        it by more than their own reach are dropped before distances are computed.
        """
        low, high = points.min(axis=0), points.max(axis=0)
        block = (math.floor(low[0] / _KEPT), math.floor(low[1] / _KEPT))
        if block == (math.floor(high[0] / _KEPT), math.floor(high[1] / _KEPT)):
            # All that reaches into a small square is kept: most sets of places, such as those of a spectrum, lie within one.
            defects, species, reaches = _around(self, *block)
        else:
            defects, species, reaches = self._with_reach(low, high)
        if len(points) > _RUN:
            near = np.maximum(low - defects[:, :2], defects[:, :2] - high).max(axis=1, initial=-np.inf) < reaches
            defects, species, reaches = defects[near], species[near], reaches[near]
        defect, place, dx, dy = _pairs(defects, points, reaches)
        first = np.searchsorted(defect, np.searchsorted(species, self._numbers)).tolist()
        return Neighbours(len(points), first, place, dx, dy, defects[defect, 2])

    def _with_reach(self, low: Floats, high: Floats) -> tuple[Floats, NDArray[np.intp], Floats]:
        """Return the defects that may reach into a rectangle, as `within` does, the index of their species, and their reach."""
        most = self._reaches.max()
        defects = self.within(low - most, high + most)
        species = defects[:, 3].astype(int)
        return defects, species, self._reaches[species]

    @cached_property
    def _numbers(self) -> NDArray[np.intp]:
        return np.arange(len(self.species) + 1)

    def local_density(self, points: Floats, species: NDArray[np.intp]) -> Floats:
        """Return the local density of a species, in units of its mean density, at each place.

        Parameters
        ----------
        points : ndarray of shape (n, 2)
            Places, in nm.
        species : ndarray of shape (n,)
            Index of the species that is asked for at each place.

        Returns
        -------
        ndarray of shape (n,)
            At most `_MOST` outside of the second region, and ``in_region`` times as much inside.
        """
        gradient = SmoothField(self.seed, "gradient", self.gradient_length)(points)
        preference = np.array([s.in_region for s in self.species])[species]
        return (1 + (preference - 1) * self.regions.share(points)) * np.minimum(
            np.maximum(1 + self.gradient * gradient, 0.0), _MOST
        )

    def _grown(self, blocks: list[tuple[int, int]]) -> list[Floats]:
        """Return all defects of some blocks, in rows as of `within`.

        Each species is drawn independently of the others, so that changing the density of one changes no defect of another.
        """
        if len(self._known) > _BLOCKS:
            self._known.clear()
        if new := [block for block in blocks if block not in self._known]:
            drawn = [np.concatenate([_drawn(self, k, *block) for k in range(len(self.species))] or [_NONE]) for block in new]
            every = np.concatenate(drawn)
            local = self.local_density(every[:, :2], every[:, 3].astype(int)) if len(every) else np.empty(0)
            ends = np.cumsum([len(rows) for rows in drawn])[:-1]
            for block, rows, density in zip(new, drawn, np.split(local, ends), strict=True):
                self._known[block] = rows[rows[:, 4] < density, :4]
        return [self._known[block] for block in blocks]

    @cached_property
    def _known(self) -> dict[tuple[int, int], Floats]:
        return {}

    @cached_property
    def _added_rows(self) -> Floats:
        return self._rows(self.added)

    @cached_property
    def _taken_rows(self) -> Floats:
        return self._rows(self.taken)

    def _rows(self, defects: tuple[Defect, ...]) -> Floats:
        """Return defects in rows like those of `_block`."""
        names = [species.name for species in self.species]
        rows = [(defect.x, defect.y, defect.size, names.index(defect.species)) for defect in defects]
        return np.array(rows, dtype=float).reshape(-1, 4)

    @cached_property
    def _reaches(self) -> Floats:
        return np.array([species.reach for species in self.species])


Pairs = tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]


def _pairs(defects: Floats, points: Floats, reaches: Floats) -> Pairs:
    """Return all pairs within reach: the indices (defect, place), sorted by defect, and the vectors from one to the other.

    Places that follow each other are compared as the bounding boxes of runs of `_RUN` first; a search tree serves where more
    than `_MANY` pairs are left.
    """
    if len(points) % _RUN:
        if len(points) * len(defects) > _MANY:
            return _searched(defects, points, reaches)
        dx, dy = (points[:, k] - defects[:, k, None] for k in (0, 1))
        defect, place = np.nonzero(dx * dx + dy * dy < reaches[:, None] ** 2)
        return defect, place, dx[defect, place], dy[defect, place]
    x, y = (np.ascontiguousarray(points[:, k]).reshape(-1, _RUN) for k in (0, 1))
    apart = np.maximum(x.min(axis=1) - defects[:, 0, None], defects[:, 0, None] - x.max(axis=1))
    for beyond in (y.min(axis=1) - defects[:, 1, None], defects[:, 1, None] - y.max(axis=1)):
        np.maximum(apart, beyond, out=apart)
    defect, which = np.divmod(np.flatnonzero(apart < reaches[:, None]), len(x))
    if len(defect) * _RUN > _MANY:
        return _searched(defects, points, reaches)
    some = [slice(first, first + _TOGETHER) for first in range(0, max(len(defect), 1), _TOGETHER)]
    parts = [_compared(defects, x, y, reaches, defect[runs], which[runs]) for runs in some]
    found, places, right, up = zip(*parts, strict=True)
    return np.concatenate(found), np.concatenate(places), np.concatenate(right), np.concatenate(up)


def _compared(
    defects: Floats, x: Floats, y: Floats, reaches: Floats, defect: NDArray[np.intp], which: NDArray[np.intp]
) -> Pairs:
    """Return the pairs of some defects with the places of one run each, ``which`` of the runs ``x`` and ``y``."""
    dx = (np.take(x, which, axis=0) - defects[defect, 0, None]).astype(np.float32)
    dy = (np.take(y, which, axis=0) - defects[defect, 1, None]).astype(np.float32)
    inside = np.flatnonzero(dx * dx + dy * dy < (reaches**2).astype(np.float32)[defect, None])
    found, place = np.divmod(inside, _RUN)
    return defect[found], which[found] * _RUN + place, dx.ravel()[inside], dy.ravel()[inside]


def _searched(defects: Floats, points: Floats, reaches: Floats) -> Pairs:
    """Return the same as `_pairs`, found by a search tree."""
    from scipy.spatial import cKDTree

    pairs = cKDTree(defects[:, :2]).sparse_distance_matrix(cKDTree(points), reaches.max(), output_type="ndarray")
    pairs = pairs[pairs["v"] < reaches[pairs["i"]]]
    pairs = pairs[np.lexsort((pairs["j"], pairs["i"]))]
    return pairs["i"], pairs["j"], *(points[pairs["j"]] - defects[pairs["i"], :2]).astype(np.float32).T


@lru_cache(maxsize=1024)
def _around(population: Population, i: int, j: int) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return what may reach into square (i, j), as of `Population._with_reach`."""
    low = np.array([i, j]) * _KEPT
    return population._with_reach(low, low + _KEPT)  # noqa: SLF001


def _drawn(population: Population, number: int, i: int, j: int) -> Floats:
    """Draw the defects of one species in block (i, j) as if its density were the highest one everywhere.

    The last of the five columns (x, y, size, index of the species, threshold) is the relative density that the defect needs: it
    is kept where the local density is higher (thinning of a Poisson process).
    """
    species = population.species[number]
    rng = block_rng(population.seed, species.name, i, j)
    most = _MOST * max(1.0, species.in_region)
    drawn = np.empty((rng.poisson(species.density / 100 * _BLOCK**2 * most), 5))
    if len(drawn):
        drawn[:, :2] = (np.array([i, j]) + rng.random((len(drawn), 2))) * _BLOCK
        drawn[:, 2] = 1 + species.spread * np.minimum(np.maximum(rng.standard_normal(len(drawn)), -2.5), 2.5)
        drawn[:, 3], drawn[:, 4] = number, rng.random(len(drawn)) * most
    return drawn
