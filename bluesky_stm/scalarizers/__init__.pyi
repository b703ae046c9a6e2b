"""What the room gives away, for `lazy_loader` and for type checkers; each name is loaded when it is used first."""

from ._above_noise import OnsetsAboveNoise
from ._barrier import ApparentBarrier
from ._base import NoValueError, ScalarizerPart
from ._edges import ConductionEdge, Gap, ValenceEdge
from ._inelastic import InelasticStep, StepFit
from ._make import make_scalarizer, scalarizer_of, sign_of
from ._marks import marks_of_all
from ._normalized import normalized_conductance, normalized_curves
from ._parts import Conductance, InGapWeight, Integral, PeakHeight, PeakPosition
from ._published import AreaRatio, BandgapSlopefit, PositiveChannelArea
from ._references import ClassDistance, PrincipalComponent, Similarity
from ._sum import WeightedSum
from ._superconductor import CoherencePeaks, DynesFit, SuperconductingGap
from ._zero_bias import Kondo, ResonanceFit, ZeroBiasAnomaly

__all__ = [
    "ApparentBarrier",
    "AreaRatio",
    "BandgapSlopefit",
    "ClassDistance",
    "CoherencePeaks",
    "Conductance",
    "ConductionEdge",
    "DynesFit",
    "Gap",
    "InGapWeight",
    "InelasticStep",
    "Integral",
    "Kondo",
    "NoValueError",
    "OnsetsAboveNoise",
    "PeakHeight",
    "PeakPosition",
    "PositiveChannelArea",
    "PrincipalComponent",
    "ResonanceFit",
    "ScalarizerPart",
    "Similarity",
    "StepFit",
    "SuperconductingGap",
    "ValenceEdge",
    "WeightedSum",
    "ZeroBiasAnomaly",
    "make_scalarizer",
    "marks_of_all",
    "normalized_conductance",
    "normalized_curves",
    "scalarizer_of",
    "sign_of",
]
