"""A handful of places, and what is known of the surface there: each part is computed once, however many ask for it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._defects import Neighbours, Species
from bluesky_stm.surface._landscape import Landscape
from bluesky_stm.surface._random import SmoothField
from bluesky_stm.surface._tunneling import Barrier, constant_current


class SurfacePoints:
    """Places (n, 2), in nm, on a surface, under a tip beyond ``barrier``. Every answer has n rows."""

    def __init__(self, surface: Landscape, points: Floats, barrier: Barrier | None = None) -> None:
        self.surface = surface
        self.points = np.asfortranarray(points)
        self.barrier = barrier or surface.barrier

    @cached_property
    def parameters(self) -> Floats:
        """Parameters of the states: the terrace's, and what puddles, region, edges and defects add to them; shape (n, P)."""
        numbers, shares = [0, *self._present], [np.ones(len(self.points)), *(share for _, share in self._present.values())]
        return np.array(shares).T @ self.surface.changes[numbers]

    @property
    def shares(self) -> dict[str, Floats]:
        """How much there is of what changes the states here, by its name; what is nowhere near is left out."""
        named: dict[str, Floats] = {}
        for name, share in self._present.values():
            named[name] = np.maximum(named.get(name, 0.0), np.abs(share))
        return named

    def density(self, energy: Floats) -> Floats:
        """Local density of states at ``energy`` (K,), in eV from the Fermi level, as the tip bends them; shape (n, K)."""
        return self.surface.sample.model.density(self.parameters, energy - self.barrier.bending)

    def relief(self, slope: float = np.inf) -> Floats:
        """Height of the atoms, in nm, as a tip with flanks of ``slope`` can follow them."""
        height = self.surface.staircase.height(self._downhill, slope)
        if self.surface.sample.band is not None:
            height += self.surface.sample.band.relief * self._region
        for number, species in self._species:
            for part in species.relief:
                height += part.height * self._neighbours.sum(number, part.envelope, sized=True)
        return height

    def gap(self, setpoint: Setpoint) -> Floats:
        """Distance between tip and atoms at constant current, in nm; ``-inf`` where nothing can carry the current."""
        kept = constant_current(self.barrier, setpoint)
        bent = (kept.energy - self.barrier.bending).astype(np.float32)
        return kept.gap(self.surface.sample.model.density(self.parameters.astype(np.float32), bent))

    def height(self, setpoint: Setpoint, slope: float = np.inf) -> Floats:
        """Height of the tip at constant current, in nm: relief, gap, and the atoms as far as they show through the gap."""
        gap = self.gap(setpoint)
        return self.relief(slope) + gap + self._corrugation(gap)

    def _corrugation(self, gap: Floats) -> Floats:
        """Height of the lattice at the tip: it falls with the gap as J. Tersoff and D. R. Hamann, PRB 31, 805 (1985) say."""
        lattice, decay = self.surface.sample.lattice, self.barrier.mean_decay
        fall = np.hypot(decay, lattice.wave_number) - decay
        strength = np.ones(len(self.points))
        for number, species in self._species:
            for envelope, factor in species.clearer_atoms:
                strength += (factor - 1) * self._neighbours.sum(number, envelope)
        return lattice.corrugation * np.exp(-fall * np.maximum(gap, 0.0)) * strength * lattice(self.points)

    @cached_property
    def _downhill(self) -> Floats:
        return self.surface.staircase.downhill(self.points)

    @cached_property
    def _region(self) -> Floats:
        return self.surface.regions.share(self.points)

    @cached_property
    def _neighbours(self) -> Neighbours:
        return self.surface.population.near(self.points)

    @cached_property
    def _species(self) -> list[tuple[int, Species]]:
        """The species that are near, with their numbers."""
        return [(number, s) for number, s in enumerate(self.surface.sample.species) if self._neighbours.any(number)]

    @cached_property
    def _present(self) -> dict[int, tuple[str, Floats]]:
        """Of what changes the states here: its row in ``Surface.changes``, its name, and how much there is of it."""
        surface, sample = self.surface, self.surface.sample
        present: dict[int, tuple[str, Floats]] = {}
        for i, puddle in enumerate(sample.puddles):
            present[1 + i] = "puddle", SmoothField(surface.seed, f"puddle {i}", puddle.length)(self.points)
        row = 1 + len(sample.puddles)
        if sample.band is not None:
            present[row] = "region", self._region
            row += 1
        if sample.edge is not None:
            distance = surface.staircase.distance(self._downhill)
            present[row] = "edge", np.exp2(-((distance / sample.edge_width) ** 4))
            row += 1
        for number, species in self._species:
            before = sum(len(other.influences) for other in sample.species[:number])
            for i, part in enumerate(species.influences):
                name = f"{species.name} {part.part}".strip()
                present[row + before + i] = name, self._neighbours.sum(number, part.envelope)
        return present
