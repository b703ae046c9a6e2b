"""The seams of the package: what a microscope can do, what an agent can do, what a scalarizer is.

A device, a plan and an agent never know which controller is behind; a plan never knows which agent. The values that cross
a seam (`SweepSettings`, `Observation`, `Decision` ...) stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` from the thread that measures; lines of a scan, points of a sweep."""


# ---- the microscope ------------------------------------------------------------------------------------------------


class Capability(StrEnum):
    """What a controller may or may not be able to do."""

    BIAS = "bias"
    CURRENT = "current"
    TIP = "tip"
    FEEDBACK = "feedback"
    WITHDRAW = "withdraw"
    APPROACH = "approach"
    HOME = "home"
    PULSE = "pulse"
    SHAPE = "shape"
    SCAN = "scan"
    SWEEP = "sweep"
    LOCKIN = "lockin"
    DRIFT = "drift"


@dataclass(frozen=True)
class TipState:
    """Where the tip is: x and y on the sample, z as tip height, all in nm."""

    x: float
    y: float
    z: float

    @property
    def point(self) -> Point:
        """The place on the sample."""
        return Point(self.x, self.y)


@dataclass(frozen=True)
class FeedbackGains:
    """Gains of the logarithmic z feedback: P in nm, I in nm/s, for a natural logarithm of the current."""

    proportional: float
    integral: float


@dataclass(frozen=True)
class LockInSettings:
    """Lock-in on the bias: modulation amplitude (V, peak), frequency (Hz), and what turns its X into dI/dV.

    ``didv = (lockin_x - offset) / gain`` with ``gain`` in V (nA per nS) and ``offset`` in nA.
    """

    amplitude: float
    frequency: float
    gain: float
    offset: float = 0.0
    phase: float = 0.0
    on: bool = True

    def didv(self, lockin_x: ArrayLike) -> Floats:
        """Differential conductance, in nS, of raw lock-in X, in nA."""
        return (np.asarray(lockin_x, dtype=float) - self.offset) / self.gain


@dataclass(frozen=True)
class SweepSettings:
    """A bias sweep at one place.

    Attributes
    ----------
    start, stop : float
        First and last bias, in V.
    points : int
        Number of bias values, at least two.
    settle, integrate : float
        Waiting and averaging at each value, in s.
    averages : int
        Sweeps that are averaged.
    backward : bool
        Sweep back as well and average both directions.
    setpoint : Setpoint or None
        Where the feedback is held before it is opened; None for where it stands. What stood before comes back afterwards.
    z_offset : float
        Moved by this much, in nm (negative: closer), once the feedback is open.
    """

    start: float = -1.5
    stop: float = 1.5
    points: int = 121
    settle: float = 0.004
    integrate: float = 0.010
    averages: int = 1
    backward: bool = False
    setpoint: Setpoint | None = None
    z_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.points < 2 or self.averages < 1 or self.start == self.stop or min(self.settle, self.integrate) < 0:
            raise SettingsError(
                f"A sweep needs two different biases, at least 2 points, 1 average and no negative time, not {self}. "
                "Nothing has been swept."
            )

    @property
    def bias(self) -> Floats:
        """The bias values of the sweep, in V; shape (points,)."""
        return np.linspace(self.start, self.stop, self.points)


@dataclass(frozen=True, eq=False)
class TipShape:
    """A controlled dip of the tip into the surface, which changes its end. Each is done once.

    Attributes
    ----------
    depth : float
        How far below the height at which the feedback held it, in nm; positive, towards the sample.
    bias : float
        Bias while it dips, in V.
    hold : float
        Time at the bottom, in s.
    lift : float
        How far above that height it is pulled before the feedback takes it again, in nm.
    """

    depth: float
    bias: float = 0.1
    hold: float = 0.1
    lift: float = 5.0

    def __post_init__(self) -> None:
        if not (self.depth > 0 and self.hold >= 0 and self.lift >= 0):
            raise SettingsError(f"A dip needs a positive depth, and no negative time or lift, not {self}. Nothing was done.")


class BiasControl(Protocol):
    """The part of an STM controller that holds the sample bias."""

    def get_bias(self) -> float:
        """Bias now, in V."""

    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V, at the controller's slew rate; return on arrival."""


class CurrentReadout(Protocol):
    """The preamplifier."""

    def read_current(self) -> float:
        """Tunneling current now, in nA, with the sign of the bias."""


