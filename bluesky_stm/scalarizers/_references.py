"""Scalars that compare a spectrum with known ones: correlation, distance to classes, and a component of earlier spectra.

The known spectra are part of the settings, so that a start document holds them and the value can be computed again. None comes
with the package: the spectrum of a clean terrace depends on the sample, on the tip and on the sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, Field
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Mark
from bluesky_stm.scalarizers._base import NoValueError
from bluesky_stm.scalarizers._normalized import CurveScalarizer
from bluesky_stm.settings import Range


def _rising(curve: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    if not all(np.diff([row[0] for row in curve]) > 0):
        raise ValueError("the bias of a reference must rise from sample to sample")
    return curve


Reference = Annotated[tuple[tuple[float, float], ...], Field(min_length=3), AfterValidator(_rising)]
"""Pairs of bias (V, increasing) and dI/dV, in any unit, since only its shape counts; or the normalised conductance."""


class Similarity(CurveScalarizer):
    """Correlation of dI/dV with that of a reference spectrum over ``between`` (V); 1 for the same shape."""

    name: str = "similarity"
    between: Range = setting(..., units.BIAS, "Range of bias over which the shapes are compared.")
    reference: Reference = setting(..., "V, any", "The reference spectrum: pairs of bias and dI/dV, the bias rising.")

    @property
    @override
    def units(self) -> str:
        return ""

    def value(self, spectrum: Spectrum) -> float:
        """Return the correlation, between -1 and 1.

        Raises
        ------
        NoValueError
            When sweep or reference does not cover the range, or one of them is flat there.
        """
        part = self.sweep(spectrum).between(*self.between)
        return float(_shape(part.didv) @ _shape(_at(part.bias, self.reference)))

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        part = self.sweep(spectrum).between(*self.between)
        fitted = _scaled(part.didv, _at(part.bias, self.reference))
        window = Mark.window("compared", *self.between, self.curve_channel)
        return [window, Mark.curve("reference, scaled to the spectrum", part.bias, fitted, self.curve_channel)]


class ClassDistance(CurveScalarizer):
    """Distance of a spectrum from the nearest of some known ``classes``; large values are kinds that nobody has named.

    The distance of two shapes (dI/dV over ``between`` V, less its mean, at unit length) is 0 for the same one, sqrt(2) for
    unrelated and 2 for opposite ones. With ``"prefer": "small"`` the agent seeks the classes themselves.
    """

    name: str = "class_distance"
    between: Range = setting(..., units.BIAS, "Range of bias over which the shapes are compared.")
    classes: dict[str, Reference] = setting(..., "V, any", "The known kinds of spectra, by name.", min_length=1)

    @property
    @override
    def units(self) -> str:
        return ""

    def value(self, spectrum: Spectrum) -> float:
        """Return the distance, between 0 and 2.

        Raises
        ------
        NoValueError
            When sweep or a class does not cover the range, or one of them is flat there.
        """
        part = self.sweep(spectrum).between(*self.between)
        shape = _shape(part.didv)
        return min(float(np.linalg.norm(shape - _shape(_at(part.bias, known)))) for known in self.classes.values())

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        part = self.sweep(spectrum).between(*self.between)
        shape, known = _shape(part.didv), {name: _at(part.bias, curve) for name, curve in self.classes.items()}
        nearest = min(known, key=lambda name: float(np.linalg.norm(shape - _shape(known[name]))))
        scaled = _scaled(part.didv, known[nearest])
        window = Mark.window("compared", *self.between, self.curve_channel)
        return [window, Mark.curve(f"nearest class: {nearest}", part.bias, scaled, self.curve_channel)]


class PrincipalComponent(CurveScalarizer):
    """Component of dI/dV along the direction in which earlier spectra differed most, in nS; `fitted` finds that direction.

    The loadings have unit length; the spectrum is interpolated to the bias values of the axis.
    """

    name: str = "principal_component"
    axis: Annotated[tuple[tuple[float, float, float], ...], AfterValidator(_rising)] = setting(
        ..., "V, nS, none", "Bias, mean dI/dV and loading, sample by sample.", min_length=3
    )

    @classmethod
    def fitted(cls, spectra: Sequence[Spectrum], component: int = 0, *, normalized: bool = False) -> Self:
        """Return the scalarizer of a principal component of spectra.

        Parameters
        ----------
        spectra : sequence of Spectrum
            Those that were not measured to their end are left out; the others are interpolated to the bias of the first one.
        component : int
            0 for the component of largest variance, 1 for the next. Its largest loading is positive.
        normalized : bool
            True to compare normalised conductances instead of dI/dV.

        Raises
        ------
        SettingsError
            When fewer than ``component + 2`` spectra were measured to their end, or one of them has no normalised conductance.
        """
        bias = np.sort(spectra[0].bias) if spectra else np.empty(0)
        whole = [s for s in spectra if np.isfinite(s.didv).all() and np.isfinite(s.bias).all()]
        curve = CurveScalarizer(name=cls.model_fields["name"].default, normalized=normalized)
        try:
            curves = np.array([np.interp(bias, sweep.bias, sweep.didv) for sweep in map(curve.sweep, whole)])
        except NoValueError as why:
            raise SettingsError(f"The spectra have no principal component: {why}.") from None
        if len(curves) < component + 2:
            raise SettingsError(
                f"Component {component} takes {component + 2} whole spectra at least; {len(curves)} of {len(spectra)} are."
            )
        mean = curves.mean(axis=0)
        loading = np.linalg.svd(curves - mean, full_matrices=False)[2][component]
        loading = loading * np.sign(loading[np.argmax(np.abs(loading))])
        return cls.parse({"axis": np.column_stack([bias, mean, loading]).tolist(), "normalized": normalized})

    @property
    @override
    def units(self) -> str:
        return self.curve_units

    def value(self, spectrum: Spectrum) -> float:
        """Return the projection on the axis of the spectrum less the mean, in nS.

        Raises
        ------
        NoValueError
            When the sweep does not cover the bias of the axis, or is clipped there.
        """
        bias, mean, loading = np.array(self.axis).T
        part = self.sweep(spectrum).between(bias[0], bias[-1])
        return float((np.interp(bias, part.bias, part.didv) - mean) @ loading)

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        bias, mean, loading = np.array(self.axis).T
        fitted = mean + self.value(spectrum) * loading
        return [
            Mark.curve("mean of the earlier spectra", bias, mean, self.curve_channel),
            Mark.curve("with this much of the component", bias, fitted, self.curve_channel),
        ]


def _at(bias: Floats, reference: Reference) -> Floats:
    known, didv = np.array(reference).T
    if bias[0] < known[0] - 1e-9 or bias[-1] > known[-1] + 1e-9:
        raise NoValueError(f"a reference from {known[0]:g} to {known[-1]:g} V does not cover {bias[0]:g} to {bias[-1]:g} V")
    return np.interp(bias, known, didv)


def _scaled(didv: Floats, reference: Floats) -> Floats:
    """Return a reference with the offset and the scale at which it comes closest to a curve."""
    columns = np.column_stack([np.ones_like(reference), reference])
    return columns @ np.linalg.lstsq(columns, didv, rcond=None)[0]


def _shape(didv: Floats) -> Floats:
    """Return a curve less its mean, at unit length."""
    rest = didv - didv.mean()
    size = float(np.linalg.norm(rest))
    if size == 0:
        raise NoValueError("a flat curve has no shape to compare")
    return rest / size
