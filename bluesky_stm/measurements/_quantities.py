"""Measurements of a microscope: a topograph, a spectrum, a CITS grid, each with its place, units and quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from bluesky_stm import units
from bluesky_stm.data import JSON
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements._about import About
from bluesky_stm.measurements._declared import (
    Declared,
    Field,
    Fields,
    array,
    declared,
    each_of,
    joined,
    nested,
    not_stored,
    number,
    text,
    whole,
)
from bluesky_stm.pictures import beside, curve_picture, table, topograph_picture

SATURATED_WITHIN: Final = 1e-3
"""Relative distance from the largest current within which a sample of a clipped spectrum counts as saturated."""

IMAGE: Final = ("row", "column")
"""Axes of an image; row 0 is the lowest y."""


class Quality(IntFlag):
    """Flags of what is wrong with a measurement; stored as one whole number in its Event.

    Several may hold at once. A scalarizer says with which of them a spectrum has no value.
    """

    GOOD = 0
    CLIPPED = 1
    """The preamplifier reached the end of its range: current and lock-in are not to be trusted there."""
    INCOMPLETE = 2
    """Ended early; what was not measured is NaN."""
    LOST_CONTACT = 4
    """The current vanished at the set point: the tip hung in the air."""
    TIP_CHANGED = 8
    """The current jumped within the measurement: before and after are two tips."""
    UNMODULATED = 16
    """The lock-in did not modulate the bias: there is no dI/dV, and it is NaN."""
    DERIVED = 32
    """No lock-in measured dI/dV: it is the numerical derivative of the current."""

    DISTURBED = 64
    """Somebody changed meanwhile what defines it: set point, place, lock-in, drift compensation. It says what."""

    OF_LOCKIN = UNMODULATED | DERIVED
    """The flags that say where dI/dV comes from; of a grid they hold for each of its spectra."""

    @property
    def words(self) -> str:
        """The flags in words: ``"clipped, incomplete"``, or ``"good"``."""
        return ", ".join(flag.name.lower().replace("_", " ") for flag in self if flag.name) or "good"


def place() -> Point:
    """Declare a place, as two fields ``x`` and ``y``, in nm."""
    return joined(dict.fromkeys("xy", units.LENGTH), tuple, lambda data, prefix, x, y: Point(x, y))


def channel(unit: str, doc: str, *, label: str = "", optional: bool = False, harmonic: int = 0) -> Floats:
    """Declare what is measured at each bias of a sweep.

    Parameters
    ----------
    unit : str
        Unit of its samples.
    doc : str
        What it means.
    label : str
        What the software of an instrument and its files call it, with the unit there.
    optional : bool
        True when it may be missing, in a stored spectrum or where an instrument does not measure it; it is NaN then.
    harmonic : int
        Harmonic of the lock-in that measures it; 0 for what is no derivative of the current.
    """
    return array(unit, ("bias",), doc, precision=5, label=label, optional=optional, harmonic=harmonic)


def frame_of(image: str) -> Frame:
    """Declare the frame of an image, as its centre and sides (nm) and its angle (degrees counter-clockwise).

    Parameters
    ----------
    image : str
        Name of the field that holds the image, whose shape is that of the pixels of the frame.
    """
    sides = dict.fromkeys(("center_x", "center_y", "width", "height"), units.LENGTH)

    def parts(frame: Frame) -> tuple[float, ...]:
        return *frame.center, *frame.size, frame.angle

    def join(data: Fields, prefix: str, x: float, y: float, width: float, height: float, angle: float) -> Frame:
        rows, columns = np.shape(data[prefix + image])[:2]
        return Frame(Point(x, y), (width, height), (rows, columns), angle)

    return joined({**sides, "angle": units.ANGLE}, parts, join)


@dataclass(frozen=True)
class Setpoint(Declared):
    """Set point of the feedback.

    Attributes
    ----------
    bias : float
        Sample bias, in V; positive bias probes the empty states of the sample.
    current : float
        Magnitude of the tunneling current, in nA; its sign is that of the bias.
    """

    bias: float = number(units.BIAS, "Sample bias.", precision=4)
    current: float = number(units.CURRENT, "Magnitude of the tunneling current.", precision=5)


@dataclass(frozen=True, eq=False, kw_only=True)
class Taken(Declared):
    """The facts that every measurement states of itself.

    Attributes
    ----------
    setpoint : Setpoint
        Where the feedback was held, of a spectrum before it was opened.
    time : float
        Start on the controller's clock, in s.
    quality : Quality
    disturbed : str
        What somebody changed while it was taken, where the quality says so.
    native : str
        File in which the software of the instrument keeps it, as that software names it: an image's whole path, of a spectrum
        the path as far as it is known, which a number and a suffix follow.
    about : About or None
        What a file says beside the measurement; None for what was not read from a file of others.
    """

    setpoint: Setpoint = nested(Setpoint, "setpoint_")
    time: float = number(units.TIME, "Start on the controller's clock.", 0.0, precision=3)
    quality: Quality = whole(Quality, "What is wrong with it, as the sum of the flags of `Quality`.", Quality.GOOD)
    disturbed: str = text("What somebody changed meanwhile that defines it; empty if nothing did.", "", optional=True)
    native: str = text("File in which the software of the instrument keeps it; empty if none is known.", "", optional=True)
    about: About | None = not_stored()  # noqa: RUF009 - as every declaration


@dataclass(frozen=True, eq=False)
class Topograph(Taken):
    """A constant-current image.

    Attributes
    ----------
    frame : Frame
        Where it was taken.
    height : ndarray of shape (rows, columns)
        Tip height, in nm, larger away from the surface; row 0 is the lowest y; NaN where not measured.
    """

    frame: Frame = frame_of("topograph")
    height: Floats = array(units.LENGTH, IMAGE, "Tip height, larger away from the surface.", name="topograph", precision=4)

    def __repr__(self) -> str:
        return f"<Topograph of {_frame_in_words(self.frame)}, {_taken_in_words(self)}>"

    def _repr_html_(self) -> str:
        """Return the picture with what it shows, as a notebook asks for it."""
        rows = {
            "frame": _frame_in_words(self.frame),
            "set point": _setpoint_in_words(self.setpoint),
            "quality": self.quality.words,
        }
        return beside(topograph_picture(self.height, self.frame.size), table("Topograph", rows))


@dataclass(frozen=True, eq=False, kw_only=True)
class Swept(Taken):
    """The channels of a bias sweep, of one place or of many.

    Attributes
    ----------
    bias : ndarray of shape (n,)
        Sample bias, in V, in the order measured.
    current : ndarray of shape (..., n)
        Tunneling current, in nA; NaN where not measured.
    lockin_x, lockin_y : ndarray of shape (..., n)
        Raw lock-in channels, in nA.
    didv : ndarray of shape (..., n)
        Differential conductance, in nS, from the raw lock-in by its calibration; NaN where the bias was not modulated.
    d2idv2 : ndarray of shape (..., n)
        Second derivative of the current with bias, in nS/V, from the second harmonic of the lock-in; it shows inelastic
        tunnelling. NaN where that is not demodulated.
    """

    bias: Floats = array(units.BIAS, ("bias",), "Sample bias, in the order measured.", precision=4)
    current: Floats = channel(units.CURRENT, "Tunneling current.", label="Current (A)")
    lockin_x: Floats = channel(units.CURRENT, "Raw lock-in, in phase.", label="LI Demod 1 X (A)")
    lockin_y: Floats = channel(units.CURRENT, "Raw lock-in, a quarter of a period ahead.", label="LI Demod 1 Y (A)")
    didv: Floats = channel(units.CONDUCTANCE, "Differential conductance.", label="dI/dV (S)", harmonic=1)
    d2idv2: Floats = channel(
        units.CURVATURE, "Second derivative of the current.", label="d2I/dV2 (S/V)", optional=True, harmonic=2
    )

    def __post_init__(self) -> None:
        for name in {f.attribute for f in CHANNELS if f.optional and getattr(self, f.attribute) is None}:
            object.__setattr__(self, name, np.broadcast_to(np.nan, np.shape(self.current)))


CHANNELS: Final[tuple[Field, ...]] = tuple(f for f in declared(Swept).values() if f.axes and f.attribute != "bias")
"""What is measured at each bias of a sweep."""

HARMONICS: Final[Mapping[int, str]] = {f.harmonic: f.name for f in CHANNELS if f.harmonic}
"""Channel that each harmonic of the lock-in measures: the n-th derivative of the current with bias, from the n-th harmonic."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ZSpectrum(Taken):
    """A sweep of the tip's height at one place with the feedback held open: I(z), from which the barrier height follows.

    Attributes
    ----------
    position : Point
        Where the tip stood, in nm.
    distance : ndarray of shape (m,)
        How far the tip was drawn back from where the feedback had held it, in nm, in the order measured; negative is closer.
    current : ndarray of shape (m,)
        Tunneling current, in nA; NaN where not measured.
    z : float
        Tip height where the feedback had held it, in nm.
    """

    position: Point = place()
    distance: Floats = array(units.LENGTH, ("distance",), "How far the tip was drawn back, in the order measured.", precision=4)
    current: Floats = array(units.CURRENT, ("distance",), "Tunneling current at each distance.", precision=5)
    z: float = number(units.LENGTH, "Tip height where the feedback held it.", float("nan"), precision=4)

    def __repr__(self) -> str:
        ends = f"{self.distance[0]:g} to {self.distance[-1]:g} {units.LENGTH}" if len(self.distance) else "nowhere"
        at = f"({self.position.x:.2f}, {self.position.y:.2f}) nm"
        return f"<ZSpectrum at {at}: {len(self.distance)} points, {ends}, {_taken_in_words(self)}>"


