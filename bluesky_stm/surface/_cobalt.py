"""Single cobalt atoms on Au(111) at 4 K: a magnetic impurity that the electrons of the metal screen.

At an atom dI/dV dips near the Fermi level: a Fano line [1]_, [2]_. That q is 0.6, the half width that of a Kondo temperature of
about 70 K, and the dip gone about 1 nm away stands as remembered from these papers: of the second the abstract was read, which
tells of the line, of its change with the lateral distance and of 6.6 K, and gives none of these numbers. How deep the dip is,
the height of an atom and the coverage are choices.

References
----------
.. [1] V. Madhavan et al., Science 280, 567 (1998), doi:10.1126/science.280.5363.567
.. [2] V. Madhavan et al., Phys. Rev. B 64, 165412 (2001), doi:10.1103/PhysRevB.64.165412
"""

from dataclasses import replace

from typing_extensions import override

from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import LengthScale
from bluesky_stm.surface._defects import Influence, Relief, Species
from bluesky_stm.surface._envelopes import Gaussian
from bluesky_stm.surface._gold import Au111
from bluesky_stm.surface._metals import Resonance, SurfaceState
from bluesky_stm.surface._sample import Sample
from bluesky_stm.surface._sample_part import UsualMeasurement
from bluesky_stm.units import BOLTZMANN

KONDO = Resonance("kondo", energy=0.004, width=BOLTZMANN * 70, q=0.6)


class CobaltOnGold(Au111):
    """Co on Au(111) at 4 K: cobalt atoms whose Kondo resonance is a dip at the Fermi level within 1 nm of each."""

    name: str = "Co/Au(111)"

    @override
    def build(self) -> Sample:
        atom = Species(
            "cobalt",
            density=0.6,
            relief=(Relief(0.1, Gaussian(0.8)),),
            influences=(Influence({"kondo": 0.5, "state": -0.4}, Gaussian(1.0)),),
            spread=0.05,
        )
        gold = super().build()
        return replace(
            gold,
            model=SurfaceState((KONDO,)),
            species=(*gold.species, atom),
            reference=Setpoint(0.1, 1.0),
            reference_gap=0.6,
            temperature=4.2,
        )

    @override
    def usual(self) -> UsualMeasurement:
        """Return sweeps of 40 mV to either side, and scales that look for the deepest dip at zero bias.

        `kondo` fits the line itself, and has no value from 0.8 nm beside an atom on: an agent that is to find the atoms needs a
        number between them, too.
        """
        dip = {"name": "zero_bias_anomaly", "prefer": "small"}
        return UsualMeasurement(
            SweepSettings(-0.04, 0.04, 81),
            modulation=2e-3,
            scales=(
                LengthScale.parse({"name": "terrace", "frame": 30, "patch": 2, "step": 0.8, "scalarizer": dip}),
                LengthScale.parse({"name": "cobalt", "frame": 6, "patch": 1, "step": 0.2, "scalarizer": dip}),
            ),
        )
