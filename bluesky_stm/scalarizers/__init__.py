"""Scalarizers: from a spectrum to the scalar property that an agent predicts, or to the reason why there is none.

They are chosen by name, with settings: ``make_scalarizer("gap")``, ``make_scalarizer({"name": "gap", "prefer": "small"})``.
An agent seeks large values; ``prefer`` changes the sign of any scalarizer, and ``weighted_sum`` combines several. Those
of the curve dI/dV take the normalised conductance for it where they are told ``normalized=true``.
"""

from __future__ import annotations

from bluesky_stm import parts
from bluesky_stm.errors import UnknownNameError
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Scalarizer
from bluesky_stm.scalarizers._above_noise import OnsetsAboveNoise
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart
from bluesky_stm.scalarizers._edges import ConductionEdge, Gap, ValenceEdge
from bluesky_stm.scalarizers._inelastic import InelasticStep, StepFit
from bluesky_stm.scalarizers._normalized import normalized_conductance
from bluesky_stm.scalarizers._parts import Conductance, InGapWeight, Integral, PeakHeight, PeakPosition
from bluesky_stm.scalarizers._published import AreaRatio, BandgapSlopefit, PositiveChannelArea
from bluesky_stm.scalarizers._references import ClassDistance, PrincipalComponent, Similarity
from bluesky_stm.scalarizers._sum import WeightedSum
from bluesky_stm.scalarizers._superconductor import CoherencePeaks, DynesFit, SuperconductingGap
from bluesky_stm.scalarizers._zero_bias import Kondo, ResonanceFit, ZeroBiasAnomaly
from bluesky_stm.validated import Data

__all__ = [
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
    "normalized_conductance",
    "scalarizer_of",
]


def make_scalarizer(choice: str | Data | Part | Scalarizer) -> Scalarizer:
    """Return the scalarizer that is chosen.

    Parameters
    ----------
    choice : str, mapping, Part or Scalarizer
        A name, ``{"name": ..., **settings}`` as in a start document, or a scalarizer, which is returned as it is.

    Raises
    ------
    UnknownNameError
        When no package has brought a scalarizer of that name.
    SettingsError
        When a setting does not exist or makes no sense.
    """
    return parts.scalarizers.make(choice)


def scalarizer_of(start: Data) -> Scalarizer:
    """Make the scalarizer by which the spectra of a run were judged, from its start document.

    Raises
    ------
    UnknownNameError
        For a name that no package has brought; the message says which package brought it when the run was made.
    """
    described = start["scalarizer"]
    if described["name"] not in parts.scalarizers:
        raise UnknownNameError.in_run("scalarizer", described["name"], start)
    return make_scalarizer(described)
