"""Simulated sample surfaces as pure functions of place, energy and seed.

A `Surface` answers for the height of its atoms (nm) and its local density of states at any place (nm). `SurfacePoints` answers
the same questions for a fixed set of places, and `SweepIntegral` turns their states into tunneling currents. `sites`
finds places of a known kind; only tests and benchmarks may ask for them.
"""

from bluesky_stm.surface._barrier import Barrier
from bluesky_stm.surface._bending import Screening
from bluesky_stm.surface._charging import Charging
from bluesky_stm.surface._cobalt import CobaltOnGold
from bluesky_stm.surface._defects import Defect
from bluesky_stm.surface._euzn2as2 import AREAS, EuZn2As2
from bluesky_stm.surface._gaas import GaAs110
from bluesky_stm.surface._gold import Au111
from bluesky_stm.surface._graphene import Graphene
from bluesky_stm.surface._metals import Resonance, Superconductor
from bluesky_stm.surface._nbse2 import NbSe2
from bluesky_stm.surface._points import SurfacePoints
from bluesky_stm.surface._random import block_rng
from bluesky_stm.surface._sample import Sample
from bluesky_stm.surface._sample_part import SamplePart, UsualMeasurement
from bluesky_stm.surface._surface import Surface
from bluesky_stm.surface._tip_states import TipStates
from bluesky_stm.surface._truth import sites
from bluesky_stm.surface._tunneling import SweepIntegral

__all__ = [
    "AREAS",
    "Au111",
    "Barrier",
    "Charging",
    "CobaltOnGold",
    "Defect",
    "EuZn2As2",
    "GaAs110",
    "Graphene",
    "NbSe2",
    "Resonance",
    "Sample",
    "SamplePart",
    "Screening",
    "Superconductor",
    "Surface",
    "SurfacePoints",
    "SweepIntegral",
    "TipStates",
    "UsualMeasurement",
    "block_rng",
    "sites",
]
