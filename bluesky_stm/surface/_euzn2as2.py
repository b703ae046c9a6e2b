"""EuZn2As2 at 77 K: its surface as numbers.

Electronic parameters were fitted with ``benchmarks/fit_classes.py`` to the median spectra of the published runs [1]_ (at
most twelve numbers for each kind of place). Relief, sizes and densities were measured on the published images. The structure
is that of [2]_. Energies are in eV from the Fermi level, lengths in nm, densities in defects per 100 nm2.

The potential of charges in the crystal is one for both bands; see `FILLED_SHARE` for why the onset of the filled states
scatters less. Levels in the gap are left where they are. Charging rings are not seen in the published images and not drawn; the
depth of the bands under the tip is contained in the measured edges, and no height series was published from which its part
could be told.

The areas are named after the published figures. The two electronic regions of figure 3 lie on one terrace; they are not
labelled with a termination because the data do not say which is which.

References
----------
.. [1] G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), doi:10.1038/s41524-025-01642-1
.. [2] J. Blawat, M. Marshall, J. Singleton et al., Unusual electrical and magnetic properties in layered EuZn2As2,
   arXiv:2202.05884, of which the abstract was read; that the family has the structure type CaAl2Si2, P-3m1 (164), says the
   review arXiv:2409.00531. The numbers here, a = 0.4211 nm and c = 0.7181 nm, were found in neither and stand without a source
   of their own; EuZn2P2 and Ce(2/3)Zn2As2 of the same type have c = 0.700 and 0.704 nm. Single steps in the published images
   are 0.70 +- 0.09 nm high.
"""

from dataclasses import replace
from typing import ClassVar, Final, Literal

from typing_extensions import override

from bluesky_stm.measurements import Setpoint
from bluesky_stm.parts import setting
from bluesky_stm.surface._bending import Screening, share_under_gathered
from bluesky_stm.surface._defects import Influence, Relief, Species
from bluesky_stm.surface._envelopes import Gaussian, Screened, Triangle
from bluesky_stm.surface._regions import Band, Puddle
from bluesky_stm.surface._sample import Lattice, Sample
from bluesky_stm.surface._sample_part import SamplePart
from bluesky_stm.surface._states import Level, Semiconductor
from bluesky_stm.surface._terraces import Steps

Row = dict[str, float]

LEVELS: Final = (
    Level("triangle_filled", -0.717, 0.0803),
    Level("triangle_empty", 0.273, 0.0579),
    Level("tall_filled", -0.740, 0.0779),
    Level("tall_empty", 0.280, 0.0565),
    Level("substitution", -1.044, 0.0549),
    Level("vacancy_pit", -1.055, 0.0769),
    Level("tail_filled", -1.186, 0.1115),
    Level("tail_empty", 1.934, 0.19),
    Level("edge_filled", -0.280, 0.5),
    Level("edge_empty", 1.920, 0.3246),
)
"""States in the gap: name, energy (eV) and standard deviation (eV). Each kind of place has at most two of them."""


def _bands(valence: float, valence_power: float, conduction: float, conduction_power: float, log_ratio: float) -> Row:
    """Return the band parameters of `Semiconductor`, by name.

    Parameters
    ----------
    valence : float
        Edge of the valence band, in eV from the Fermi level.
    valence_power : float
        Exponent of its density of states.
    conduction : float
        Edge of the conduction band, in eV from the Fermi level.
    conduction_power : float
        Exponent of its density of states.
    log_ratio : float
        Logarithm of the ratio of conduction to valence band density.
    """
    return {
        "valence": valence,
        "valence_power": valence_power,
        "conduction": conduction,
        "conduction_power": conduction_power,
        "log_ratio": log_ratio,
    }


SCREENING: Final = Screening(permittivity=15.0, charge=1e19)
"""Permittivity and density of charges: neither is known, both are choices. They only enter `FILLED_SHARE`."""