class TipControl(Protocol):
    """The lateral position of the tip on the sample, drift compensated."""

    def get_tip(self) -> TipState:
        """Where the tip is now."""

    def get_speed(self) -> float:
        """Speed of a move where none is asked for, in nm/s."""

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line with the feedback as it is; return on arrival.

        ``speed`` in nm/s, None for the controller's own. `stop` ends it at once with `MotionStoppedError`.
        """


class ZControl(Protocol):
    """The feedback that keeps the current, and the tip's distance."""

    def get_feedback(self) -> bool:
        """Whether the feedback is closed."""

    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback; opened, z stays where it is. That of a withdrawn tip is closed by `approach` only."""

    def get_setpoint(self) -> Setpoint:
        """Bias and current, V and nA, that the closed feedback keeps."""

    def set_setpoint_current(self, current: float) -> None:
        """Current, in nA, that the feedback keeps."""

    def get_gains(self) -> FeedbackGains:
        """Gains of the feedback."""

    def set_gains(self, gains: FeedbackGains) -> None:
        """Change the gains of the feedback."""

    def is_withdrawn(self) -> bool:
        """Whether the tip is out of reach of the surface, whoever took it there."""

    def withdraw(self) -> None:
        """Open the feedback and pull the tip back to the end of its range. Never refused, never interrupted by `stop`."""

    def home(self) -> None:
        """Open the feedback and lift the tip to its home height: less far than `withdraw`, withdrawn all the same.

        Raises
        ------
        LimitError
            When the home height is nearer to the surface than the tip stands.
        """

    def approach(self) -> None:
        """Bring a withdrawn tip back until the set point is reached, and close the feedback."""


IMAGES = ("height", "height_backward", "current", "current_backward")
"""Channels of a scan: tip height, in nm, and current, in nA, on the way forth and on the way back."""


class Scanning(Protocol):
    """Constant-current images."""

    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take a topograph with the feedback closed; ended by `stop` it comes back INCOMPLETE, unmeasured rows NaN.

        ``line_time`` in s, forth; None for the controller's own.
        """

    def image(self, channel: str = "height") -> Floats:
        """One of the `IMAGES` of the scan under way, or of the last one, also of one that failed.

        Shape (rows, columns), row 0 the lowest y; NaN in rows that are not, or not yet, measured, and (0, 0) before the first
        scan. A channel that the controller does not record is refused with `NotCapableError`.
        """


class Spectroscopy(Protocol):
    """Bias sweeps. The controller holds the feedback and restores it, the bias and the set point as one act."""

    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias where the tip stands; ended by `stop` it comes back INCOMPLETE, padded with NaN."""

    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias, V for s, to change the tip. Cannot be undone."""

    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip into the surface, to change it; bias and feedback stand as before afterwards. Cannot be undone."""


class LockInControl(Protocol):
    """The lock-in amplifier."""

    def get_lockin(self) -> LockInSettings:
        """Its settings."""

    def set_lockin(self, settings: LockInSettings) -> None:
        """Change its settings."""


class DriftControl(Protocol):
    """Compensation of a steady drift: the velocity at which the surface moves in the coordinates of the tip."""

    def get_drift(self) -> tuple[float, float]:
        """Drift that is compensated, in nm/s, along x and y."""

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s."""


@runtime_checkable
class Controller(
    BiasControl, CurrentReadout, TipControl, ZControl, Scanning, Spectroscopy, LockInControl, DriftControl, Protocol
):
    """A microscope: simulated, recorded or real.

    Every method blocks until it is done and may be called from any thread; getters answer while another thread measures. A
    method outside ``capabilities`` raises `NotCapableError`, a lost instrument `LostConnectionError`; a value outside
    ``ranges`` is refused with `LimitError` before anything moves.
    """

    @property
    def name(self) -> str:
        """What it is called in sources and messages."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """What the hardware can do: ``bias`` V, ``current`` nA, ``setpoint`` nA, ``x`` ``y`` ``z`` nm, ``speed`` nm/s."""

    def now(self) -> float:
        """Time on the controller's own clock, in s: simulated time for a simulated microscope."""

    def stop(self) -> None:
        """End motion, scan and sweep now, hold still, feedback closed. Idempotent; never a retract."""

    def close(self) -> None:
        """Let go of the instrument, leaving the tip safe. Idempotent."""

    def source(self, signal: str) -> str:
        """Where a value comes from, for ``describe()``: ``"simulated:bias"``."""

    def describe(self) -> dict[str, Any]:
        """JSON-able name and settings, enough to build this controller again; for the start document."""

    def locations(self) -> Floats | None:
        """The only places (n, 2) as (x, y) in nm where a spectrum can be had; None where it can be had anywhere."""


# ---- the agent -----------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, eq=False)
class Experience:
    """What was learned in an earlier run, of another frame or scale: its topograph and its observations."""

    topograph: Topograph
    observations: Sequence[Observation]


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
    """

    model: str
    error: float = float("nan")
    coverage: float = float("nan")
    noise: float = float("nan")
    length: float = float("nan")
    depth: float = 0.0
    warning: str = ""

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
