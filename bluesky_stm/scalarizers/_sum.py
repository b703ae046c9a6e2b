"""A scalarizer that combines others."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import model_validator
from typing_extensions import override

from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import scalarizers, setting
from bluesky_stm.protocols import Failed, Mark
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart


class WeightedSum(ScalarizerPart):
    """Sum of ``offset`` and of ``weights`` times ``terms``, each of them a scalarizer chosen by name.

    The published "3.1 - gap" is ``{"name": "weighted_sum", "terms": ["bandgap_slopefit"], "weights": [-1], "offset": 3.1}``.
    Where one term has no value, the sum has none.
    """

    name: str = "weighted_sum"
    terms: tuple[Annotated[ScalarizerPart, scalarizers], ...] = setting(
        ..., "", "The scalarizers that are added.", min_length=1
    )
    weights: tuple[float, ...] = setting(..., "", "The number by which each term is multiplied.")
    offset: float = setting(0.0, "that of the terms", "Value that is added to the sum.")

    @model_validator(mode="after")
    def _one_weight_each(self) -> Self:
        if len(self.weights) != len(self.terms):
            raise ValueError(f"{len(self.terms)} terms need as many weights, not {len(self.weights)}")
        return self

    @property
    @override
    def units(self) -> str:
        found = {term.units for term in self.terms}
        return found.pop() if len(found) == 1 else ""

    @property
    @override
    def needs_distance(self) -> bool:
        return any(term.needs_distance for term in self.terms)

    @override
    def check_resolution(self, amplitude: float, temperature: float) -> None:
        for term in self.terms:
            term.check_resolution(amplitude, temperature)

    @override
    def value(self, spectrum: Spectrum) -> float:
        return self.offset + sum(w * self._term(t, spectrum) for w, t in zip(self.weights, self.terms, strict=True))

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        return [mark for term in self.terms for mark in term.marks(spectrum)]

    @staticmethod
    def _term(term: ScalarizerPart, spectrum: Spectrum) -> float:
        value = term(spectrum)
        if isinstance(value, Failed):
            raise NoValueError(value.reason)
        return value
