"""A sample as data: a material and its surface, from which `Surface` grows any number of places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._bending import Screening
from bluesky_stm.surface._defects import Species
from bluesky_stm.surface._periodic import Periodic
from bluesky_stm.surface._regions import Band, Puddle
from bluesky_stm.surface._states import StateModel
from bluesky_stm.surface._terraces import Steps
from bluesky_stm.surface._waves import StandingWaves


@dataclass(frozen=True)
class Lattice:
    """The triangular lattice of the atoms of a terrace.

    Attributes
    ----------
    constant : float
        Distance of neighbours in the surface, in nm.
    angle : float
        Direction of one close-packed row, in degrees counter-clockwise from x.
    corrugation : float
        Height difference from atom to hollow that a tip would see at the surface itself, in nm; it decays with the gap. It is
        negative for a honeycomb, whose atoms surround the hollows of this lattice's rows.
    """

    constant: float
    angle: float
    corrugation: float

    @property
    def wave_number(self) -> float:
        """Length of the shortest reciprocal vectors, in 1/nm.

        The factor 2 pi is in it: ``4 pi / (sqrt(3) a)`` for the distance a of neighbours.
        """
        return 4 * np.pi / (np.sqrt(3) * self.constant)

    def __call__(self, points: Floats) -> Floats:
        """Return the corrugation at the places ``points`` (n, 2), in nm, from 1 on an atom to 0 in a hollow; shape (n,)."""
        directions = np.radians(self.angle + np.array([30.0, 90.0, 150.0]))
        turns = (self.wave_number / (2 * np.pi)) * np.column_stack([np.cos(directions), np.sin(directions)]) @ points.T
        first, second, third = np.cos((2 * np.pi * (turns - np.rint(turns))).astype(np.float32))
        return (first + second + third + 1.5) / 4.5


@dataclass(frozen=True)
class Sample:
    """A material, its surface, and the set point that fixes the scale of its currents.

    Attributes
    ----------
    name : str
    lattice : Lattice
    steps : Steps
    model : StateModel
    terrace : mapping of str to float
        Parameters of the states of the undisturbed terrace.
    work_function : float
        Mean work function of tip and sample, in eV.
    reference : Setpoint
        Set point at which the undisturbed terrace is ``reference_gap`` away from the tip.
    reference_gap : float
        Distance between tip and terrace at ``reference``, in nm.
    species : tuple of Species
    edge : mapping of str to float, optional
        Change of the states at step edges.
    edge_width : float
        Distance from an edge over which that change falls to half, in nm.
    band : Band or None
        The second electronic region.
    puddles : tuple of Puddle
        Long-range potential, with one entry for each correlation length.
    patterns : tuple of Periodic
        What repeats over the surface: charge density waves, moire patterns, reconstructions.
    waves : StandingWaves or None
        Standing waves of a band at step edges.
    debris : str
        Species of what a tip leaves behind where it was pulsed or touched the surface.
    temperature : float
        In K.
    screening : Screening or None
        How the sample screens the field of the tip, for bands that bend with bias and gap.
    """

    name: str
    lattice: Lattice
    steps: Steps
    model: StateModel
    terrace: Mapping[str, float]
    work_function: float
    reference: Setpoint
    reference_gap: float = 0.8
    species: tuple[Species, ...] = ()
    edge: Mapping[str, float] | None = None
    edge_width: float = 4.0
    band: Band | None = None
    puddles: tuple[Puddle, ...] = ()
    patterns: tuple[Periodic, ...] = ()
    waves: StandingWaves | None = None
    debris: str = ""
    temperature: float = 77.0
    screening: Screening | None = None

    def __post_init__(self) -> None:
        if self.screening is None and (charging := [species.name for species in self.species if species.charging]):
            raise SettingsError(
                f"{self.name} has defects that charge under the field of the tip ({', '.join(charging)}), but does not say how "
                "it screens that field. Give it a screening."
            )

    def with_density(self, **per_100_nm2: float) -> Self:
        """Return the same sample with other densities of defects.

        Parameters
        ----------
        **per_100_nm2 : float
            Number of defects per 100 nm2, by the name of the species with ``_`` for each space.

        Raises
        ------
        UnknownNameError
            When the sample has no such species.
        """
        wanted = {name.replace("_", " "): value for name, value in per_100_nm2.items()}
        for name in wanted:
            if name not in (known := [species.name for species in self.species]):
                raise UnknownNameError.among(f"defect of {self.name}", name, known)
        return replace(self, species=tuple(replace(s, density=wanted.get(s.name, s.density)) for s in self.species))
