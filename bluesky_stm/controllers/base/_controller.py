"""The base of every controller: it refuses what a controller cannot do and what is out of range, before it asks a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NoReturn

from typing_extensions import override

from bluesky_stm.controllers.base._bounds import check_bounds
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph, ZSpectrum
from bluesky_stm.protocols import (
    IMAGES,
    AtomTracking,
    BiasControl,
    Capability,
    CurrentReadout,
    DriftControl,
    FeedbackGains,
    LockInControl,
    LockInSettings,
    NativeGrids,
    Progress,
    Scanning,
    Spectroscopy,
    SweepSettings,
    TipControl,
    TipShape,
    TipState,
    ZControl,
    ZSpectroscopy,
    ZSweepSettings,
)
from bluesky_stm.settings import Limits
from bluesky_stm.tip_changes import marked


class BaseController(
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
):
    """The methods of `protocols.Controller`, each handed on to the part of the same protocol.

    Capabilities and ranges are checked here and nowhere else: a part is asked only for what the controller declares. Therefore
    the parts, and whatever else reaches the instrument, are private: nobody asks them but the controller. A wing makes its
    parts, one for each protocol, and adds ``now``, ``stop``, ``close`` and ``describe``.

    Attributes
    ----------
    name : str
        First part of each source, as in ``"simulated:bias"``.
    capabilities : frozenset of Capability
    ranges : mapping of str to (float, float)
        What the hardware can do, in the units of `settings.Limits`.
    images : tuple of str
        The `IMAGES` that a scan records.
    """

    name: str
    capabilities: frozenset[Capability]
    ranges: Mapping[str, tuple[float, float]]
    images: tuple[str, ...] = IMAGES

    _bias: BiasControl
    _current: CurrentReadout
    _tip: TipControl
    _z: ZControl
    _scanning: Scanning
    _spectroscopy: Spectroscopy
    _z_spectroscopy: ZSpectroscopy
    _grids: NativeGrids
    _lockin: LockInControl
    _drift: DriftControl
    _tracking: AtomTracking

    def source(self, signal: str) -> str:
        """Return where a value comes from, as in ``"simulated:bias"``."""
        return f"{self.name}:{signal}"

    def locations(self) -> Floats | None:
        """Return None: a spectrum can be had anywhere."""
        return None

    def only_frame(self) -> Frame | None:
        """Return None: any frame within the ranges can be explored."""
        return None

    def obstacles(self, dwell: float) -> Sequence[str]:
        """Return what keeps a run from beginning, as sentences that say what to do; nothing at most microscopes.

        Parameters
        ----------
        dwell : float
            Time at each bias of the sweeps of the run, in s.
        """
        return ()

    # ---- refusals ----

    def check(self, **values: float) -> None:
        """Refuse values, by their names in ``ranges``, that lie outside or are no numbers.

        Raises
        ------
        LimitError
            Before anything has moved.
        """
        limits = _limits(tuple((name, (low, high)) for name, (low, high) in self.ranges.items()))
        for quantity, value in values.items():
            limits.check(quantity, value)

    def check_frame(self, frame: Frame) -> None:
        """Refuse a frame of which a corner lies outside of the ranges, or that has too many pixels.

        Parameters
        ----------
        frame : Frame
            Region (nm, degrees) and pixels.

        Raises
        ------
        LimitError
            Before anything has moved.
        """
        check_bounds(pixels=max(frame.pixels))
        for x, y in frame.corners:
            self.check(x=float(x), y=float(y))

    def check_sweep(self, settings: SweepSettings) -> None:
        """Refuse a sweep whose ends or whose set point lie outside of the ranges.

        Parameters
        ----------
        settings : SweepSettings
            Range (V) and set point (V, nA).

        Raises
        ------
        LimitError
            Before anything has moved.
        """
        check_bounds(**{name: getattr(settings, name) for name in ("points", "averages", "settle", "integrate", "z_offset")})
        check_bounds(sweep_time=settings.seconds)
        self.check_sweep_ranges(settings)

    def check_sweep_ranges(self, settings: SweepSettings) -> None:
        """Refuse a sweep whose ends or whose set point lie outside of the ranges."""
        self.check(bias=settings.start)
        self.check(bias=settings.stop)
        if settings.setpoint is not None:
            self.check(bias=settings.setpoint.bias, setpoint=settings.setpoint.current)

    def check_z_sweep(self, settings: ZSweepSettings) -> None:
        """Refuse a z sweep that leaves the ranges of z or of the set point, or whose nearest point may carry too much current.

        Parameters
        ----------
        settings : ZSweepSettings
            Range (nm), set point (V, nA) and largest current (nA).

        Raises
        ------
        LimitError
            Before anything has moved.
        """
        check_bounds(**{name: getattr(settings, name) for name in ("points", "averages", "settle", "integrate")})
        check_bounds(sweep_time=settings.seconds)
        if settings.setpoint is not None:
            self.check(bias=settings.setpoint.bias, setpoint=settings.setpoint.current)
        here = self.get_tip().z
        for end in (settings.start, settings.stop):
            self.check(z=here + end)
        settings.check_nearest(self.get_setpoint(), self.ranges["current"][1])

    def need(self, capability: Capability, what: str) -> None:
        """Refuse what the controller does not declare the capability for.

        Parameters
        ----------
        capability : Capability
            Ability that is needed.
        what : str
            A verb with its object, as in ``"scan"`` or ``"move the tip"``.

        Raises
        ------
        NotCapableError
            Nothing has moved.
        """
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

    @override
    def get_bias(self) -> float:
        return self._bias.get_bias()

    @override
    def ramp_bias(self, bias: float) -> None:
        self.need(Capability.BIAS, "change the bias")
        self.check(bias=bias)
        self._bias.ramp_bias(bias)

    @override
    def read_current(self) -> float:
        return self._current.read_current()

    # ---- tip ----

    @override
    def get_tip(self) -> TipState:
        return self._tip.get_tip()

    @override
    def get_speed(self) -> float:
        return self._tip.get_speed()

    @override
    def move_tip(self, point: Point, speed: float | None = None) -> Point:
        self.need(Capability.TIP, "move the tip")
        self.check(x=point[0], y=point[1])
        if speed is not None:
            self.check(speed=speed)
            check_bounds(speed=speed)
        return self._tip.move_tip(Point(float(point[0]), float(point[1])), speed)

    # ---- z ----

    @override
    def get_feedback(self) -> bool:
        return self._z.get_feedback()

    @override
    def set_feedback(self, on: bool) -> None:
        self.need(Capability.FEEDBACK, "change the feedback")
        self._z.set_feedback(on)

    @override
    def get_setpoint(self) -> Setpoint:
        return self._z.get_setpoint()

    @override
    def set_setpoint_current(self, current: float) -> None:
        self.need(Capability.FEEDBACK, "change the set point")
        self.check(setpoint=current)
        self._z.set_setpoint_current(float(current))

    @override
    def get_gains(self) -> FeedbackGains:
        return self._z.get_gains()

    @override
    def set_gains(self, gains: FeedbackGains) -> None:
        self.need(Capability.FEEDBACK, "change the gains")
        check_bounds(integral=gains.integral, proportional=gains.proportional)
        self._z.set_gains(gains)

    @override
    def is_withdrawn(self) -> bool:
        return self._z.is_withdrawn()

    @override
    def withdraw(self) -> None:
        self.need(Capability.WITHDRAW, "withdraw the tip")
        self._z.withdraw()

    @override
    def home(self) -> None:
        self.need(Capability.HOME, "lift the tip to a home height")
        self._z.home()

    @override
    def approach(self) -> None:
        self.need(Capability.APPROACH, "approach")
        self._z.approach()

    # ---- measurements ----

    @override
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        self.need(Capability.SCAN, "scan")
        self.check_frame(frame)
        if line_time is not None:
            check_bounds(line_time=line_time)
        return self._scanning.scan(frame, line_time, progress)

    @override
    def get_line_time(self, frame: Frame) -> float | None:
        return self._scanning.get_line_time(frame)

    @override
    def image(self, channel: str = "height") -> Floats:
        if channel not in self.images:
            raise NotCapableError(
                f"{self.name} records no {channel!r} of an image, only {', '.join(self.images)}. Nothing was scanned."
            )
        return self._scanning.image(channel)

    @override
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias at the present place of the tip, as `protocols.Spectroscopy` says.

        A spectrum within which the current jumped is marked as that of a changed tip.

        Parameters
        ----------
        settings : SweepSettings
            Range, points and timing of the sweep.
        progress : callable, optional
            Called with the number of finished points and of all points.

        Returns
        -------
        Spectrum
            When `stop` ended the sweep it has the flag INCOMPLETE and is padded with NaN.

        Raises
        ------
        LimitError
            When an end of the sweep or its set point lies outside of ``ranges``, or when the points, the averages, the times or
            the z offset make no sense at any microscope (`BOUNDS`). Nothing has moved.
        """
        self.need(Capability.SWEEP, "sweep the bias")
        self.check_sweep(settings)
        # One rule for all wings says whether the tip changed within it.
        return marked(self._spectroscopy.sweep(settings, progress))

    @override
    def sweep_grid(self, frame: Frame, settings: SweepSettings, progress: Progress | None = None) -> list[Spectrum]:
        self.need(Capability.GRID, "take a grid of spectra by itself")
        self.check_frame(frame)
        self.check_sweep(settings)
        return [marked(spectrum) for spectrum in self._grids.sweep_grid(frame, settings, progress)]

    @override
    def pulse(self, bias: float, width: float) -> None:
        self.need(Capability.PULSE, "pulse the bias to change the tip")
        self.check(bias=bias)
        check_bounds(width=width)
        self._spectroscopy.pulse(bias, width)

    @override
    def shape_tip(self, shape: TipShape) -> None:
        self.need(Capability.SHAPE, "dip the tip to change it")
        self.check(bias=shape.bias)
        check_bounds(depth=shape.depth, hold=shape.hold, lift=shape.lift)
        self._spectroscopy.shape_tip(shape)

    @override
    def z_sweep(self, settings: ZSweepSettings, progress: Progress | None = None) -> ZSpectrum:
        self.need(Capability.Z_SWEEP, "sweep the height of the tip")
        self.check_z_sweep(settings)
        return self._z_spectroscopy.z_sweep(settings, progress)

    # ---- lock-in and drift ----

    @override
    def get_lockin(self) -> LockInSettings:
        return self._lockin.get_lockin()

    @override
    def set_lockin(self, settings: LockInSettings) -> None:
        self.need(Capability.LOCKIN, "change the lock-in")
        check_bounds(amplitude=settings.amplitude, frequency=settings.frequency)
        self._lockin.set_lockin(settings)

    @override
    def track(self, seconds: float) -> Floats:
        self.need(Capability.TRACK, "hold a feature")
        check_bounds(sweep_time=seconds)
        return self._tracking.track(seconds)

    @override
    def get_drift(self) -> tuple[float, float]:
        return self._drift.get_drift()

    @override
    def set_drift(self, velocity: tuple[float, float]) -> None:
        self.need(Capability.DRIFT, "compensate a drift")
        for along in velocity:
            check_bounds(drift=along)
        self._drift.set_drift(velocity)


@lru_cache(maxsize=16)
def _limits(ranges: tuple[tuple[str, tuple[float, float]], ...]) -> Limits:
    """Return the limits of a hardware, which each move and each sweep is held against."""
    return Limits.within(dict(ranges))