FILLED_SHARE: Final = share_under_gathered(SCREENING, lift=0.2, mass=0.19, gap=0.8)
"""Share of a potential by which the filled states shift, while the empty ones shift by all of it: 0.25.

The onsets of both bands scatter together (r = 0.72 to 0.81) over the published 200 and 100 nm frames, by 63 to 81 mV for the
conduction band and by 19 to 24 mV for the valence band. Spectra begin at -1.5 V: there the tip draws electrons to the surface,
which hold the bands near the Fermi level, so that a potential of the crystal shifts the filled states by a part only. The mass
of these electrons was chosen such that the part is the measured one."""


def _potential(shift: float) -> Row:
    """Return what a potential does that lifts the bands by ``shift``, in eV, where the tip gathers no electrons."""
    return {"valence": FILLED_SHARE * shift, "conduction": shift}


def _beside(states: Row, shift: float) -> Row:
    """Return a change of the states to which a potential of the same defect, `_potential` of ``shift`` eV, is not added."""
    return states | {name: states[name] - part for name, part in _potential(shift).items()}


def _from(before: Row, after: Row, **levels: float) -> Row:
    """Return the change that turns the states ``before`` into ``after``, with the amplitudes of added ``levels``."""
    return {name: after[name] - before[name] for name in after} | levels


AREAS: Final[dict[str, Row]] = {
    "figure 3": _bands(-1.1, 2.052, 0.5240, 2.292, -1.876),
    "figure 4": _bands(-0.9307, 3.823, 1.716, 5.013, -1.007) | {"tail_empty": 0.00023},
    "figure 5": _bands(-0.9793, 3.1727, 0.3990, 3.0069, -2.1792),
    "figure 6": _bands(-1.067, 1.982, 0.2446, 2.347, -1.079),
    "figure 7a": _bands(-1.055, 2.022, 0.3930, 2.052, -1.018),
    "figure 7c": _bands(-1.05, 2.336, 0.3605, 2.045, -0.94),
}
"""States of the undisturbed terrace in the published frames, all of one sample and hundreds of nm apart."""

REGION_B: Final = _from(
    AREAS["figure 3"],
    _bands(-1.083, 2.136, 1.983, 4.237, -4.852),
    tail_filled=0.01264,
    tail_empty=4.762e-05,
)
STEP_EDGE: Final = _from(AREAS["figure 3"], _bands(-0.5546, 2.041, 1.398, 0.8197, -0.12), edge_filled=0.00476, edge_empty=0.205)
TRIANGLE: Final = _from(
    AREAS["figure 6"], _bands(-1.048, 1.913, 0.1221, 2.004, -1.193), triangle_filled=0.03524, triangle_empty=0.03583
)
VACANCY_PIT: Final = _from(AREAS["figure 6"], _bands(-1.0698, 2.1479, 0.0745, 2.7867, -1.7128), vacancy_pit=0.0025)
TALL_TRIANGLE: Final = _from(
    AREAS["figure 7c"], _bands(-0.9793, 2.055, 0.2418, 1.511, -0.7226), tall_filled=0.04135, tall_empty=0.02046
)
SUBSTITUTION: Final = _from(AREAS["figure 5"], _bands(-1.0632, 2.2518, 0.3918, 2.0801, -1.6189), substitution=0.0152)
PIT: Final = _from(AREAS["figure 7c"], _bands(-0.9975, 2.981, 0.3155, 1.58, -0.9933))
ADSORBATE: Final = _from(AREAS["figure 4"], _bands(-0.8784, 4.152, 1.759, 4.939, -3.81), tail_empty=4.273e-05 - 0.00023)
SMALL_ADSORBATE: Final = _from(AREAS["figure 4"], _bands(-0.9315, 4.034, 1.634, 5.32, -2.453), tail_empty=0.0001321 - 0.00023)

_ADSORBED: Final = 0.02
"""Density of each kind of adsorbate in the first region, per 100 nm2; the second region has `_COLLECTED` times as many."""

_COLLECTED: Final = 40.0
"""Ratio of the adsorbate densities of the two regions: the 10 nm frame of figure 4, in the second one, shows three."""

_PARTNER: Final = (0.4, -1.5)
"""Vector from a triangle of the smaller kind to its pit, in nm."""

