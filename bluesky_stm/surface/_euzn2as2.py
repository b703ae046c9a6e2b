"""EuZn2As2 at 77 K: numbers from the published measurements [1]_, fitted where said.

References
----------
.. [1] G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), doi:10.1038/s41524-025-01642-1; data at
   https://github.com/gnganesh99/DKL_on_STM
"""

from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface._defects import Influence, Relief, Species
from bluesky_stm.surface._envelopes import Round, Screened, Triangle
from bluesky_stm.surface._regions import Band, Puddle
from bluesky_stm.surface._sample import Lattice, Sample
from bluesky_stm.surface._states import Level, Semiconductor
from bluesky_stm.surface._terraces import Steps

TERRACE = {"valence": -1.03, "valence_power": 2.6, "conduction": 0.36, "conduction_power": 2.1, "log_ratio": -1.05}

EUZN2AS2 = Sample(
    name="EuZn2As2",
    lattice=Lattice(constant=0.421, angle=33.0, corrugation=0.024),
    steps=Steps(layer=0.718, bunch=(1, 2, 3, 3, 4, 6)),
    model=Semiconductor(
        (
            Level("triangle_filled", -0.73, 0.09),
            Level("triangle_empty", 0.27, 0.05),
            Level("substitution", -1.05, 0.07),
        )
    ),
    terrace=TERRACE,
    work_function=4.5,
    reference=Setpoint(-1.5, 0.2),
    species=(
        Species("dot", 0.62, relief=(Relief(0.049, Round(1.0)),)),
        Species(
            "charged dot",
            0.25,
            relief=(Relief(0.057, Round(1.0)), Relief(0.008, Round(4.5))),
            influences=(Influence({"conduction": 0.2}, Round(4.5)),),
        ),
        Species(
            "pit",
            0.15,
            relief=(Relief(-0.015, Round(2.0)),),
            influences=(Influence({"conduction": -0.08}, Round(2.0)),),
        ),
        Species(
            "triangle",
            0.010,
            relief=(Relief(0.03, Triangle(1.7, 0.12)), Relief(-0.07, Round(0.9, offset=(0.7, -1.0)))),
            influences=(
                Influence(
                    {"triangle_filled": 0.02, "triangle_empty": 0.014, "conduction": -0.12, "conduction_power": 0.0},
                    Triangle(1.8, 0.2),
                ),
                Influence({"conduction": -0.12}, Screened(0.9)),
            ),
        ),
        Species(
            "substitution",
            0.008,
            relief=(Relief(0.018, Triangle(1.6, 0.25)),),
            influences=(Influence({"substitution": 0.010, "conduction": -0.1}, Triangle(1.6, 0.25)),),
            clearer_atoms=((Round(1.8), 25.0),),
        ),
        Species(
            "adsorbate",
            0.03,
            relief=(Relief(0.38, Round(1.8)),),
            influences=(Influence({"conduction": 0.25}, Round(1.8)),),
            in_region=6.0,
        ),
    ),
    edge={"valence": 0.2, "conduction": 0.6},
    band=Band({"valence": 0.1, "valence_power": 1.0, "conduction": 1.3, "conduction_power": 1.5, "log_ratio": -2.5}),
    puddles=(
        Puddle({"valence": 0.02, "conduction": 0.05}, length=9.0),
        Puddle({"valence": 0.02, "conduction": 0.05}, length=27.0),
    ),
)
