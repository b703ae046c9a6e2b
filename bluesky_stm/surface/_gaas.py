"""n-type GaAs(110) at 5 K: bands that the tip bends, and donors that it charges.

The surface shows rows of atoms and has no states in the gap, so that the field of the tip reaches into the crystal [1]_.
Silicon donors near the surface lose their electron where the tip lifts the bands, on rings whose radius grows with the bias
[2]_, [3]_. Lattice constant (0.5653 nm), gap (1.52 eV) and permittivity (12.9) are values of textbooks; the density of donors
is that of strongly doped wafers. The lift at which a donor is charged, what its charge adds, its height, the bias of flat bands
and how far bands fall before electrons gather are choices. Between planes the bands bend more than under a sharp tip.

References
----------
.. [1] R. M. Feenstra, J. A. Stroscio, J. Vac. Sci. Technol. B 5, 923 (1987), doi:10.1116/1.583691; not read for this
.. [2] K. Teichmann et al., Phys. Rev. Lett. 101, 076103 (2008), doi:10.1103/PhysRevLett.101.076103; not read for this
.. [3] Single Si dopants in GaAs studied by scanning tunneling microscopy and spectroscopy, Phys. Rev. B (2011): its abstract
   tells of ionization rings.
"""

import math
from typing import Final

from typing_extensions import override

from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import LengthScale
from bluesky_stm.surface._bending import Screening
from bluesky_stm.surface._charging import Charging
from bluesky_stm.surface._defects import Relief, Species
from bluesky_stm.surface._envelopes import Gaussian, Screened
from bluesky_stm.surface._periodic import Periodic
from bluesky_stm.surface._sample import Lattice, Sample
from bluesky_stm.surface._sample_part import SamplePart, UsualMeasurement
from bluesky_stm.surface._states import Semiconductor
from bluesky_stm.surface._terraces import Steps

CUBIC: Final = 0.5653
"""Lattice constant, in nm: the distance of the rows; along them atoms are ``1 / sqrt(2)`` of it apart."""

# Electrons gather where the conduction band would fall below the Fermi level, and states of the surface limit even that: R. M.
# Feenstra et al., Phys. Rev. B 80, 075320 (2009), by its abstract.
SCREENING: Final = Screening(permittivity=12.9, charge=5e18, contact=-0.3, lowest=-0.02)

DONOR: Final = Charging(lift=0.15, change={"valence": -0.15, "conduction": -0.15}, envelope=Screened(4.0, core=1.0))
"""A donor without its electron attracts others: both bands are lower around it."""


class GaAs110(SamplePart):
    """n-type GaAs(110) at 5 K: the gap widens as the tip comes nearer, and donors charge on rings that grow with the bias."""

    name: str = "GaAs(110)"

    @override
    def build(self) -> Sample:
        rows = 2 * math.pi / CUBIC
        donor = Species("donor", 0.08, relief=(Relief(0.03, Gaussian(2.5)),), spread=0.2, charging=DONOR)
        vacancy = Species("vacancy", 0.03, relief=(Relief(-0.06, Gaussian(0.8)),))
        return Sample(
            name=self.name,
            lattice=Lattice(constant=CUBIC, angle=0.0, corrugation=0.0),
            steps=Steps(layer=CUBIC / (2 * math.sqrt(2)), bunch=(1, 2), period=900.0),
            model=Semiconductor(),
            terrace={"valence": -1.5, "valence_power": 1.5, "conduction": 0.02, "conduction_power": 1.5, "log_ratio": -0.7},
            work_function=4.5,
            reference=Setpoint(1.5, 0.1),
            species=(donor, vacancy),
            patterns=(Periodic(((rows, 0.0), (0.0, rows * math.sqrt(2))), relief=0.02),),
            debris="vacancy",
            temperature=5.0,
            screening=SCREENING,
        )

    @override
    def usual(self) -> UsualMeasurement:
        """Return fine sweeps over the conduction band, and scales that look for where a charge brings it down."""
        # Steps are no larger than the modulation: a charge that switches between two samples would look like a tip change.
        charged = {"name": "in_gap_weight", "between": (0.3, 0.7), "of": (0.3, 1.2)}
        return UsualMeasurement(
            SweepSettings(-0.3, 1.2, 151, settle=0.002, integrate=0.005),
            modulation=0.01,
            scales=(
                LengthScale.parse({"name": "terrace", "frame": 80, "patch": 8, "step": 3, "scalarizer": charged}),
                LengthScale.parse({"name": "donor", "frame": 24, "patch": 3, "step": 0.8, "scalarizer": charged}),
            ),
        )
