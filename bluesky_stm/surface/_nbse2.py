"""2H-NbSe2 at 1.2 K: a superconductor with a charge density wave.

The selenium lattice has 0.344 nm and the charge density wave three times that [1]_. Its gap of 1.1 meV [2]_ opens below 7.2 K
(both numbers from memory: the abstract of [2]_ names none; [5]_ gives gaps from 0.75 to 1.2 meV over the Fermi surface at 0.1
K). Spectra are taken at -4 mV, 400 pA [1]_. Images at 50 mV and at -50 mV, 100 pA, show the wave in another registry [3]_. Here
its contrast is reversed across the Fermi level by construction: what the wave adds to the empty states it takes from the filled
ones, as a gap in one band would, and nothing is derived from the bands. There is one gap, and a broadening of 0.1 meV stands
for its anisotropy. Iron that grew into the crystal has bound states that reach tens of nm far [4]_; they are not drawn, the gap
is filled within some nm instead. The strength of wave and iron, the broadening, their density, and the barrier of 4.5 eV, as is
usual between tips and surfaces, are choices. One layer is 0.627 nm, half of the c axis (from memory).

References
----------
.. [1] Directly visualizing nematic superconductivity in NbSe2, Nat. Commun. (2024), doi:10.1038/s41467-024-51558-5
.. [2] H. F. Hess et al., Phys. Rev. Lett. 62, 214 (1989), doi:10.1103/PhysRevLett.62.214
.. [3] Multiband charge density wave exposed in a transition metal dichalcogenide, Nat. Commun. (2021),
   doi:10.1038/s41467-021-25780-4
.. [4] G. C. Menard et al., Nat. Phys. 11, 1013 (2015), doi:10.1038/nphys3508, by its abstract
.. [5] Intrinsic atomic scale modulations of the superconducting gap of 2H-NbSe2, arXiv:0711.2161, by its abstract
"""

from typing import Final

from typing_extensions import override

from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import LengthScale
from bluesky_stm.surface._defects import Influence, Relief, Species
from bluesky_stm.surface._envelopes import Gaussian
from bluesky_stm.surface._metals import Superconductor
from bluesky_stm.surface._periodic import Periodic, hexagonal
from bluesky_stm.surface._sample import Lattice, Sample
from bluesky_stm.surface._sample_part import SamplePart, UsualMeasurement
from bluesky_stm.surface._terraces import Steps

SELENIUM: Final = 0.344
"""Distance of neighbouring selenium atoms, in nm."""


TEMPERATURE: Final = 1.2
"""In K, of the sample and of its electrons."""

MODULATION: Final = 1e-4
"""Amplitude (peak) of the usual modulation, in V: 0.17 meV wide beside the 0.36 meV that the temperature leaves."""


class NbSe2(SamplePart):
    """2H-NbSe2 at 1.2 K: a superconductor with a gap of 1.1 meV, a charge density wave, and iron that breaks pairs."""

    name: str = "NbSe2"

    @override
    def build(self) -> Sample:
        iron = Species(
            "iron", 0.15, (Relief(0.02, Gaussian(0.7)),), (Influence({"broadening": 0.8e-3, "gap": -0.2e-3}, Gaussian(5.0)),)
        )
        return Sample(
            name=self.name,
            lattice=Lattice(constant=SELENIUM, angle=12.0, corrugation=5.0),
            steps=Steps(layer=0.627, bunch=(1, 1), period=900.0),
            model=Superconductor(charge_energy=0.035),
            terrace={"metal": 1.0, "gap": 1.1e-3, "broadening": 0.1e-3},
            work_function=4.5,
            reference=Setpoint(-0.004, 0.4),
            reference_gap=0.6,
            species=(iron,),
            patterns=(Periodic(hexagonal(3 * SELENIUM, 12.0), change={"charge": 0.2}),),
            debris="iron",
            temperature=TEMPERATURE,
        )

    @override
    def usual(self) -> UsualMeasurement:
        """Return sweeps of 5 mV to either side, and scales that look for where dI/dV at zero bias is filled.

        What it lacks there of the normal conductance is known everywhere. `superconducting_gap` fits Dynes' formula, and half
        of the spectra right at iron have no gap left to be fitted: an agent that seeks the iron would be told of failures.
        """
        filled = "zero_bias_anomaly"
        return UsualMeasurement(
            SweepSettings(-0.005, 0.005, 101),
            modulation=MODULATION,
            scales=(
                LengthScale.parse({"name": "terrace", "frame": 80, "patch": 8, "step": 3, "scalarizer": filled}),
                LengthScale.parse({"name": "iron", "frame": 16, "patch": 2, "step": 0.6, "scalarizer": filled}),
            ),
        )
