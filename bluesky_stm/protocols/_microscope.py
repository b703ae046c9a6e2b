"""The microscope: small protocols for what it can do, and the whole of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols._values import (
    Capability,
    FeedbackGains,
    LockInSettings,
    Progress,
    SweepSettings,
    TipShape,
    TipState,
)


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
