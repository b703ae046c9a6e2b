"""The agent, the scalarizer, and what is said between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Spectrum, Topograph


@dataclass(frozen=True)
class Failed:
    """There is no value, and this is why; with ``again`` the place may be measured another time."""

    reason: str
    again: bool = False


class Scalarizer(Protocol):
    """Spectrum to the scalar property that the agent predicts.

    It carries its name, unit and settings; a spectrum that has no value (clipped, lost contact, no gap found) gives `Failed`.
    """

    @property
    def name(self) -> str:
        """By which it is chosen."""

    @property
    def units(self) -> str:
        """Unit of its value."""

    def __call__(self, spectrum: Spectrum) -> float | Failed:
        """Value in ``units``, or why there is none."""

    def describe(self) -> dict[str, Any]:
        """JSON-able ``{"name": ..., **settings}``, from which it can be made again."""


@dataclass(frozen=True, eq=False)
class Observation:
    """One lesson: at this place, this spectrum, and its value or why there is none."""

    point: Point
    value: float | Failed
    spectrum: Spectrum | None = None

    @property
    def taken_back(self) -> bool:
        """Whether it says nothing of its place, as if it had not been measured."""
        return isinstance(self.value, Failed) and self.value.again

    def judged(self, scalarizer: Scalarizer) -> Observation:
        """With the value that ``scalarizer`` gives it; what was taken back stays so, and without its spectrum it has none."""
        if self.taken_back:
            return self
        unknown = Failed("its spectrum is not at hand, and another scalarizer asks for it")
        return replace(self, value=unknown if self.spectrum is None else scalarizer(self.spectrum))

    def moved(self, shift: Point) -> Observation:
        """The same, ``shift`` nm further."""
        place = Point(self.point.x + shift.x, self.point.y + shift.y)
        return replace(self, point=place, spectrum=self.spectrum and self.spectrum.at(place))


@dataclass(frozen=True, eq=False)
class Experience:
    """What was learned in an earlier run, of another frame or scale: its topograph and its observations."""

    topograph: Topograph
    observations: Sequence[Observation]

    def judged(self, scalarizer: Scalarizer) -> Experience:
        """With the values that ``scalarizer`` gives."""
        return replace(self, observations=[observation.judged(scalarizer) for observation in self.observations])

    def moved(self, shift: Point) -> Experience:
        """The same, ``shift`` nm further: where a later image shows what was measured then."""
        frame = self.topograph.frame
        center = Point(frame.center.x + shift.x, frame.center.y + shift.y)
        topograph = replace(self.topograph, frame=replace(frame, center=center))
        return Experience(topograph, [observation.moved(shift) for observation in self.observations])


@dataclass(frozen=True)
class Health:
    """How far the model behind a decision can be trusted.

    Attributes
    ----------
    model : str
        What made the decision: ``"deep kernel"``, ``"kernel, net off"``, ``"kernel on xy"``, ``"space filling"`` ...
    error : float
        Leave-one-out root mean square error, in standard deviations of the values; NaN before there is a fit.
    coverage : float
        Share of the values inside their leave-one-out 90 % interval; NaN before there is a fit.
    noise : float
        Standard deviation of the observation noise, in units of the value; NaN before there is a fit.
    length : float
        Length scale of the position kernel, in nm; NaN where there is none.
    depth : float
        Share of the prior variance that the learned features carry: 0 with the net off.
    warning : str
        What a person should look at; empty when all is well.
    device : str
        Where it was computed: ``"cpu"``, or the name of the GPU, whose last digits may differ; empty where it does not say.
    """

    model: str
    error: float = float("nan")
    coverage: float = float("nan")
    noise: float = float("nan")
    length: float = float("nan")
    depth: float = 0.0
    warning: str = ""
    device: str = ""

    def as_dict(self) -> dict[str, Any]:
        """By field."""
        return asdict(self)


@dataclass(frozen=True)
class Decision:
    """Where to measure next, and why.

    Attributes
    ----------
    point : Point
        Place of the next spectrum, in nm.
    candidate : int
        Its row in ``Agent.candidates``.
    why : str
        ``"seed"``, or the acquisition function that chose it, or the fall-back that had to.
    mean, std : float
        Predicted there before measuring, in the units of the scalarizer; NaN when nothing has been learned yet.
    acquisition : float
        Value of the acquisition function there; NaN for a seed point.
    ingested : int
        Observations (failed ones included) that the agent had learned from.
    health : Health
    """

    point: Point
    candidate: int
    why: str
    mean: float = float("nan")
    std: float = float("nan")
    acquisition: float = float("nan")
    ingested: int = 0
    health: Health = field(default_factory=lambda: Health("space filling"))


@dataclass(frozen=True, eq=False)
class Posterior:
    """Prediction of the value, noise left out: mean and standard deviation, each of shape (n,)."""

    mean: Floats
    std: Floats


@dataclass(frozen=True, eq=False)
class Insight:
    """What an agent lets people see of how it decides, for each of its n candidates; NaN where it does not say.

    Attributes
    ----------
    acquisition : ndarray of shape (n,)
        What it would be worth to measure there, now and with nothing pending; NaN where it has measured, too.
    features : ndarray of shape (n, 2)
        The feature space of the agent, laid flat: what looks alike to it lies close. No unit.
    """

    acquisition: Floats
    features: Floats

    @classmethod
    def unknown(cls, count: int) -> Self:
        """Of an agent that does not say."""
        return cls(np.full(count, np.nan), np.full((count, 2), np.nan))


@runtime_checkable
class Insightful(Protocol):
    """An agent that people can look into."""

    def insight(self) -> Insight:
        """As it stands after the last lesson."""


@runtime_checkable
class Agent(Protocol):
    """Says where to measure next. Learns from what it is given, in that order, and from nothing else.

    Its state follows from its settings, its seed, the topograph and the ordered observations, never from wall time: the same
    lessons lead to the same decisions, bit for bit on the same machine.
    """

    @property
    def candidates(self) -> Floats:
        """Places that it may suggest; shape (n, 2), (x, y) in nm. Known after `observe`."""

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph (and earlier runs), lay out the candidates; forgets everything learned before."""

    def ingest(self, observations: Sequence[Observation]) -> None:
        """Learn from spectra, in the order they were taken; failed ones count as measured but carry no value."""

    def suggest(self, n: int = 1, pending: Sequence[Point] = (), mask: NDArray[np.bool_] | None = None) -> list[Decision]:
        """The next ``n`` places.

        ``pending`` are being measured and will not be suggested; ``mask`` (n candidates) is True where it may look. Asking
        twice gives the same answer. Raises `SettingsError` when no candidate is left.
        """

    def posterior(self, points: ArrayLike | None = None) -> Posterior:
        """Prediction at ``points`` (m, 2) in nm, or at the candidates."""

    def checkpoint(self) -> dict[str, Any]:
        """Its whole state, as plain values and arrays; what a person may change while it runs stands under ``"settings"``."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `checkpoint`."""

    def describe(self) -> dict[str, Any]:
        """JSON-able ``{"name", "settings", "seed", "weights"}`` (hash or None), from which it can be made again."""
