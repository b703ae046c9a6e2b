"""A set of places on a surface and their properties, each computed once however many callers ask for it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._barrier import Barrier
from bluesky_stm.surface._charging import Charges, Pairs
from bluesky_stm.surface._defects import Neighbours, Species
from bluesky_stm.surface._landscape import Landscape
from bluesky_stm.surface._random import SmoothField, smooth_fields
from bluesky_stm.surface._setpoint import ConstantCurrent, constant_current
from bluesky_stm.surface._states import mean_states
from bluesky_stm.surface._tunneling import SweepIntegral
from bluesky_stm.surface._waves import StandingWaves

_EDGE = 3.0
"""Distance from a step, in widths of its change of the states, beyond which nothing is left of it: 2**-81."""


class SurfacePoints:
    """Properties of a surface at some places; every answer has one row for each place.

    Parameters
    ----------
    surface : Landscape
    points : ndarray of shape (n, 2)
        Places as (x, y), in nm.
    barrier : Barrier, optional
        Tunnel barrier to the tip; by default that to an ideal tip.
    """

    def __init__(self, surface: Landscape, points: Floats, barrier: Barrier | None = None) -> None:
        self.surface = surface
        self.points = np.asfortranarray(points)
        self.barrier = barrier or surface.barrier

    @cached_property
    def parameters(self) -> Floats:
        """Parameters of the states at each place; shape (n, P), in the order of the names of the model.

        They are those of the terrace plus all changes by what is near, each times its share.
        """
        numbers, shares = [0, *self._present], [np.ones(len(self.points)), *(share for _, share in self._present.values())]
        return (self.surface.changes[numbers].T @ np.array(shares)).T

    @property
    def shares(self) -> dict[str, Floats]:
        """Amount of each change of the states at each place, by its cause; shape (n,) each.

        Causes that are nowhere near are left out.
        """
        named: dict[str, Floats] = {}
        for name, share in self._present.values():
            named[name] = np.maximum(named.get(name, 0.0), np.abs(share))
        return named

    def density(self, energy: Floats) -> Floats:
        """Return the local density of states, bent by the tip.

        Parameters
        ----------
        energy : ndarray of shape (K,)
            Energies, in eV from the Fermi level, increasing.

        Returns
        -------
        ndarray of shape (n, K)
        """
        at = energy - self.barrier.bending
        density = self.surface.sample.model.density(self.parameters, at)
        if self._waving is not None:
            waves, near, distance, band, bottom = self._waving
            density[near] += waves.density(distance, band, at - bottom)
        return density

    def states(self, edges: Floats) -> Floats:
        """Return the mean local density of states in energy bins, bent by the tip.

        Parameters
        ----------
        edges : ndarray of shape (K + 1,)
            Edges of the bins, in eV from the Fermi level, increasing.

        Returns
        -------
        ndarray of shape (n, K)
        """
        at = edges - self.barrier.bending
        states = mean_states(self.surface.sample.model, self.parameters, at)
        if self._waving is not None:
            waves, near, distance, band, bottom = self._waving
            counted = waves.count(distance, band, at - bottom)
            states[near] += np.diff(counted) / np.diff(at)
        return states

    def _carried(self, kept: ConstantCurrent) -> Floats:
        """Return the current at each of the gaps between which a feedback looks; shape (R, n)."""
        if self._waving is not None:
            return kept.weights @ self.states(kept.edges).T
        return kept.carried(self.surface.sample.model, self.parameters, self.barrier.bending)

    def relief(self, slope: float = np.inf) -> Floats:
        """Return the height of the atoms, as a tip can follow it.

        Parameters
        ----------
        slope : float
            Steepness of the flanks of the tip (rise over run), which limits the descent at a step edge.

        Returns
        -------
        ndarray of shape (n,)
            In nm: steps, the second region, patterns and defects; without the atomic corrugation.
        """
        height = self.surface.staircase.height(self._downhill, slope)
        if self.surface.sample.band is not None:
            height += self.surface.sample.band.relief * self._region
        for each in self.surface.sample.patterns:
            if each.relief:
                height += each.relief * each(self.points)
        for number, species in self._species:
            for part in species.relief:
                height += part.height * self._neighbours.sum(number, part.envelope, sized=True)
        return height

    def gap(self, setpoint: Setpoint) -> Floats:
        """Return the distance between tip and atoms at constant current.

        Parameters
        ----------
        setpoint : Setpoint
            Bias (V) and current (nA) that the feedback keeps.

        Returns
        -------
        ndarray of shape (n,)
            In nm; ``-inf`` where no states can carry the current.
        """
        kept = constant_current(self.barrier, setpoint, self.surface.finest)
        gap = kept.gap(self._carried(kept))
        if self._charges is not None:
            full = kept.gap(kept.weights @ self._charges.states(kept.edges).T)
            # The share itself depends on the gap. That over the neutral defect is taken, and nothing is iterated.
            both = np.isfinite(gap) & np.isfinite(full)  # where nothing carries the current there is no gap to begin with
            share = self._charges.share(np.where(both, gap, 0.0), np.array([setpoint.bias]))[0, :, 0]
            gap[both] += share[both] * (full - gap)[both]
        return gap

    def carried(self, sweep: SweepIntegral, gap: Floats) -> Floats:
        """Return the current and the modulated currents of a sweep, with the charges that it switches.

        Parameters
        ----------
        sweep : SweepIntegral
            Biases and modulation of the sweep.
        gap : ndarray of shape (n,)
            Distance between tip and surface, in nm.

        Returns
        -------
        ndarray of shape (1 + harmonics, n, J)
            In nA, as of `SweepIntegral`.
        """
        carried = sweep(self.states(sweep.edges), gap)
        if self._charges is not None:
            added = sweep(self._charges.states(sweep.edges), gap) - carried
            share = self._charges.share(gap, sweep.bias, sweep.modulation, sweep.harmonics)
            carried += share[0] * added
            # Product rule: the modulation also switches the charge, which carries the step of the current along.
            carried[1:] += share[1:] * added[0]
        return carried

    def height(self, setpoint: Setpoint, slope: float = np.inf) -> Floats:
        """Return the height of the tip at constant current: `relief` and `standing`.

        Parameters
        ----------
        setpoint : Setpoint
            Bias (V) and current (nA) that the feedback keeps.
        slope : float
            Steepness of the flanks of the tip (rise over run).

        Returns
        -------
        ndarray of shape (n,)
            In nm.
        """
        return self.relief(slope) + self.standing(setpoint)

    def standing(self, setpoint: Setpoint) -> Floats:
        """Return how high the tip stands above the relief: the gap, and the atomic corrugation that is left at its distance.

        Parameters
        ----------
        setpoint : Setpoint
            Bias (V) and current (nA) that the feedback keeps.

        Returns
        -------
        ndarray of shape (n,)
            In nm.
        """
        gap = self.gap(setpoint)
        return gap + self._corrugation(gap)

    def first(self, count: int) -> SurfacePoints:
        """Return the first ``count`` places by themselves; steps, regions and neighbours are not looked up again."""
        part = SurfacePoints(self.surface, self.points[:count], self.barrier)
        fields = {field: values[:count] for field, values in self._fields.items()}
        part.__dict__.update(_fields=fields, _downhill=self._downhill[:count], _region=self._region[:count])
        part.__dict__.update(_neighbours=self._neighbours.first_places(count))
        return part

    def _corrugation(self, gap: Floats) -> Floats:
        """Return the atomic corrugation at the tip, in nm.

        It decays with the gap as ``exp(-(sqrt(k**2 + G**2) - k) z)`` (J. Tersoff and D. R. Hamann, PRB 31, 805 (1985)).
        """
        lattice, decay = self.surface.sample.lattice, self.barrier.mean_decay
        fall = np.hypot(decay, lattice.wave_number) - decay
        strength = np.ones(len(self.points))
        for number, species in self._species:
            for envelope, factor in species.clearer_atoms:
                strength += (factor - 1) * self._neighbours.sum(number, envelope)
        # Where nothing carries the current the gap is -inf, and the corrugation must not become infinite.
        return lattice.corrugation * np.exp(-fall * np.maximum(gap, 0.0)) * strength * lattice(self.points)

    @cached_property
    def _fields(self) -> dict[SmoothField, Floats]:
        """Values of all smooth fields of the surface here; shape (n,) each."""
        return dict(zip(self.surface.fields, smooth_fields(self.surface.fields, self.points), strict=True))

    @cached_property
    def _downhill(self) -> Floats:
        return self.surface.staircase.downhill(self.points, self._fields[self.surface.staircase.meander])

    @cached_property
    def _from_edge(self) -> Floats:
        return self.surface.staircase.distance(self._downhill)

    @cached_property
    def _waving(self) -> tuple[StandingWaves, NDArray[np.intp], Floats, Floats, Floats] | None:
        """The waves, the places that they reach (m,), and for these distance from the edge, density and bottom of the band."""
        waves = self.surface.sample.waves
        near = np.flatnonzero(self._from_edge < waves.reach) if waves is not None else np.empty(0, dtype=int)
        if waves is None or not len(near):
            return None
        names = self.surface.sample.model.names
        band, bottom = (self.parameters[near, names.index(name)][:, None] for name in (waves.band, waves.bottom))
        return waves, near, self._from_edge[near][:, None], band, bottom

    @cached_property
    def _charges(self) -> Charges | None:
        """The defects near these places that can change their charge; None when there are none."""
        pairs: list[Pairs] = []
        charging = [number for number, species in enumerate(self.surface.sample.species) if species.charging]
        first = len(self.surface.changes) - len(charging)
        parameters = self.parameters
        for number, species in self._species if charging else ():
            if species.charging is not None:
                near = slice(self._neighbours.first[number], self._neighbours.first[number + 1])
                dx, dy, place = self._neighbours.dx[near], self._neighbours.dy[near], self._neighbours.place[near]
                weight = species.charging.envelope(dx, dy)
                pairs.append((species.charging.lift, place, np.hypot(dx, dy), weight))
                share = np.bincount(place, weight, minlength=len(self.points))
                parameters = parameters + np.outer(share, self.surface.changes[first + charging.index(number)])
        return Charges(self.barrier, self.surface.sample.model, parameters, tuple(pairs)) if pairs else None

    @cached_property
    def _region(self) -> Floats:
        meander = self.surface.regions.meander
        return self.surface.regions.share(self.points, self._fields[meander] if meander else None)

    @cached_property
    def _neighbours(self) -> Neighbours:
        return self.surface.population.near(self.points)

    @cached_property
    def _species(self) -> list[tuple[int, Species]]:
        """The species that are near any of the places, with their indices."""
        return [(number, s) for number, s in enumerate(self.surface.sample.species) if self._neighbours.any(number)]

    @cached_property
    def _present(self) -> dict[int, tuple[str, Floats]]:
        """The changes of the states at these places: name and amount (n,), by the row in `Landscape.changes`.

        The order of the rows has to be that in which `Landscape.changes` lists them.
        """
        surface, sample = self.surface, self.surface.sample
        present: dict[int, tuple[str, Floats]] = {}
        for i in range(len(sample.puddles)):
            present[1 + i] = "puddle", self._fields[surface.fields[i]]
        row = 1 + len(sample.puddles)
        for each in sample.patterns:
            if each.change:
                present[row] = "pattern", each(self.points)
            row += 1
        if sample.band is not None:
            present[row] = "region", self._region
            row += 1
        if sample.edge is not None:
            if surface.staircase.clearance(self._downhill) < _EDGE * sample.edge_width:
                present[row] = "edge", np.exp2(-((self._from_edge / sample.edge_width) ** 4))
            row += 1
        for number, species in self._species:
            before = sum(len(other.influences) for other in sample.species[:number])
            for i, part in enumerate(species.influences):
                name = f"{species.name} {part.part}".strip()
                present[row + before + i] = name, self._neighbours.sum(number, part.envelope)
        return present
