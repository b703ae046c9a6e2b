"""The base of every controller: it refuses what a controller cannot do and what is out of range, before it asks a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from bluesky_stm.controllers.base._acts import time_of_a_point
from bluesky_stm.controllers.base._bounds import check_bounds
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import (
    IMAGES,
    BiasControl,
    Capability,
    CurrentReadout,
    DriftControl,
    FeedbackGains,
    LockInControl,
    LockInSettings,
    Progress,
    Scanning,
    Spectroscopy,
    SweepSettings,
    TipControl,
    TipShape,
    TipState,
    ZControl,
)
from bluesky_stm.settings import Limits
from bluesky_stm.tip_changes import marked


class BaseController:
    """The methods of `protocols.Controller`, each handed on to the part of the same protocol.

    Capabilities and ranges are checked here and nowhere else: a part is asked only for what the controller declares. A wing
    makes its parts, and adds ``now``, ``stop``, ``close`` and ``describe``.

    Attributes
    ----------
    name : str
        First part of each source, as in ``"simulated:bias"``.
    capabilities : frozenset of Capability
    ranges : mapping of str to (float, float)
        What the hardware can do, in the units of `settings.Limits`.
    images : tuple of str
        The `IMAGES` that a scan records.
    bias, current, tip, z, scanning, spectroscopy, lockin, drift
        The parts, one for each protocol.
    """

    name: str
    capabilities: frozenset[Capability]
    ranges: Mapping[str, tuple[float, float]]
    images: tuple[str, ...] = IMAGES

    bias: BiasControl
    current: CurrentReadout
    tip: TipControl
    z: ZControl
    scanning: Scanning
    spectroscopy: Spectroscopy
    lockin: LockInControl
    drift: DriftControl

    def source(self, signal: str) -> str:
        """Return where a value comes from, as in ``"simulated:bias"``."""
        return f"{self.name}:{signal}"

    def locations(self) -> Floats | None:
        """Return None: a spectrum can be had anywhere."""
        return None

    # ---- refusals ----

    def check(self, **values: float) -> None:
        """Refuse values, by their names in ``ranges``, that lie outside or are no numbers.

        Raises
        ------
        LimitError
            Before anything has moved.
        """
        limits = Limits.within(self.ranges)
        for quantity, value in values.items():
            limits.check(quantity, value)

    def check_frame(self, frame: Frame) -> None:
        """Refuse a frame of which a corner lies outside of the ranges, or that has too many pixels."""
        check_bounds(pixels=max(frame.pixels))
        for x, y in frame.corners:
            self.check(x=float(x), y=float(y))

    def check_sweep(self, settings: SweepSettings) -> None:
        """Refuse a sweep whose ends or whose set point lie outside of the ranges."""
        self.check(bias=settings.start)
        self.check(bias=settings.stop)
        if settings.setpoint is not None:
            self.check(bias=settings.setpoint.bias, setpoint=settings.setpoint.current)

    def need(self, capability: Capability, what: str) -> None:
        """Refuse ``what`` where the controller does not declare the capability for it."""
        if capability not in self.capabilities:
            self.refuse(what)

    def refuse(self, what: str) -> NoReturn:
        """Say that the controller cannot do ``what``, a verb with its object.

        Raises
        ------
        NotCapableError
        """
        raise NotCapableError(f"{self.name} cannot {what}. Nothing has moved. Ask its capabilities first.")

    # ---- bias and current ----

    def get_bias(self) -> float:
        """Return the bias now, in V."""
        return self.bias.get_bias()

    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V, and return on arrival."""
        self.need(Capability.BIAS, "change the bias")
        self.check(bias=bias)
        self.bias.ramp_bias(bias)

    def read_current(self) -> float:
        """Return the tunneling current now, in nA, with the sign of the bias."""
        return self.current.read_current()

    # ---- tip ----

    def get_tip(self) -> TipState:
        """Return where the tip is now, in nm."""
        return self.tip.get_tip()

    def get_speed(self) -> float:
        """Return the speed of a move where none is asked for, in nm/s."""
        return self.tip.get_speed()

    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move to ``point``, in nm, in a straight line at ``speed``, in nm/s."""
        self.need(Capability.TIP, "move the tip")
        self.check(x=point[0], y=point[1])
        if speed is not None:
            self.check(speed=speed)
            check_bounds(speed=speed)
        self.tip.move_tip(Point(float(point[0]), float(point[1])), speed)

    # ---- z ----

    def get_feedback(self) -> bool:
        """Return True when the feedback is closed."""
        return self.z.get_feedback()

    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback; opened, z stays where it is."""
        self.need(Capability.FEEDBACK, "change the feedback")
        self.z.set_feedback(on)

    def get_setpoint(self) -> Setpoint:
        """Return bias and current, in V and nA, that the closed feedback keeps."""
        return self.z.get_setpoint()

    def set_setpoint_current(self, current: float) -> None:
        """Set the current, in nA, that the feedback keeps."""
        self.need(Capability.FEEDBACK, "change the set point")
        self.check(setpoint=current)
        self.z.set_setpoint_current(float(current))

    def get_gains(self) -> FeedbackGains:
        """Return the gains of the feedback, P in nm and I in nm/s."""
        return self.z.get_gains()

    def set_gains(self, gains: FeedbackGains) -> None:
        """Change the gains of the feedback."""
        self.need(Capability.FEEDBACK, "change the gains")
        check_bounds(integral=gains.integral, proportional=gains.proportional)
        self.z.set_gains(gains)

    def is_withdrawn(self) -> bool:
        """Return True when the tip is out of reach of the surface, whoever took it there."""
        return self.z.is_withdrawn()

    def withdraw(self) -> None:
        """Open the feedback and pull the tip back to the end of its range."""
        self.need(Capability.WITHDRAW, "withdraw the tip")
        self.z.withdraw()

    def home(self) -> None:
        """Open the feedback and lift the tip to its home height."""
        self.need(Capability.HOME, "lift the tip to a home height")
        self.z.home()

    def approach(self) -> None:
        """Bring a withdrawn tip back until the set point is reached, and close the feedback."""
        self.need(Capability.APPROACH, "approach")
        self.z.approach()

    # ---- measurements ----

    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take a topograph of ``frame`` in lines of ``line_time`` s, forth.

        Parameters
        ----------
        frame : Frame
            Refused as a whole when one of its corners lies outside of the ranges.
        line_time : float, optional
            Time for a line, forth, in s; the controller's own if not given.
        progress : callable, optional
            Called with the number of lines done and of all lines.

        Returns
        -------
        Topograph
            INCOMPLETE when `stop` ended it; the rows that were not measured are NaN.
        """
        self.need(Capability.SCAN, "scan")
        self.check_frame(frame)
        if line_time is not None:
            check_bounds(line_time=line_time)
        return self.scanning.scan(frame, line_time, progress)

    def image(self, channel: str = "height") -> Floats:
        """Return one of the `IMAGES` of the scan under way, or of the last one; shape (rows, columns)."""
        if channel not in self.images:
            raise NotCapableError(
                f"{self.name} records no {channel!r} of an image, only {', '.join(self.images)}. Nothing was scanned."
            )
        return self.scanning.image(channel)

    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias where the tip stands; ended by `stop` the spectrum is INCOMPLETE, padded with NaN.

        A spectrum within which the current jumped is marked as that of a changed tip.
        """
        self.need(Capability.SWEEP, "sweep the bias")
        check_bounds(**{name: getattr(settings, name) for name in ("points", "averages", "settle", "integrate", "z_offset")})
        check_bounds(sweep_time=settings.points * time_of_a_point(settings))
        self.check_sweep(settings)
        return marked(self.spectroscopy.sweep(settings, progress))

    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias, V for s, to change the tip."""
        self.need(Capability.PULSE, "pulse the bias to change the tip")
        self.check(bias=bias)
        check_bounds(width=width)
        self.spectroscopy.pulse(bias, width)

    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip into the surface, to change it."""
        self.need(Capability.SHAPE, "dip the tip to change it")
        self.check(bias=shape.bias)
        check_bounds(depth=shape.depth, hold=shape.hold, lift=shape.lift)
        self.spectroscopy.shape_tip(shape)

    # ---- lock-in and drift ----

    def get_lockin(self) -> LockInSettings:
        """Return the settings of the lock-in."""
        return self.lockin.get_lockin()

    def set_lockin(self, settings: LockInSettings) -> None:
        """Change the settings of the lock-in."""
        self.need(Capability.LOCKIN, "change the lock-in")
        check_bounds(amplitude=settings.amplitude, frequency=settings.frequency)
        self.lockin.set_lockin(settings)

    def get_drift(self) -> tuple[float, float]:
        """Return the drift that is compensated, in nm/s, along x and y."""
        return self.drift.get_drift()

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s, along x and y."""
        self.need(Capability.DRIFT, "compensate a drift")
        for along in velocity:
            check_bounds(drift=along)
        self.drift.set_drift(velocity)
