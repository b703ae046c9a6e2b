"""Spectrum to the scalar property that an agent predicts, or the reason why there is none.

Chosen by name, with settings: ``make_scalarizer("gap")``, ``make_scalarizer({"name": "gap", "prefer": "small"})``.
An agent seeks large values; ``prefer`` turns the sign of any scalarizer round, ``weighted_sum`` puts several together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bluesky_stm.errors import UnknownNameError
from bluesky_stm.protocols import Scalarizer
from bluesky_stm.scalarizers._base import Recipe
from bluesky_stm.scalarizers._edges import ConductionEdge, Gap, ValenceEdge
from bluesky_stm.scalarizers._parts import Conductance, InGapWeight, Integral, PeakHeight, PeakPosition
from bluesky_stm.scalarizers._published import AreaRatio, BandgapSlopefit, PositiveChannelArea
from bluesky_stm.scalarizers._references import ClassDistance, PrincipalComponent, Similarity
from bluesky_stm.scalarizers._sum import WeightedSum
from bluesky_stm.settings import Named

__all__ = [
    "AreaRatio",
    "BandgapSlopefit",
    "ClassDistance",
    "Conductance",
    "ConductionEdge",
    "Gap",
    "InGapWeight",
    "Integral",
    "PeakHeight",
    "PeakPosition",
    "PositiveChannelArea",
    "PrincipalComponent",
    "Similarity",
    "ValenceEdge",
    "WeightedSum",
    "known_scalarizers",
    "make_scalarizer",
]

_RECIPES: dict[str, type[Recipe]] = {
    recipe.model_fields["name"].default: recipe
    for recipe in (
        Gap,
        ValenceEdge,
        ConductionEdge,
        Conductance,
        Integral,
        InGapWeight,
        PeakPosition,
        PeakHeight,
        Similarity,
        ClassDistance,
        PrincipalComponent,
        PositiveChannelArea,
        AreaRatio,
        BandgapSlopefit,
        WeightedSum,
    )
}


def known_scalarizers() -> list[str]:
    """Names that `make_scalarizer` knows."""
    return sorted(_RECIPES)


def make_scalarizer(choice: str | Mapping[str, Any] | Named | Scalarizer) -> Scalarizer:
    """The scalarizer of a name, of ``{"name": ..., **settings}`` as it stands in a start document, or the one given.

    Raises
    ------
    UnknownNameError
        For a name that is not in `known_scalarizers`.
    SettingsError
        For settings that it does not have, or that make no sense.
    """
    if isinstance(choice, str):
        choice = {"name": choice}
    if not isinstance(choice, (Mapping, Named)):
        return choice
    named = Named.parse(choice)
    if named.name not in _RECIPES:
        raise UnknownNameError.among("scalarizer", named.name, _RECIPES)
    return _RECIPES[named.name].parse(named.as_dict())
