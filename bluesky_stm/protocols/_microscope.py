"""The microscope: small protocols for what it can do, and the controller that fulfils all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols._lockin import LockInSettings
from bluesky_stm.protocols._sweeping import NativeGrids, Spectroscopy, ZSpectroscopy
from bluesky_stm.protocols._values import (
    Capability,
    FeedbackGains,
    Progress,
    TipState,
)
from bluesky_stm.validated import JSON


class BiasControl(Protocol):
    """The sample bias. Positive bias probes the empty states of the sample."""

    def get_bias(self) -> float:
        """Return the sample bias, in V."""

    def ramp_bias(self, bias: float) -> None:
        """Ramp the sample bias at the slew rate of the controller, and return on arrival.

        Parameters
        ----------
        bias : float
            In V.

        Raises
        ------
        LimitError
            When the bias lies outside of the range of the hardware; nothing has moved.
        """


class CurrentReadout(Protocol):
    """The current preamplifier."""

    def read_current(self) -> float:
        """Return the tunneling current, in nA, with the sign of the bias."""


class TipControl(Protocol):
    """The lateral position of the tip on the sample, with drift compensated."""

    def get_tip(self) -> TipState:
        """Return the position of the tip.

        Returns
        -------
        TipState
            x and y on the sample, with drift compensated, and the height z, all in nm; z grows away from the surface.
        """

    def get_speed(self) -> float:
        """Return the speed of a move for which none is given, in nm/s."""

    def move_tip(self, point: Point, speed: float | None = None) -> Point:
        """Move the tip in a straight line, with the feedback as it is, and return on arrival.

        Parameters
        ----------
        point : Point
            Destination on the sample, in nm.
        speed : float, optional
            In nm/s; by default that of `get_speed`.

        Returns
        -------
        Point
            Where the tip stands, in nm, as the instrument says it.

        Raises
        ------
        LimitError
            When the destination or the speed lies outside of the range of the hardware; nothing has moved.
        MotionStoppedError
            When `stop` ended the move; the tip stands still with the feedback on.
        """


class ZControl(Protocol):
    """The z feedback, which keeps the tunneling current constant, and the distance of the tip."""

    def get_feedback(self) -> bool:
        """Return True when the feedback is closed."""

    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback.

        An open feedback leaves z where it is. The feedback of a withdrawn tip is closed by `approach` only.

        Parameters
        ----------
        on : bool
            True to close it.
        """

    def get_setpoint(self) -> Setpoint:
        """Return the bias (V) and the current (nA) that the closed feedback keeps."""

    def set_setpoint_current(self, current: float) -> None:
        """Set the current that the feedback keeps.

        Parameters
        ----------
        current : float
            Magnitude, in nA.

        Raises
        ------
        LimitError
            When the current lies outside of the range of the hardware; nothing has moved.
        """

    def get_gains(self) -> FeedbackGains:
        """Return the gains of the feedback, the proportional one in nm and the integral one in nm/s.

        They are those of a feedback on the natural logarithm of the current.
        """

    def set_gains(self, gains: FeedbackGains) -> None:
        """Set the gains of the feedback.

        Parameters
        ----------
        gains : FeedbackGains
            Proportional gain, in nm, and integral gain, in nm/s.

        Raises
        ------
        LimitError
            When the integral gain is not above 0, or one of them makes no sense at any microscope; nothing has changed.
        """

    def is_withdrawn(self) -> bool:
        """Return True when the tip is out of reach of the surface, no matter who withdrew it.

        A tip at its home height counts as withdrawn, too.
        """

    def withdraw(self) -> None:
        """Open the feedback and retract the tip to the end of its range.

        This is never refused, and `stop` never interrupts it.
        """

    def home(self) -> None:
        """Open the feedback and lift the tip to its home height: less far than `withdraw`, but the tip counts as withdrawn.

        Raises
        ------
        LimitError
            When the home height is nearer to the surface than the present height of the tip.
        """

    def approach(self) -> None:
        """Bring a withdrawn tip back until the set point is reached, and close the feedback.

        Raises
        ------
        MotionStoppedError
            When `stop` ended the approach on its way.
        """


