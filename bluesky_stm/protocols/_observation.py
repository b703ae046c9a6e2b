"""The value of a spectrum: the scalarizer that gives it, and the training data that are made of it."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.validated import JSON

NAN: Final = float("nan")

LARGEST_VALUE: Final = 1e300
"""Magnitude beyond which sums of a few values overflow."""


@dataclass(frozen=True)
class Failed:
    """The reason why a spectrum has no value.

    Attributes
    ----------
    reason : str
    again : bool
        True when the place may be measured another time, because the observation was taken back.
    doubted : float or None
        Value that it had before it was taken back, in the unit of the scalarizer: it trains nothing, and only says whether the
        place is worth another spectrum. None where it had none.
    """

    reason: str
    again: bool = False
    doubted: float | None = None


class Scalarizer(Protocol):
    """The map from a spectrum to the scalar property that the agent predicts.

    A spectrum without a value (clipped, lost contact, no gap found) gives `Failed`.
    """

    @property
    def name(self) -> str:
        """Name by which it is chosen."""

    @property
    def units(self) -> str:
        """Unit of its value, as in ``"eV"``; empty for a number without a unit."""

    def __call__(self, spectrum: Spectrum) -> float | Failed:
        """Return the value of a spectrum.

        Parameters
        ----------
        spectrum : Spectrum
            With bias in V, currents in nA and dI/dV in nS.

        Returns
        -------
        float or Failed
            The value, in ``units``, or the reason why there is none.
        """

    def describe(self) -> JSON:
        """Return the JSON-able ``{"name": ..., **settings}`` from which it can be made again.

        It stands in the start document of a run, by which a replay gives the same values.
        """


@runtime_checkable
class Deviating(Protocol):
    """A scalarizer that says how far the noise of a spectrum makes its value uncertain."""

    def deviation(self, spectrum: Spectrum) -> float:
        """Return the standard deviation of the value, in ``units``; NaN where it is unknown."""


@runtime_checkable
class Resolving(Protocol):
    """A scalarizer whose value depends on how strongly the bias was modulated, and on how cold the sample was."""

    def check_resolution(self, amplitude: float, temperature: float) -> None:
        """Refuse a lock-in and a sample that leave another resolution than the settings of the scalarizer assume.

        Parameters
        ----------
        amplitude : float
            Peak amplitude of the modulation, in V; NaN where it is not known.
        temperature : float
            Temperature of the sample, in K; NaN where it is not known.

        Raises
        ------
        SettingsError
            With both numbers.
        """


@runtime_checkable
class OfDistance(Protocol):
    """A scalarizer that says whether it needs I(z) beside the spectrum.

    One that does not say it needs none.
    """

    @property
    def needs_distance(self) -> bool:
        """True where the value follows from I(z), which an exploration then takes at each place.

        A combination needs it where one of its terms does.
        """


@dataclass(frozen=True, eq=False)
class Observation:
    """One datum of the training data: a place, the spectrum taken there, and its value or why it has none.

    Attributes
    ----------
    point : Point
        Place on the sample, in nm.
    value : float or Failed
        In the unit of the scalarizer. Any kind of number may be given (a count, a float32, an array or a tensor of one number);
        what cannot be computed with, a masked number too, becomes `Failed`.
    spectrum : Spectrum, optional
        None where only the value is known.
    deviation : float
        Standard deviation of the value by the noise of its spectrum, in its unit; NaN where that is unknown, or is no number
        from 0 on.
    """

    point: Point
    value: float | Failed
    spectrum: Spectrum | None = None
    deviation: float = NAN

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_value(self.value))
        deviation = as_value(self.deviation)
        usable = self.has_value and not isinstance(deviation, Failed) and deviation >= 0
        object.__setattr__(self, "deviation", deviation if usable else NAN)

    @classmethod
    def of(cls, spectrum: Spectrum, scalarizer: Scalarizer) -> Self:
        """Return what a scalarizer says of a spectrum, at the place of the spectrum.

        Parameters
        ----------
        spectrum : Spectrum
            The spectrum.
        scalarizer : Scalarizer
            Gives the value and, where it is a `Deviating` one, how uncertain the noise makes it.
        """
        found = cls(spectrum.position, scalarizer(spectrum), spectrum)
        if found.has_value and isinstance(scalarizer, Deviating):
            return replace(found, deviation=scalarizer.deviation(spectrum))
        return found

    @cached_property
    def has_value(self) -> bool:
        """True when it has a value, so that it can train a model; False for a `Failed` one.

        A number that is NaN, infinite or beyond all reason counts as none.
        """
        return not isinstance(self.value, Failed)

    @cached_property
    def number(self) -> float:
        """Its value; NaN where it has none."""
        return NAN if isinstance(self.value, Failed) else self.value

    @property
    def reason(self) -> str:
        """Reason for which it has no value; empty where it has one."""
        return self.value.reason if isinstance(self.value, Failed) else ""

    @property
    def taken_back(self) -> bool:
        """True when it says nothing of its place, as if that had not been measured.

        The place may then be suggested once more.
        """
        return isinstance(self.value, Failed) and self.value.again

    @property
    def doubted(self) -> float | None:
        """Value that it had before it was taken back; None where it had none or was not taken back."""
        return self.value.doubted if isinstance(self.value, Failed) else None

    def judged(self, scalarizer: Scalarizer) -> Observation:
        """Return the observation with the value that ``scalarizer`` gives it.

        An observation that was taken back stays so; one without its spectrum has no value.
        """
        if self.taken_back:
            return self
        if self.spectrum is None:
            return replace(self, value=Failed("its spectrum is not at hand, and another scalarizer asks for it"))
        return replace(self.of(self.spectrum, scalarizer), point=self.point)

    def moved(self, shift: Point) -> Observation:
        """Return the observation at another place, and its spectrum with it.

        Parameters
        ----------
        shift : Point
            By how much it is moved along x and y, in nm.
        """
        place = Point(self.point.x + shift.x, self.point.y + shift.y)
        return replace(self, point=place, spectrum=self.spectrum and self.spectrum.at(place))


def as_value(given: object) -> float | Failed:
    """Return any kind of number as a float, and anything else as the reason why it is no value."""
    if isinstance(given, Failed):
        return given
    if isinstance(given, int | float):
        number = given
    else:
        single = _single(given)
        if single is None:
            return Failed(f"the value {_shown(given)} is no number")
        number = float(single)
    if abs(number) <= LARGEST_VALUE:
        return float(number)
    return Failed(f"the value {_shown(number)} is not a number that can be computed with (beyond {LARGEST_VALUE})")


def _single(given: object) -> NDArray[np.generic] | None:
    """Return the one real number that an array holds, without dimension; None where it is no such array, or is masked."""
    if np.ma.is_masked(given):  # what lies below the mask, often 0, has not been measured
        return None
    try:
        if callable(detach := getattr(given, "detach", None)):  # a tensor may lie on a GPU or await a gradient
            given = np.array(detach().tolist())
        array = np.asarray(given) if hasattr(given, "__array__") else None
    except Exception:  # it says that it is an array, and its own code fails
        return None
    return array.reshape(()) if array is not None and array.size == 1 and array.dtype.kind in "biuf" else None


def _shown(given: object) -> str:
    """Return what was given as a short text: a reason is kept in a document, and a list may be long."""
    try:
        return reprlib.repr(given)
    except Exception:  # a whole number may have too many digits
        return f"of the type {type(given).__name__}"


@dataclass(frozen=True, eq=False)
class Experience:
    """The training data of an earlier run, of another frame or scale.

    Attributes
    ----------
    topograph : Topograph
    observations : sequence of Observation
    """

    topograph: Topograph
    observations: Sequence[Observation]

    def judged(self, scalarizer: Scalarizer) -> Experience:
        """Return the experience with the values that another scalarizer gives it.

        Parameters
        ----------
        scalarizer : Scalarizer
            Judges the spectra; an observation without its spectrum has no value then.
        """
        return replace(self, observations=[observation.judged(scalarizer) for observation in self.observations])

    def moved(self, shift: Point) -> Experience:
        """Return the experience shifted to where a later image shows what was measured then.

        Parameters
        ----------
        shift : Point
            By how much topograph and observations are moved along x and y, in nm.
        """
        frame = self.topograph.frame
        center = Point(frame.center.x + shift.x, frame.center.y + shift.y)
        topograph = replace(self.topograph, frame=replace(frame, center=center))
        return Experience(topograph, [observation.moved(shift) for observation in self.observations])
