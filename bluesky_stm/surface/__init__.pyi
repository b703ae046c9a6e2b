"""What the room gives away, for `lazy_loader` and for type checkers; each name is loaded when it is used first."""

from ._barrier import Barrier
from ._bending import Screening
from ._charging import Charging
from ._cobalt import CobaltOnGold
from ._defects import Defect
from ._euzn2as2 import AREAS, EuZn2As2
from ._gaas import GaAs110
from ._gold import Au111
from ._graphene import Graphene
from ._metals import Resonance, Superconductor
from ._nbse2 import NbSe2
from ._points import SurfacePoints
from ._random import block_rng
from ._sample import Sample
from ._sample_part import SamplePart, UsualMeasurement
from ._setpoint import CONTACT
from ._surface import Surface
from ._tip_states import TipStates
from ._truth import sites
from ._tunneling import SweepIntegral

__all__ = [
    "AREAS",
    "CONTACT",
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
