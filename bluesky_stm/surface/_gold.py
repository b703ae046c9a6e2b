"""Au(111) with its surface state and its herringbone: the sample on which a tip is usually checked.

The reconstruction squeezes 23 rows onto 22: pairs of ridges ``22 a`` = 6.3 nm apart and 20 pm high, which turn by 60 degrees
every 25 nm [1]_ (the cell is well known; height and length of the domains stand as remembered, the paper was not read). Both
ridges of a pair are one here, and kinks lie opposite to each other all over the terrace. The surface state begins 0.48 eV below
the Fermi level at room temperature [2]_. Its electrons have 0.255 of their free mass [3]_ (as remembered: its abstract was
read, which gives no number) and make standing waves at step edges [4]_; how much an edge reflects and how far the waves reach
are choices.

References
----------
.. [1] J. V. Barth, H. Brune, G. Ertl, R. J. Behm, Phys. Rev. B 42, 9307 (1990), doi:10.1103/PhysRevB.42.9307
.. [2] R. Paniago et al., Surf. Sci. 336, 113 (1995), doi:10.1016/0039-6028(95)00509-9
.. [3] F. Reinert et al., Phys. Rev. B 63, 115415 (2001), doi:10.1103/PhysRevB.63.115415
.. [4] Y. Hasegawa, Ph. Avouris, Phys. Rev. Lett. 71, 1071 (1993), doi:10.1103/PhysRevLett.71.1071
"""

import math
from typing import Final

from typing_extensions import override

from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import LengthScale
from bluesky_stm.surface._defects import Influence, Relief, Species
from bluesky_stm.surface._envelopes import Gaussian
from bluesky_stm.surface._metals import SurfaceState
from bluesky_stm.surface._periodic import Periodic, Zigzag
from bluesky_stm.surface._sample import Lattice, Sample
from bluesky_stm.surface._sample_part import SamplePart, UsualMeasurement
from bluesky_stm.surface._terraces import Steps
from bluesky_stm.surface._waves import StandingWaves

NEIGHBOURS: Final = 0.2884
"""Distance of neighbouring atoms, in nm, from the lattice constant of gold, 0.4079 nm."""

HERRINGBONE: Final = Periodic(
    # The fronts are 6.3 nm apart after their turn by 30 degrees to either side.
    waves=((2 * math.pi / (22 * NEIGHBOURS) * math.cos(math.radians(30)), 0.0),),
    relief=0.01,
    zigzag=Zigzag(direction=90.0, turn=30.0, length=25.0),
)
"""The reconstruction: ridges 20 pm above the valleys between them."""


class Au111(SamplePart):
    """Au(111): wide terraces, steps with standing waves, a surface state, the herringbone; a tip is usually checked on it."""

    name: str = "Au(111)"

    @override
    def build(self) -> Sample:
        return Sample(
            name=self.name,
            lattice=Lattice(constant=NEIGHBOURS, angle=0.0, corrugation=1.0),
            steps=Steps(layer=0.2355, bunch=(1, 1, 1), plateau=(20.0, 50.0)),
            model=SurfaceState(),
            terrace={"metal": 1.0, "state": 1.0, "onset": -0.48, "width": 0.01},
            work_function=5.0,
            reference=Setpoint(-1.0, 0.2),
            species=(
                Species(
                    "adsorbate",
                    density=0.05,
                    relief=(Relief(0.06, Gaussian(0.9)),),
                    influences=(Influence({"state": -0.6}, Gaussian(1.2)),),
                    loose=True,
                ),
            ),
            patterns=(HERRINGBONE,),
            waves=StandingWaves(mass=0.255, reflection=0.6, damping=12.0),
            debris="adsorbate",
        )

    @override
    def usual(self) -> UsualMeasurement:
        """Return sweeps over the onset of the surface state, and scales that look for where the state is missing."""
        # Below the onset the bulk alone carries; dI/dV counts for more of I/V where there is less of the state above it.
        missing = {"name": "conductance", "bias": -0.7, "width": 0.2, "normalized": True}
        return UsualMeasurement(
            SweepSettings(-1.0, 0.6, 81),
            modulation=0.01,
            scales=(
                LengthScale.parse({"name": "terrace", "frame": 60, "patch": 6, "step": 2, "scalarizer": missing}),
                LengthScale.parse({"name": "defect", "frame": 10, "patch": 1.2, "step": 0.2, "scalarizer": missing}),
            ),
        )