@dataclass(frozen=True, eq=False, kw_only=True)
class Spectrum(Swept):
    """A bias sweep at one place with the feedback held; its channels are those of `Swept`, of shape (n,).

    Attributes
    ----------
    position : Point
        Where the tip stood, in nm.
    z : float
        Tip height during the sweep, in nm.
    backward : mapping of str to ndarray of shape (n,)
        Channels on the way back by themselves, at the biases above; empty where the sweep went one way only, or the controller
        keeps but the average of both.
    z_sweep : ZSpectrum or None
        I(z) that was taken at the same place, in the same Event; None where none was.
    """

    position: Point = place()
    z: float = number(units.LENGTH, "Tip height during the sweep.", float("nan"), precision=4)
    backward: Mapping[str, Floats] = each_of(CHANNELS, "_backward")
    z_sweep: ZSpectrum | None = not_stored()  # noqa: RUF009 - as every declaration

    def __repr__(self) -> str:
        at = f"({self.position.x:.2f}, {self.position.y:.2f}) nm"
        return f"<Spectrum at {at}: {_sweep_in_words(self.bias)}, {_taken_in_words(self)}>"

    def _repr_html_(self) -> str:
        """Return current and dI/dV as curves with what they are of, as a notebook asks for it."""
        rows = {
            "place": f"({self.position.x:.2f}, {self.position.y:.2f}) nm",
            "sweep": _sweep_in_words(self.bias),
            "set point": _setpoint_in_words(self.setpoint),
            "quality": self.quality.words,
        }
        current = curve_picture(self.bias, self.current, f"current ({units.CURRENT}) against bias ({units.BIAS})")
        slope = curve_picture(self.bias, self.didv, f"dI/dV ({units.CONDUCTANCE})")
        return beside(current, slope, table("Spectrum", rows))

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Samples at which the preamplifier was at the end of its range, shape (n,): there neither current nor lock-in counts.

        They are those within `SATURATED_WITHIN` of the largest current, of a spectrum that is marked as clipped.
        """
        size = np.abs(self.current)
        if not self.quality & Quality.CLIPPED:
            return np.zeros(size.shape, dtype=bool)
        return np.asarray(size >= (1 - SATURATED_WITHIN) * np.nanmax(size, initial=0))

    def at(self, position: Point) -> Self:
        """Return the same spectrum at a corrected place.

        Parameters
        ----------
        position : Point
            Place as (x, y), in nm.
        """
        return replace(self, position=position)


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid(Swept):
    """A CITS grid, one spectrum for each pixel of a frame; its channels are those of `Swept`, of shape (rows, columns, n).

    Attributes
    ----------
    frame : Frame
        Its pixels are the places of the spectra.
    height : ndarray of shape (rows, columns)
        Tip height when the feedback was opened, in nm.
    """

    frame: Frame = frame_of("z")
    height: Floats = array(units.LENGTH, IMAGE, "Tip height when the feedback was opened.", name="z", precision=4)

    def __repr__(self) -> str:
        return f"<Grid of {_frame_in_words(self.frame)}: {_sweep_in_words(self.bias)}, {_taken_in_words(self)}>"

    def spectrum(self, row: int, column: int) -> Spectrum:
        """Return the spectrum of one pixel.

        Parameters
        ----------
        row, column : int
            Indices of the pixel; row 0 is the lowest y of the frame.

        Returns
        -------
        Spectrum
            Its place is the centre of the pixel, its time that of the whole grid.
        """
        x, y = self.frame.to_sample((row, column))
        channels: JSON = {c.name: np.array(getattr(self, c.name)[row, column], dtype=float) for c in CHANNELS}
        return Spectrum(
            position=Point(float(x), float(y)),
            bias=self.bias,
            **channels,
            setpoint=self.setpoint,
            time=self.time,
            z=float(self.height[row, column]),
            quality=(self.quality & Quality.OF_LOCKIN)
            | (Quality.INCOMPLETE if np.isnan(channels["current"]).any() else Quality.GOOD),
        )


def _frame_in_words(frame: Frame) -> str:
    (x, y), (width, height), (rows, columns) = frame.center, frame.size, frame.pixels
    turned = f", turned by {frame.angle:g}°" if frame.angle else ""
    return f"{width:g} x {height:g} nm at ({x:.2f}, {y:.2f}) nm{turned}, {rows} x {columns} pixels"


def _setpoint_in_words(setpoint: Setpoint) -> str:
    return f"{setpoint.bias:g} {units.BIAS}, {setpoint.current:g} {units.CURRENT}"


def _taken_in_words(taken: Taken) -> str:
    return f"set point {_setpoint_in_words(taken.setpoint)}, {taken.quality.words}"


def _sweep_in_words(bias: Floats) -> str:
    return f"{len(bias)} points, {bias[0]:g} to {bias[-1]:g} {units.BIAS}" if len(bias) else "no points"
