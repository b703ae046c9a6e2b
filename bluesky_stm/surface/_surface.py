"""A surface: relief and states of any place, the same at every magnification.

Everything here is a pure function of place, sample and seed. Nothing is stored but what can be computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.errors import UnknownNameError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.parts import samples
from bluesky_stm.surface._barrier import Barrier
from bluesky_stm.surface._defects import Defect
from bluesky_stm.surface._euzn2as2 import EuZn2As2
from bluesky_stm.surface._landscape import Landscape
from bluesky_stm.surface._points import SurfacePoints
from bluesky_stm.surface._sample import Sample
from bluesky_stm.surface._sample_part import SamplePart
from bluesky_stm.validated import JSON, Data

_USUAL: Final = EuZn2As2()

_SIDE = 64
"""Side of the squares in which an image is computed; the memory needed grows with these squares, not with the image."""


class Surface(Landscape):
    """An unbounded surface.

    Parameters
    ----------
    sample : str, mapping, SamplePart or Sample
        Material: a sample chosen by name, as `parts.samples` takes it, or data of your own.
    seed : int
        Each seed gives another surface of that sample.
    added : sequence of Defect
        Defects besides those that grew there, such as debris of the tip.
    taken : sequence of Defect
        Defects that grew there and are no longer there, such as adsorbates that a tip has pushed away.
    """

    def __init__(
        self,
        sample: str | Data | SamplePart | Sample = _USUAL,
        seed: int = 0,
        added: Sequence[Defect] = (),
        taken: Sequence[Defect] = (),
    ) -> None:
        self._chosen = sample if isinstance(sample, Sample) else samples.make(sample)
        super().__init__(self._chosen if isinstance(self._chosen, Sample) else self._chosen.build(), seed, added, taken)

    def with_defects(self, *more: Defect) -> Self:
        """Return the same surface with more defects.

        Raises
        ------
        UnknownNameError
            When the sample has no such species.
        """
        names = [species.name for species in self.sample.species]
        for defect in more:
            if defect.species not in names:
                raise UnknownNameError.among(f"defect of {self.sample.name}", defect.species, names)
        return type(self)(self._chosen, self.seed, (*self.population.added, *more), self.population.taken)

    def with_moved(self, defect: Defect, to: Point) -> Self:
        """Return the same surface with one of its defects at another place.

        Parameters
        ----------
        defect : Defect
            One of `defects`, which grew there or was added.
        to : Point
            Its new place as (x, y), in nm.
        """
        added, taken = [one for one in self.population.added if one != defect], self.population.taken
        if len(added) == len(self.population.added):
            taken = (*taken, defect)
        return type(self)(self._chosen, self.seed, (*added, replace(defect, x=to.x, y=to.y)), taken)

    def loose(self, point: Point, reach: float) -> list[Defect]:
        """Return the defects near a place that lie on the surface and can be pushed away.

        Parameters
        ----------
        point : Point
            Place as (x, y), in nm.
        reach : float
            Radius around it, in nm.

        Returns
        -------
        list of Defect
            Those of a species that is loose; empty when there is none.
        """
        kinds = {species.name for species in self.sample.species if species.loose}
        around = self.defects(np.array(point) - reach, np.array(point) + reach)
        return [d for d in around if d.species in kinds and math.dist((d.x, d.y), point) < reach]

    def describe(self) -> JSON:
        """Return the sample with its settings, and the seed; of data without a part the name alone."""
        chosen = {"name": self.sample.name} if isinstance(self._chosen, Sample) else self._chosen.describe()
        return {"sample": chosen, "seed": self.seed}

    # ---- what a tip sees ------------------------------------------------------------------------------------------

    def relief(self, points: ArrayLike, slope: float = np.inf) -> Floats:
        """Return the height of the atoms at the places, as a tip can follow it.

        Parameters
        ----------
        points : array_like of shape (..., 2)
            Places as (x, y), in nm.
        slope : float
            Steepness of the flanks of the tip (rise over run).

        Returns
        -------
        ndarray of shape (...)
            In nm.
        """
        return self.evaluate(points, lambda at: at.relief(slope))

    def ldos(self, points: ArrayLike, energies: ArrayLike) -> Floats:
        """Return the local density of states.

        Parameters
        ----------
        points : array_like of shape (..., 2)
            Places as (x, y), in nm.
        energies : array_like of shape (K,)
            In eV from the Fermi level, increasing.

        Returns
        -------
        ndarray of shape (..., K)
            Relative to the unit of the sample's `StateModel`.
        """
        energy = np.asarray(energies, dtype=float)
        return self.evaluate(points, lambda at: at.density(energy))

    def height(
        self,
        points: ArrayLike,
        setpoint: Setpoint | None = None,
        slope: float = np.inf,
        barrier: Barrier | None = None,
    ) -> Floats:
        """Return the height of the tip at constant current.

        Parameters
        ----------
        points : array_like of shape (..., 2)
            Places as (x, y), in nm.
        setpoint : Setpoint, optional
            Bias (V) and current (nA) that the feedback keeps; by default the reference of the sample.
        slope : float
            Steepness of the flanks of the tip (rise over run).
        barrier : Barrier, optional
            Tunnel barrier; by default that to a tip without states of its own.

        Returns
        -------
        ndarray of shape (...)
            In nm.
        """
        kept = setpoint or self.sample.reference
        return self.evaluate(points, lambda at: at.height(kept, slope), barrier)

    def evaluate(
        self, points: ArrayLike, function: Callable[[SurfacePoints], Floats], barrier: Barrier | None = None
    ) -> Floats:
        """Evaluate ``function`` at any number of places, a square of them at a time.

        Parameters
        ----------
        points : array_like of shape (..., 2)
            Places as (x, y), in nm.
        function : callable
            Takes `SurfacePoints` of m places and returns an array whose first axis has length m.
        barrier : Barrier, optional
            Tunnel barrier that the `SurfacePoints` are given.

        Returns
        -------
        ndarray of shape (..., *rest)
            ``rest`` being the further axes of what ``function`` returns.
        """
        places = np.asarray(points, dtype=float)
        if places.ndim != 3:
            places = places.reshape(1, -1, 2)
        result = None
        for square in _squares(places.shape[:2]):
            patch = places[square]
            values = function(SurfacePoints(self, patch.reshape(-1, 2), barrier))
            if result is None:
                result = np.empty((*places.shape[:2], *values.shape[1:]))
            result[square] = values.reshape(*patch.shape[:2], *values.shape[1:])
        assert result is not None
        return result.reshape((*np.shape(points)[:-1], *result.shape[2:]))

    # ---- the truth, for tests and benchmarks ----------------------------------------------------------------------

    def defects(self, low: ArrayLike, high: ArrayLike) -> list[Defect]:
        """Return all defects in a rectangle.

        Parameters
        ----------
        low, high : array_like of shape (2,)
            Corners as (x, y), in nm; both components of ``low`` are the smaller ones.
        """
        corners = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        names = [species.name for species in self.sample.species]
        return [Defect(names[int(k)], float(x), float(y), float(size)) for x, y, size, k in self.population.within(*corners)]

    def region(self, points: ArrayLike) -> Floats:
        """Return the share of the second electronic region at the places.

        Parameters
        ----------
        points : array_like of shape (..., 2)
            Places as (x, y), in nm.

        Returns
        -------
        ndarray of shape (...)
            From 0 to 1; 0 everywhere for a sample without a second region.
        """
        return self.evaluate(points, lambda at: self.regions.share(at.points))


def _squares(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Cut an array of that shape into squares, or a single row into pieces of as many places."""
    rows, columns = (_SIDE, _SIDE) if shape[0] > 1 else (1, _SIDE**2)
    for row_ in range(0, shape[0], rows):
        for column in range(0, shape[1], columns):
            yield slice(row_, row_ + rows), slice(column, column + columns)
