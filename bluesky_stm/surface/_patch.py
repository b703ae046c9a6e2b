"""A handful of places, and what is known of the surface there: each part is computed once, however many ask for it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._defects import Neighbours
from bluesky_stm.surface._random import SmoothField
from bluesky_stm.surface._tunneling import BIN, energy_bins, gap_at

if TYPE_CHECKING:
    from bluesky_stm.surface._surface import Surface


class Patch:
    """Places (n, 2), in nm, on a surface. Every answer has n rows."""

    def __init__(self, surface: Surface, points: Floats) -> None:
        self.surface = surface
        self.points = points

    @cached_property
    def parameters(self) -> Floats:
        """Parameters of the states: the terrace's, and what puddles, region, edges and defects add to them; shape (n, P)."""
        table = self.surface.changes
        return table[0] + np.stack([share for _, share in self.shares], axis=1) @ table[1:]

    def density(self, energy: Floats) -> Floats:
        """Local density of states at ``energy`` (K,), in eV from the Fermi level; shape (n, K)."""
        return self.surface.sample.model.density(self.parameters, energy)

    def relief(self, slope: float = np.inf) -> Floats:
        """Height of the atoms, in nm, as a tip with flanks of ``slope`` can follow them."""
        height = self.surface.staircase.height(self._downhill, slope)
        for population, near in zip(self.surface.populations, self._neighbours, strict=True):
            for part in population.species.relief:
                height = height + part.height * near.sum(part.envelope, sized=True)
        return height

    def gap(self, setpoint: Setpoint) -> Floats:
        """Distance between tip and atoms at constant current, in nm; ``-inf`` where nothing can carry the current."""
        margin = 12 * BIN
        energy = energy_bins(min(setpoint.bias, 0.0) - margin, max(setpoint.bias, 0.0) + margin)
        return gap_at(self.density(energy), energy, self.surface.barrier, setpoint.bias, setpoint.current)

    def height(self, setpoint: Setpoint, slope: float = np.inf) -> Floats:
        """Height of the tip at constant current, in nm: relief, gap, and the atoms as far as they show through the gap."""
        gap = self.gap(setpoint)
        return self.relief(slope) + gap + self._corrugation(gap)

    def _corrugation(self, gap: Floats) -> Floats:
        """Height of the lattice at the tip: it falls with the gap as J. Tersoff and D. R. Hamann, PRB 31, 805 (1985) say."""
        lattice, decay = self.surface.sample.lattice, self.surface.barrier.mean_decay
        fall = np.hypot(decay, lattice.wave_number) - decay
        strength = np.ones(len(self.points))
        for population, near in zip(self.surface.populations, self._neighbours, strict=True):
            for envelope, factor in population.species.clearer_atoms:
                strength += (factor - 1) * near.sum(envelope)
        return lattice.corrugation * np.exp(-fall * np.maximum(gap, 0.0)) * strength * lattice(self.points)

    @cached_property
    def _downhill(self) -> Floats:
        return self.surface.staircase.downhill(self.points)

    @cached_property
    def _neighbours(self) -> list[Neighbours]:
        return [population.near(self.points) for population in self.surface.populations]

    @cached_property
    def shares(self) -> list[tuple[str, Floats]]:
        """How much of each change of the states there is, in the order of ``Surface.changes``, and what it comes from."""
        surface, sample = self.surface, self.surface.sample
        shares = [
            ("puddle", SmoothField(surface.seed, f"puddle {i}", puddle.length)(self.points))
            for i, puddle in enumerate(sample.puddles)
        ]
        if sample.band is not None:
            shares.append(("region", surface.regions.share(self.points)))
        if sample.edge is not None:
            distance = surface.staircase.distance(self._downhill)
            shares.append(("edge", np.exp2(-((distance / sample.edge_width) ** 4))))
        for population, near in zip(surface.populations, self._neighbours, strict=True):
            species = population.species
            shares += [(f"{species.name} {part.part}".strip(), near.sum(part.envelope)) for part in species.influences]
        return shares
