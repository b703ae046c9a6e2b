"""Au(111) with its surface state: the sample on which a tip is usually checked.

The herringbone reconstruction is left out. Onset of the surface state: R. Paniago et al., Surf. Sci. 336, 113 (1995),
doi:10.1016/0039-6028(95)00509-9.
"""

from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._defects import Influence, Relief, Species
from bluesky_stm.surface._envelopes import Gaussian
from bluesky_stm.surface._sample import Lattice, Sample
from bluesky_stm.surface._sample_part import SamplePart
from bluesky_stm.surface._states import SurfaceState
from bluesky_stm.surface._terraces import Steps


class Au111(SamplePart):
    """Au(111): a metal with wide terraces, single steps and a surface state, on which a tip is usually checked."""

    name: str = "Au(111)"

    def build(self) -> Sample:
        """Return the sample as data."""
        return Sample(
            name=self.name,
            lattice=Lattice(constant=0.288, angle=0.0, corrugation=1.0),
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
            edge={"state": -0.5},
            edge_width=1.5,
            debris="adsorbate",
        )