class Scanning(Protocol):
    """Constant-current images."""

    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take a topograph with the feedback closed.

        Parameters
        ----------
        frame : Frame
            Region to scan, in nm, and its pixels.
        line_time : float, optional
            Time per line, forward only, in s; by default that of the controller.
        progress : callable, optional
            Called with the number of finished lines and of all lines.

        Returns
        -------
        Topograph
            When `stop` ended the scan it has the flag INCOMPLETE, and rows that were not measured are NaN.

        Raises
        ------
        LimitError
            When the frame reaches beyond the range of the hardware; nothing has moved.
        """

    def get_line_time(self, frame: Frame) -> float | None:
        """Return the time per line, forward only, in s, at which a frame is scanned where none is asked for.

        Parameters
        ----------
        frame : Frame
            Region (nm) and pixels.

        Returns
        -------
        float or None
            None where the controller does not know it.
        """

    def image(self, channel: str = "height") -> Floats:
        """Return an image of the running scan, or of the last one, also of one that failed.

        Parameters
        ----------
        channel : str
            One of `IMAGES`.

        Returns
        -------
        ndarray of shape (rows, columns)
            Row 0 is the lowest y. Rows that are not (yet) measured are NaN; before the first scan the shape is (0, 0).

        Raises
        ------
        NotCapableError
            When the controller does not record that channel.
        """


class LockInControl(Protocol):
    """The lock-in amplifier."""

    def get_lockin(self) -> LockInSettings:
        """Return the settings of the lock-in, with the calibration by which dI/dV follows from its X and Y."""

    def set_lockin(self, settings: LockInSettings) -> None:
        """Set the settings of the lock-in.

        Parameters
        ----------
        settings : LockInSettings
            Amplitude (V, peak), frequency (Hz), phase (degrees), switch, and calibration.

        Raises
        ------
        LimitError
            When amplitude or frequency make no sense at any lock-in; nothing has changed.
        """


class DriftControl(Protocol):
    """Compensation of a steady drift: the velocity at which the surface moves in the coordinates of the tip."""

    def get_drift(self) -> tuple[float, float]:
        """Return the drift velocity that is compensated, along x and y, in nm/s.

        It is (0, 0) where nothing is compensated, and has the sign of `set_drift`.
        """

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift velocity.

        Parameters
        ----------
        velocity : (float, float)
            Along x and y, in nm/s: that at which the surface moves in the coordinates of the tip. (0, 0) ends the compensation.

        Raises
        ------
        LimitError
            When a velocity makes no sense at any microscope; nothing has changed.
        """


class AtomTracking(Protocol):
    """Holding a feature: the tip follows what stands out, and so the drift of the sample."""

    def track(self, seconds: float) -> Floats:
        """Hold what stands out where the tip is, for a while.

        Parameters
        ----------
        seconds : float
            How long, in s.

        Returns
        -------
        ndarray of shape (n, 3)
            Time (s), x and y (nm) of the tip; shorter when `stop` ended it.
        """


@runtime_checkable
class Controller(
    BiasControl,
    CurrentReadout,
    TipControl,
    ZControl,
    Scanning,
    Spectroscopy,
    ZSpectroscopy,
    NativeGrids,
    LockInControl,
    DriftControl,
    AtomTracking,
    Protocol,
):
    """A microscope: simulated, recorded or real.

    Every method blocks until it is done and may be called from any thread; getters answer while another thread measures. A
    method outside ``capabilities`` raises `NotCapableError`, a lost instrument `LostConnectionError`; a value outside
    ``ranges`` is refused with `LimitError` before anything moves.
    """

    @property
    def name(self) -> str:
        """Name of the controller in sources and messages.

        It begins each source, as in ``"simulated:bias"``, and stands in the start document.
        """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The set of what this controller can do.

        Readings answer in any case: a capability is needed to change or to measure something.
        """

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Ranges of the hardware, as (low, high) by quantity.

        The quantities are ``bias`` V, ``current`` nA, ``setpoint`` nA, ``x`` ``y`` ``z`` nm, and ``speed`` nm/s.
        """

    def now(self) -> float:
        """Return the time on the controller's own clock, in s.

        For a simulated microscope this is simulated time, which passes only with what is done. Measurements carry this time.
        """

    def stop(self) -> None:
        """End motion, scan and sweep now, and hold still with the feedback closed.

        It may be called repeatedly, and it never retracts the tip.
        """

    def close(self) -> None:
        """Release the instrument and leave the tip safe: withdrawn, or held by the feedback.

        It may be called repeatedly.
        """

    def source(self, signal: str) -> str:
        """Return the source of a signal for ``describe()``, such as ``"simulated:bias"``.

        Parameters
        ----------
        signal : str
            Name of the quantity, as in ``"bias"``.
        """

    def describe(self) -> JSON:
        """Return name and settings as JSON-able values for the start document.

        They are enough to build this controller again, and to tell whether another one is the same.
        """

    def locations(self) -> Floats | None:
        """Return the only places where a spectrum can be taken.

        Returns
        -------
        ndarray of shape (n, 2) or None
            Places as (x, y), in nm; None where a spectrum can be taken anywhere.
        """

    def only_frame(self) -> Frame | None:
        """Return the only frame that can be explored, as that of a recording; None where any within the ranges can."""