SPECIES: Final = (
    Species("dot", 0.62, relief=(Relief(0.049, Gaussian(1.0)),)),
    Species(
        "charged dot",
        0.25,
        relief=(Relief(0.055, Gaussian(1.0)), Relief(0.006, Gaussian(4.5))),
        influences=(Influence(_potential(0.15), Gaussian(4.5)),),
        spread=0.3,
    ),
    Species("pit", 0.15, relief=(Relief(-0.011, Gaussian(2.0)),), influences=(Influence(PIT, Gaussian(2.5)),), spread=0.3),
    Species(
        "triangle",
        0.008,
        relief=(Relief(0.005, Triangle(1.6, 0.1)), Relief(-0.070, Gaussian(1.0, offset=_PARTNER))),
        influences=(
            Influence(_beside(TRIANGLE, -0.1), Triangle(1.8, 0.08)),
            Influence(_potential(-0.1), Screened(0.9)),
            Influence(_beside(VACANCY_PIT, -0.038), Gaussian(1.2, offset=_PARTNER), "pit"),
        ),
    ),
    Species(
        "tall triangle",
        0.006,
        relief=(Relief(0.055, Triangle(1.9, 0.15)),),
        influences=(
            Influence(_beside(TALL_TRIANGLE, -0.1), Triangle(2.2, 0.15)),
            Influence(_potential(-0.1), Screened(0.9)),
        ),
    ),
    Species(
        "substitution",
        0.006,
        relief=(Relief(0.001, Triangle(2.0, 0.25)),),
        influences=(Influence(SUBSTITUTION, Triangle(2.4, 0.25)),),
        clearer_atoms=((Triangle(2.4, 0.3), 25.0),),
    ),
    Species(
        "adsorbate",
        _ADSORBED,
        relief=(Relief(0.371, Gaussian(1.8)),),
        influences=(Influence(ADSORBATE, Gaussian(2.6)),),
        in_region=_COLLECTED,
        loose=True,
    ),
    Species(
        "cluster",
        0.4 * _ADSORBED,
        relief=(Relief(0.5, Gaussian(4.0)),),
        influences=(Influence(ADSORBATE, Gaussian(5.0)),),
        spread=0.4,
        in_region=_COLLECTED,
        loose=True,
    ),
    Species(
        "small adsorbate",
        _ADSORBED,
        relief=(Relief(0.208, Gaussian(0.95)),),
        influences=(Influence(SMALL_ADSORBATE, Gaussian(1.6)),),
        in_region=_COLLECTED,
        loose=True,
    ),
)
"""Species of defects. Heights are those seen at -1.5 V and 200 pA less what the states add to them."""


class EuZn2As2(SamplePart):
    """EuZn2As2 at 77 K, cleaved: a semiconductor with step bunches, two electronic regions and nine kinds of defects.

    All areas are of one sample, hundreds of nm apart. Figure 4 lies within the second region, which is its terrace then.
    """

    leading: ClassVar[str] = "area"

    name: str = "EuZn2As2"
    area: Literal["figure 3", "figure 4", "figure 5", "figure 6", "figure 7a", "figure 7c"] = setting(
        "figure 7a", "", "Area of the sample, by the published figure that shows it."
    )

    @override
    def build(self) -> Sample:
        inside_b = self.area == "figure 4"
        crowd = {s: s.in_region if inside_b else 1.0 for s in SPECIES}
        return Sample(
            name=f"{self.name}, {self.area}",
            lattice=Lattice(constant=0.4211, angle=33.0, corrugation=0.024),
            steps=Steps(layer=0.7181, bunch=(1, 2, 3, 3, 4, 6)),
            model=Semiconductor(LEVELS),
            terrace=AREAS[self.area],
            work_function=4.5,
            reference=Setpoint(-1.5, 0.2),
            species=tuple(replace(s, density=s.density * crowd[s]) for s in SPECIES),
            edge=STEP_EDGE,
            band=None if inside_b else Band(REGION_B, relief=0.07),
            # Together 71 mV: one potential for both bands.
            puddles=(Puddle(_potential(0.05), length=9.0), Puddle(_potential(0.05), length=27.0)),
            debris="cluster",
        )
