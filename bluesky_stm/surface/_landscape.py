"""Properties that all places of a surface share: its steps, regions and defects, and how these change the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._defects import Defect, Population
from bluesky_stm.surface._regions import Regions
from bluesky_stm.surface._sample import Sample
from bluesky_stm.surface._states import parameter_row
from bluesky_stm.surface._terraces import Staircase
from bluesky_stm.surface._tunneling import Barrier, constant_current, energy_bins


class Landscape:
    """One of the many surfaces of a sample.

    Parameters
    ----------
    sample : Sample
    seed : int
        Each seed gives another surface of the same sample.
    added : sequence of Defect
        Defects besides those that grew there, such as debris of the tip.
    taken : sequence of Defect
        Defects that grew there and are no longer there.
    """

    def __init__(self, sample: Sample, seed: int, added: Sequence[Defect] = (), taken: Sequence[Defect] = ()) -> None:
        self.sample, self.seed = sample, seed
        self.staircase = Staircase(sample.steps, seed)
        self.regions = Regions(sample.band, seed)
        self.population = Population(sample.species, self.regions, seed, tuple(added), tuple(taken))

    @cached_property
    def changes(self) -> Floats:
        """Parameters of the states, shape (rows, P).

        The first row is the terrace; the others are what puddles, region, edges and defects add to it, in this order.
        """
        sample = self.sample
        parts = [sample.terrace, *(puddle.change for puddle in sample.puddles)]
        parts += [sample.band.change] if sample.band else []
        parts += [sample.edge] if sample.edge else []
        parts += [part.change for species in sample.species for part in species.influences]
        return np.array([parameter_row(sample.model, part) for part in parts])

    @cached_property
    def barrier(self) -> Barrier:
        """The tunnel barrier to an ideal tip.

        Its ``conductance`` is scaled such that the terrace is at the sample's reference gap at the sample's reference set
        point.
        """
        sample, bias = self.sample, self.sample.reference.bias
        unit = Barrier(sample.work_function, sample.temperature, 1.0)
        energy = energy_bins(min(bias, 0.0) - 0.2, max(bias, 0.0) + 0.2)
        density = sample.model.density(self.changes[:1], energy)
        current = unit.current(density, energy, np.array([bias]), np.array([sample.reference_gap]))
        return replace(unit, conductance=sample.reference.current / abs(float(current[0, 0])))

    def terrace_gap(self, setpoint: Setpoint) -> float:
        """Return the distance between tip and undisturbed terrace at a set point, in nm."""
        kept = constant_current(self.barrier, setpoint)
        return float(kept.gap(self.sample.model.density(self.changes[:1], kept.energy).astype(np.float32))[0])
