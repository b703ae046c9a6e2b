"""Decisions of a person or a facility: interlocks, length scales, and what is chosen by name. Validated here, once."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from numbers import Real
from typing import Annotated, Any, Final, Literal, Self, SupportsIndex

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.parts import UNTOUCHED, Part, Settings, agents, child_rules, scalarizers, stop_rules
from bluesky_stm.validated import JSON, Data

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

MOST_SEED: Final = 2**63 - 1
"""Largest seed: what torch takes and every file format keeps."""
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]


def as_seed(seed: object) -> int:
    """Return a seed as a whole number.

    Raises
    ------
    SettingsError
        When it is none, or lies outside 0 to `MOST_SEED`.
    """
    if isinstance(seed, SupportsIndex) and not isinstance(seed, bool) and 0 <= operator.index(seed) <= MOST_SEED:
        return operator.index(seed)
    raise SettingsError(f"The seed should be a whole number from 0 to 2**63 - 1, not {seed!r}. {UNTOUCHED}")


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if not value[0] < value[1]:
        raise ValueError(f"the lower end {value[0]:g} must lie below the upper end {value[1]:g}")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]

QUANTITIES: Mapping[str, str] = {
    "bias": units.BIAS,
    "current": units.CURRENT,
    "setpoint": units.CURRENT,
    "x": units.LENGTH,
    "y": units.LENGTH,
    "z": units.LENGTH,
    "speed": units.SPEED,
}
"""What has an interlock, and its unit."""


class Limits(Settings):
    """The interlocks, all in one place: what may be asked of tip and sample. Narrower than the hardware, never wider.

    Each is a pair (low, high): ``bias`` V, ``current`` nA (magnitude), ``setpoint`` nA, ``x`` ``y`` ``z`` nm, ``speed`` nm/s;
    ``dose`` is the longest time at more than half the current limit, in s; ``gap`` are the biases, in V, between which the
    sample has no states: the bias is not led there with the feedback closed. None where it is not known.
    """

    bias: Range = (-3.0, 3.0)
    current: Range = (0.0, 10.0)
    setpoint: Range = (0.001, 5.0)
    x: Range = (-1000.0, 1000.0)
    y: Range = (-1000.0, 1000.0)
    z: Range = (-1000.0, 1000.0)
    speed: Range = (0.0, 1000.0)
    dose: Positive = 60.0
    gap: Range | None = None

    @classmethod
    def within(cls, ranges: Mapping[str, tuple[float, float]], narrower: Data | None = None) -> Self:
        """Return the ranges of the hardware, some of them made narrower.

        Parameters
        ----------
        ranges : mapping
            Lowest and highest value that the hardware can do, by quantity, in the units of `QUANTITIES`.
        narrower : mapping, optional
            Limits that hold instead, by quantity.

        Raises
        ------
        SettingsError
            When a limit makes no sense, or is wider than the hardware's.
        """
        asked = cls.parse({} if narrower is None else narrower)
        for name in asked.model_fields_set & set(ranges):
            (low, high), (lowest, highest) = getattr(asked, name), ranges[name]
            if low < lowest or high > highest:
                raise SettingsError(
                    f"The limits {low:g} to {high:g} {QUANTITIES[name]} of {name} reach beyond what the hardware can do, "
                    f"{lowest:g} to {highest:g} {QUANTITIES[name]}. {UNTOUCHED}"
                )
        known = {name: pair for name, pair in ranges.items() if name in QUANTITIES}
        return cls.parse({**known, **{name: getattr(asked, name) for name in asked.model_fields_set}})

    @classmethod
    def _titled(cls, values: Mapping[str, object]) -> str:
        return "The limits"

    def check(self, quantity: str, value: float, what: str | None = None) -> None:
        """Refuse ``value`` (also NaN) outside the interlock of ``quantity``, before anything moves.

        Parameters
        ----------
        quantity : str
            Name of the interlock, such as ``"bias"``.
        value : float
            Value that was asked for, in the unit of the quantity.
        what : str, optional
            Name of the signal, for the message.

        Raises
        ------
        LimitError
            With ``what`` (the name of the signal) in the message.
        SettingsError
            For what is no number at all; a truth value is none.
        """
        low, high = getattr(self, quantity)
        if not isinstance(value, Real) or isinstance(value, bool):
            raise SettingsError(
                f"{what or quantity} should be a number of {QUANTITIES[quantity]}, not {value!r}. Nothing has moved."
            )
        if not (math.isfinite(value) and low <= value <= high):
            unit = QUANTITIES[quantity]
            raise LimitError(
                f"{what or quantity} = {value:g} {unit} is outside {low:g} to {high:g} {unit}. Nothing has moved. "
                f"Ask for a value inside, or widen the limits of {quantity!r} in the settings."
            )


ATOM: Final = 0.1
"""Length, in nm, below which no frame makes sense: about the radius of an atom."""

SOUGHT: Final[JSON] = {"name": "gap", "prefer": "small"}
"""What an exploration seeks that was told nothing: the narrowest gap, the signature of the defects that matter (EuZn2As2
narrows its gap at vacancies)."""

LAYOUT: Final = ("patch", "step", "sites", "candidates", "seeds", "begin")
"""Settings of an agent that say where it may measure; what another agent takes over."""


class LengthScale(Settings):
    """One length scale of an exploration: data, not code.

    Attributes
    ----------
    name : str
    frame : float
        Side of the square frame, in nm.
    pixels : int
        Rows and columns of its topograph.
    patch, step : float
        Side of the window that the agent sees around a candidate and distance between candidates, in nm.
    sites : {"raster", "spots"}
        Whether candidates stay on the raster, or move onto the conspicuous spots nearby (`spots.on_spots`).
    run_up : float
        How far, in nm, the tip comes to each place the way a scan does, from before it and from below it: the hysteresis of
        the piezo is then that of the image. Needed where frames are wide; at least twice the range of the hysteresis.
    entry : float
        Length, in nm along both directions of the scan, of the loop around the frame by which the tip enters it: before an
        image, and after it was led elsewhere. Within the range of the hysteresis a piezo goes the same way to and fro, so that
        a small frame needs no run-up, after which the tip would creep. At least twice that range, and longer than the frame.
    budget : int
        Spectra to take, the seed points included.
    seeds : int
        Spectra at the start that are placed without a model.
    begin : sequence of (x, y)
        Places, in nm from the centre of the frame, at which and around which the first of the seed points lie. A child frame
        is given the place of the best spectrum of its parent: it is to be confirmed first.
    inherit : bool
        Whether the agent of a child frame knows from the start what its parent measured in it. Where the overview does not
        find the place again, it does not.
    scalarizer, agent, child, stop
        Chosen by name, each with its settings: what is predicted, who predicts it, the rule that places the frame of the
        next scale, and the rule that ends this scale before its budget. Without a scalarizer the scale seeks what `SOUGHT`
        says; one that is named seeks large values unless it is told ``prefer="small"``.
    """

    name: str
    frame: Positive
    pixels: int = Field(256, ge=8, le=8192)
    patch: Positive
    step: Positive
    sites: Literal["raster", "spots"] = "spots"
    run_up: float = Field(0.0, ge=0, allow_inf_nan=False)
    entry: float = Field(0.0, ge=0, allow_inf_nan=False)
    budget: int = Field(60, ge=1)
    seeds: int = Field(20, ge=1)
    begin: tuple[tuple[float, float], ...] = ()
    inherit: bool = True
    scalarizer: Annotated[Part, scalarizers] = Field(SOUGHT, validate_default=True)
    agent: Annotated[Part, agents] = Field("dkl", validate_default=True)
    child: Annotated[Part, child_rules] = Field("confident", validate_default=True)
    stop: Annotated[Part, stop_rules] = Field("budget", validate_default=True)

    @classmethod
    def _titled(cls, values: Mapping[str, object]) -> str:
        return f"The length scale {values['name']!r}" if "name" in values else super()._titled(values)

    @model_validator(mode="after")
    def _the_scale_lays_out(self) -> Self:
        fields = type(self.agent).model_fields
        own = [name for name in self.layout if name in fields and getattr(self.agent, name) != fields[name].default]
        if own:
            raise SettingsError(
                f"the agent {self.agent.name!r} was given {', '.join(own)} of its own, and a length scale gives its agent "
                f"{', '.join(self.layout)}: set these in the scale"
            )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.frame < ATOM:
            raise ValueError(f"a frame of {self.frame:g} nm is smaller than an atom. Lengths are in nm: 20 nm is 20, not 20e-9")
        if self.patch > self.frame:
            raise ValueError(f"a patch of {self.patch:g} nm does not fit into a frame of {self.frame:g} nm")
        pixel = self.frame / self.pixels
        if self.step < pixel / 2:
            raise ValueError(f"a step of {self.step:g} nm is less than half a pixel, {pixel:g} nm")
        for x, y in self.begin:
            if not math.hypot(x, y) <= self.frame / math.sqrt(2):
                raise ValueError(f"the place ({x:g}, {y:g}) nm to begin at lies outside of a frame of {self.frame:g} nm")
        if self.seeds > self.budget:
            raise ValueError(f"{self.seeds} seed points do not fit into a budget of {self.budget} spectra")
        return self

    def __repr__(self) -> str:
        named = f"{self.scalarizer.name}, {self.agent.name}, {self.child.name}, {self.stop.name}"
        return f"<LengthScale {self.name!r}: {self.frame:g} nm, {self.pixels} pixels, {self.budget} spectra, {named}>"

    @override
    def changed(self, **changes: Any) -> Self:
        """Return the same scale with some settings changed; where only its budget becomes smaller, its seed points fit it."""
        budget = changes.get("budget")
        fewer = {"seeds": budget} if type(budget) is int and 0 < budget < self.seeds else {}
        return super().changed(**{**fewer, **changes})

    def chosen(self, **choices: Any) -> Self:
        """Return the same scale with those choices that are not None."""
        return self.changed(**{name: value for name, value in choices.items() if value is not None})

    @property
    def layout(self) -> JSON:
        """The settings that this scale gives its agent."""
        return {name: getattr(self, name) for name in LAYOUT if name in type(self).model_fields}

    @property
    def candidates(self) -> int:
        """Number of places there are to choose from."""
        pixel = self.frame / self.pixels
        size, stride = max(1, round(self.patch / pixel)), max(1, round(self.step / pixel))
        return ((self.pixels - size) // stride + 1) ** 2
