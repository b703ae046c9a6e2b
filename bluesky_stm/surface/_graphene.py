"""A twisted layer of graphene on graphite at 4 K: a Dirac cone and a moire pattern.

A layer that is turned against the one below shows a pattern of period ``a / (2 sin(twist / 2))``, by geometry; with 3.5 degrees
4.0 nm. Above 3 degrees its electrons are those of a Dirac cone, and they move as in a single layer above 20 degrees only [3]_;
from 1 to 3.5 degrees van Hove singularities are seen [4]_, [1]_. These are left out here, as are phonons and Landau levels: the
spectra hold within 0.15 V. The Dirac point lies 17 meV above the Fermi level: this number stands as remembered from [2]_, which
was not read, and its density of states is linear in the distance from it. The floor stands for the layers below; heights,
vacancies and the scatter of the Dirac point are choices, as is the barrier of 4.5 eV. One layer is 0.335 nm high.

References
----------
.. [1] G. Li et al., Nat. Phys. 6, 109 (2010), doi:10.1038/nphys1463; not read
.. [2] G. Li, A. Luican, E. Y. Andrei, Phys. Rev. Lett. 102, 176804 (2009), doi:10.1103/PhysRevLett.102.176804
.. [3] A. Luican et al., Phys. Rev. Lett. 106, 126802 (2011), doi:10.1103/PhysRevLett.106.126802, by its abstract
.. [4] Spatially resolved electronic structure of twisted graphene, arXiv:1705.09083, by its abstract
"""

import math
from typing import Final

from typing_extensions import override

from bluesky_stm.measurements import Setpoint
from bluesky_stm.parts import setting
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import LengthScale
from bluesky_stm.surface._defects import Influence, Relief, Species
from bluesky_stm.surface._envelopes import Gaussian
from bluesky_stm.surface._metals import DiracCone
from bluesky_stm.surface._periodic import Periodic, hexagonal
from bluesky_stm.surface._regions import Puddle
from bluesky_stm.surface._sample import Lattice, Sample
from bluesky_stm.surface._sample_part import SamplePart, UsualMeasurement
from bluesky_stm.surface._terraces import Steps

CONSTANT: Final = 0.246
"""Lattice constant of graphene, in nm."""


class Graphene(SamplePart):
    """A twisted layer of graphene on graphite at 4 K: a Dirac cone, a honeycomb and its moire pattern.

    The period of the moire is ``a / (2 sin(twist / 2))`` with the lattice constant a of graphene: 4.0 nm for 3.5 degrees.
    """

    name: str = "graphene"
    twist: float = setting(3.5, "deg", "Angle between the layer and the graphite below it.", gt=2, le=30)

    @override
    def build(self) -> Sample:
        period = CONSTANT / (2 * math.sin(math.radians(self.twist / 2)))
        vacancy = Species(
            "vacancy", 0.05, (Relief(0.05, Gaussian(0.8)),), (Influence({"floor": 0.1, "dirac": 0.03}, Gaussian(3.0)),)
        )
        return Sample(
            name=self.name,
            lattice=Lattice(constant=CONSTANT, angle=7.0, corrugation=-100.0),
            steps=Steps(layer=0.335, bunch=(1, 2), period=900.0),
            model=DiracCone(),
            terrace={"slope": 1.0, "dirac": 0.017, "floor": 0.01},
            work_function=4.5,
            reference=Setpoint(0.3, 0.2),
            species=(vacancy,),
            puddles=(Puddle({"dirac": 0.008}, length=12.0),),
            patterns=(Periodic(hexagonal(period, 7.0 + 90.0 + self.twist / 2), change={"floor": 0.005}, relief=0.03),),
            debris="vacancy",
            temperature=4.2,
        )

    @override
    def usual(self) -> UsualMeasurement:
        """Return sweeps of 150 mV to either side, and scales that look for states at the Fermi level."""
        states = {"name": "conductance", "width": 0.02}
        return UsualMeasurement(
            SweepSettings(-0.15, 0.15, 101),
            modulation=5e-3,
            scales=(
                LengthScale.parse({"name": "terrace", "frame": 80, "patch": 8, "step": 3, "scalarizer": states}),
                LengthScale.parse({"name": "vacancy", "frame": 16, "patch": 2, "step": 0.6, "scalarizer": states}),
            ),
        )
