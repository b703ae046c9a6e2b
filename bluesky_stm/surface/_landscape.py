"""Properties that all places of a surface share: its steps, regions and defects, and how these change the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._barrier import Barrier
from bluesky_stm.surface._defects import Defect, Population
from bluesky_stm.surface._random import SmoothField
from bluesky_stm.surface._regions import Regions
from bluesky_stm.surface._sample import Sample
from bluesky_stm.surface._setpoint import ConstantCurrent, constant_current
from bluesky_stm.surface._states import counted, mean_states, parameter_row
from bluesky_stm.surface._terraces import Staircase


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
    def fields(self) -> tuple[SmoothField, ...]:
        """The smooth fields of the surface: of each puddle, and of the edges of the terraces and of the second region."""
        puddles = [SmoothField(self.seed, f"puddle {i}", puddle.length) for i, puddle in enumerate(self.sample.puddles)]
        meander = self.regions.meander
        return (*puddles, self.staircase.meander, *([meander] if meander else []))

    @cached_property
    def changes(self) -> Floats:
        """Parameters of the states, shape (rows, P).

        The first row is the terrace; the others are what puddles, patterns, region, edges, defects and their charges add to it,
        in this order.
        """
        sample = self.sample
        parts = [sample.terrace, *(puddle.change for puddle in sample.puddles), *(each.change for each in sample.patterns)]
        parts += [sample.band.change] if sample.band else []
        parts += [sample.edge] if sample.edge else []
        parts += [part.change for species in sample.species for part in species.influences]
        parts += [species.charging.change for species in sample.species if species.charging]
        return np.array([parameter_row(sample.model, part) for part in parts])

    @cached_property
    def finest(self) -> float:
        """Width of energy bins that resolve the states of every place, in eV; 0 where the sample's model does not tell."""
        model = self.sample.model
        return model.finest(self.changes) if counted(model) else 0.0

    @cached_property
    def barrier(self) -> Barrier:
        """The tunnel barrier to an ideal tip.

        Its ``conductance`` is scaled such that the terrace is at the sample's reference gap at the sample's reference set
        point.
        """
        sample, bias = self.sample, self.sample.reference.bias
        unit = Barrier(sample.work_function, sample.temperature, 1.0, screening=sample.screening)
        edges = ConstantCurrent(unit, bias, 1.0, self.finest).edges
        states = mean_states(sample.model, self.changes[:1], edges)
        current = unit.current(states, edges, np.array([bias]), np.array([sample.reference_gap]))
        return replace(unit, conductance=sample.reference.current / abs(float(current[0, 0])))

    def terrace_gap(self, setpoint: Setpoint) -> float:
        """Return the distance between an ideal tip and the undisturbed terrace at a set point, in nm.

        Parameters
        ----------
        setpoint : Setpoint
            Bias (V) and magnitude of the current (nA) that the feedback keeps.
        """
        kept = constant_current(self.barrier, setpoint, self.finest)
        return float(kept.gap(kept.carried(self.sample.model, self.changes[:1]))[0])
