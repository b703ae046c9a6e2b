"""Nanonis grids, ``.3ds``: a sweep of the bias, or of something else, at each pixel of a frame.

Rows begin at the lowest y of the frame. The header's frame lies where the recorded positions say: some versions measure at
pixel centres, old ones at pixel corners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.barrier import BarrierHeight, barrier_height
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files import _header as headers
from bluesky_stm.files._channels import in_si, spectroscopy, ways
from bluesky_stm.files._header import (
    Header,
    frame_from_si,
    lines_of_setpoint,
    numbers,
    pixels_of,
    setpoint_of,
    si_of_frame,
    split_file,
    whole_number,
)
from bluesky_stm.files._labels import date_of, our_factor, our_unit, split_unit, timestamp
from bluesky_stm.files._pixels import cropped, read_pixels
from bluesky_stm.files._provenance import UNKNOWN, Provenance, as_comment
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import About, Grid, Quality, Setpoint, ZSpectrum
from bluesky_stm.validated import JSON

_END = b":HEADER_END:\r\n"

MOST_PIXELS: Final = 2000
"""Pixels, evenly spread, that say where a grid lies and from which current it was measured."""

_SEGMENTS: Final = "Segment Start (V), Segment End (V), Settling (s), Integration (s), Steps (xn)"


@dataclass(frozen=True, eq=False)
class Sweeps:
    """A grid of sweeps as it was recorded, whatever was swept.

    Attributes
    ----------
    frame : Frame
        Its pixels are the places of the sweeps.
    swept : str
        What was swept: ``"Bias"``, ``"Z"`` ...
    values : ndarray of shape (n,)
        What it was set to, in V, nm ...; in a Z sweep relative to where the feedback was opened.
    channels : mapping of str to ndarray of shape (rows, columns, n)
        What was recorded, in nA, V, nm ...; NaN where not measured.
    parameters : mapping of str to ndarray of shape (rows, columns)
        What was recorded once a pixel (``"X"``, ``"Z"``, ``"Settling time"`` ...), in nm, s ...; NaN where not measured.
    units : mapping of str to str
        Unit of what was swept, of each channel and of each parameter, by name.
    setpoint : Setpoint or None
        None in files that do not carry it.
    time : float
        Start, in s since 1970.
    recorded_units : mapping of str to str
        Units of the channels as they stand in the file.
    about : About
        What the file says beside the measurement.
    """

    frame: Frame
    swept: str
    values: Floats
    channels: Mapping[str, Floats]
    parameters: Mapping[str, Floats]
    units: Mapping[str, str]
    setpoint: Setpoint | None = None
    time: float = 0.0
    recorded_units: Mapping[str, str] = field(default_factory=dict)
    about: About = field(default_factory=About)

    def barrier(self, pixel: tuple[int, int]) -> BarrierHeight:
        """Return the apparent barrier height of one sweep of the distance, from its current on the way forth.

        Parameters
        ----------
        pixel : (int, int)
            Row and column.
        """
        if not (self.of_distance and "Current" in self.channels):
            return BarrierHeight(reason=f"it swept {self.swept}, and recorded {', '.join(self.channels)}")
        return barrier_height(self.values, self.channels["Current"][pixel])

    def z_spectrum(self, pixel: tuple[int, int] = (0, 0)) -> ZSpectrum:
        """Return one sweep of the distance as I(z).

        Parameters
        ----------
        pixel : (int, int)
            Row and column.

        Raises
        ------
        FileFormatError
            When something else was swept, or no current was recorded.
        """
        if not (self.of_distance and "Current" in self.channels):
            raise FileFormatError(f"This swept {self.swept} and recorded {', '.join(self.channels)}: it holds no I(z).")
        x, y = self.frame.to_sample(pixel)
        current = self.channels["Current"][pixel]
        return ZSpectrum(
            position=Point(float(x), float(y)),
            distance=self.values,
            current=current,
            z=float(self.parameters["Z"][pixel]) if "Z" in self.parameters else float("nan"),
            setpoint=self.setpoint or Setpoint(float("nan"), float("nan")),
            time=self.time,
            quality=Quality.GOOD if np.isfinite(current).all() else Quality.INCOMPLETE,
        )

    @property
    def measured(self) -> list[tuple[int, int]]:
        """Pixels, as row and column, at which anything was measured."""
        known = np.any([np.isfinite(values).any(axis=-1) for values in self.channels.values()], axis=0)
        return [(int(row), int(column)) for row, column in np.argwhere(known)]

    @property
    def of_distance(self) -> bool:
        """True for sweeps of the distance between tip and surface."""
        return self.swept.lower().startswith("z")

    @property
    def of_bias(self) -> bool:
        """True for a grid of bias sweeps."""
        return self.swept.lower().startswith("bias")

    def cits(self, didv: str = "") -> Grid:
        """Return the grid of bias sweeps that this is; of a sweep that turned round, the average of both ways.

        Parameters
        ----------
        didv : str
            Name of the channel that becomes dI/dV; empty to look for one.

        Raises
        ------
        FileFormatError
            When something else than the bias was swept.
        """
        if not self.of_bias:
            raise FileFormatError(
                f"This is a sweep of {self.swept}, not of the bias: it holds no I(V) spectra. "
                "Choose a grid of bias spectroscopy, or look at it with files.read_sweeps."
            )
        recorded = self.recorded_units or {name: {units.CURRENT: "A"}.get(unit, unit) for name, unit in self.units.items()}
        forth, back, left_out = ways(self.values)
        channels = self.channels
        if back or left_out:
            channels = {name: values[..., forth] for name, values in channels.items()}
        if back:
            channels = {name: (values + self.channels[name][..., back][..., ::-1]) / 2 for name, values in channels.items()}
        bias = self.values[forth]
        found, source, calibration = spectroscopy(bias, channels, recorded, didv)
        arrays: JSON = {**found}
        whole = bool(np.isfinite(arrays["current"].min()))  # NaN anywhere is the minimum
        return Grid(
            frame=self.frame,
            bias=bias,
            **arrays,
            height=self.parameters.get("Z", np.full(self.frame.pixels, np.nan)),
            setpoint=self.setpoint or _setpoint_from(bias, arrays["current"]),
            time=self.time,
            quality=source | (Quality.GOOD if whole and not self.about.kept else Quality.INCOMPLETE),
            about=replace(
                self.about,
                calibration=calibration,
                kept=", ".join(filter(None, (self.about.kept, left_out))),
                further={**self.about.further, **_times(self.parameters)},
            ),
        )


def read_3ds(path: str | Path, didv: str = "") -> Grid:
    """Return a CITS grid, in our units; pixels that were not measured are NaN.

    Parameters
    ----------
    path : str or Path
        The file.
    didv : str
        Name of the channel that becomes dI/dV; empty to look for one.

    Raises
    ------
    FileFormatError
        When the file is no grid, is damaged, or swept something else than the bias.
    """
    return read_sweeps(path).cits(didv)


def read_sweeps(path: str | Path) -> Sweeps:
    """Return a grid of sweeps of whatever was swept, as it was recorded.

    Of a file that ends early the whole pixels are kept.

    Raises
    ------
    FileFormatError
        When the file is no grid or is damaged.
    """
    path = Path(path)
    text, begin = split_file(path, _END, "grid", "Choose a .3ds file of Nanonis.")
    header = _parse(text)
    shape = pixels_of(header, "Grid dim")
    names = [name for key in ("Fixed parameters", "Experiment parameters") for name in _listed(header, key)]
    labels, points = _listed(header, "Channels"), whole_number(header, "Points")
    if not (labels and points > 0):
        raise FileFormatError(f"{path.name} is damaged: its header gives {points} points in {len(labels)} channels.")
    kept = cropped(path, begin, shape, len(names) + len(labels) * points)
    factors = [our_factor(split_unit(label)[1]) for label in names], [our_factor(split_unit(label)[1]) for label in labels]
    read = read_pixels(path, begin, kept, points, *factors)
    parts = [split_unit(label) for label in (*names, *labels)]
    parameters = {name: values for (name, _), values in zip(parts, read.parameters, strict=False)}
    channels = {name: values for (name, _), values in zip(parts[len(names) :], read.channels, strict=False)}
    signal = header.get("Sweep Signal", "Bias (V)")
    swept, unit = split_unit(signal)
    values = _axis(path.name, header, read.parameters[:2], points, our_factor(unit))
    return Sweeps(
        _frame(header, shape, kept.rows, parameters),
        swept,
        values,
        channels,
        parameters,
        {name: our_unit(unit) for name, unit in [*parts, (swept, unit)]},
        setpoint_of(header),
        timestamp(header.get("Start time") or header.get("Date")),
        dict(parts),
        headers.about(header, kept=kept.words, channels=tuple(labels)),
    )


def write_3ds(path: str | Path, grid: Grid, provenance: Provenance = UNKNOWN) -> None:
    """Write a CITS grid as a file of Nanonis; what was not measured is NaN there, too.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    grid : Grid
        Its numbers are written in SI, in single precision.
    provenance : mapping of str to str
        Lines about where it comes from, written as the comment of the file.

    Raises
    ------
    FileFormatError
        When the bias does not rise or fall in equal steps, which the format can't say.
    """
    steps = np.diff(grid.bias)
    if np.ptp(steps) > 1e-3 * np.abs(steps).min():
        raise FileFormatError(
            "A .3ds grid has one linear sweep, and the bias of this one has unequal steps. Nothing was written."
        )
    # SciFiReaders 0.12.7 tells channels by their first and last word, so that lock-in Y would take the place of X
    channels = {label.replace(" ", "_").replace("_(", " ("): values for label, values in in_si(grid).items()}
    place = np.concatenate([grid.frame.points(), grid.height[..., None]], axis=-1)
    write_recorded(path, grid.frame, grid.bias, channels, place, grid.setpoint, grid.time, provenance)


def write_recorded(
    path: str | Path,
    frame: Frame,
    bias: Floats,
    channels: Mapping[str, Floats],
    places: Floats,
    setpoint: Setpoint,
    time: float,
    provenance: Provenance = UNKNOWN,
) -> None:
    """Write a grid of bias sweeps with the channels that were recorded, as Nanonis does.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    frame : Frame
        Its pixels are the places of the sweeps.
    bias : ndarray of shape (n,)
        In V, in equal steps.
    channels : mapping of str to ndarray of shape (rows, columns, n)
        What was recorded, in SI, by its label: ``"Current (A)"``.
    places : ndarray of shape (rows, columns, 3)
        Place and height of the tip, in nm.
    setpoint : Setpoint
        What the feedback kept.
    time : float
        Start, in s since 1970.
    provenance : mapping of str to str
        Lines about where it comes from.
    """
    limits = np.broadcast_to(bias[[0, -1]], (*frame.pixels, 2))
    pixels = np.concatenate([limits, units.to_si(places, units.LENGTH), *channels.values()], axis=-1)
    header = _header((frame, bias, setpoint, time), list(channels), provenance)
    Path(path).write_bytes(header.encode("latin-1") + _END + pixels.astype(">f4").tobytes())


def _header(taken: tuple[Frame, Floats, Setpoint, float], labels: list[str], provenance: Provenance) -> str:
    frame, bias, setpoint, time = taken
    (rows, columns), points, (start, stop) = frame.pixels, len(bias), bias[[0, -1]]
    lines = {
        "Grid dim": f'"{columns} x {rows}"',
        "Grid settings": ";".join(si_of_frame(frame)),
        "Filetype": "Linear",
        "Sweep Signal": '"Bias (V)"',
        "Fixed parameters": '"Sweep Start;Sweep End"',
        "Experiment parameters": '"X (m);Y (m);Z (m)"',
        "# Parameters (4 byte)": 5,
        "Experiment size (bytes)": 4 * len(labels) * points,
        "Points": points,
        "Channels": f'"{";".join(labels)}"',
        "Delay before measuring (s)": "0.000000E+0",
        "Experiment": '"Grid Spectroscopy"',
        "Start time": f'"{date_of(time)}"',
        "End time": "",
        "User": provenance.get("operator", ""),
        "Comment": as_comment(provenance),
        "Bias Spectroscopy>Sweep Start (V)": f"{start:.9E}",
        "Bias Spectroscopy>Sweep End (V)": f"{stop:.9E}",
        **lines_of_setpoint(setpoint),
    }
    return "".join(f"{key}={value}\r\n" for key, value in lines.items())


def _parse(text: str) -> Header:
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _listed(header: Header, key: str) -> list[str]:
    return [name for name in header.get(key, "").split(";") if name]


def _axis(name: str, header: Header, limits: list[Floats], points: int, factor: float) -> Floats:
    """Return what was swept, in our unit.

    Parameters
    ----------
    name : str
        Name of the file, for the message.
    header : Header
        Keys and values of the file.
    limits : list of ndarray of shape (rows, columns)
        First and last value of each pixel, as recorded.
    points : int
        Samples of a sweep.
    factor : float
        What turns a value of the file into ours.
    """
    table = next((header[key] for key in header if key.endswith(_SEGMENTS)), "")
    segmented = header.get("Filetype", "Linear") != "Linear" or header.get("Bias Spectroscopy>Sweep mode", "").upper() == "MLS"
    if segmented and table and "Bias" in header.get("Sweep Signal", "Bias"):
        return _segments(name, table, points, factor)
    low, high = ([float(way(v, axis=None)) for v in limits] for way in (np.fmin.reduce, np.fmax.reduce))  # NaN is left out
    if segmented or len(limits) != 2 or low != high:
        raise FileFormatError(
            f"{name} holds no spectrum, or sweeps with limits that differ from pixel to pixel, or in segments that its header "
            "does not give: that cannot be read. Record the grid with one sweep."
        )
    return np.linspace(low[0], low[1], points) * factor


def _segments(name: str, table: str, points: int, factor: float) -> Floats:
    """Return the values of a sweep in segments; two of them share the value between them, or hold it twice."""
    try:
        rows = [[headers.as_number(part) for part in row.split(",")] for row in table.split(";") if row.strip()]
        if sum(steps for *_, steps in rows) > 2 * points:
            raise ValueError
        lines = [np.linspace(start, end, int(steps)) for start, end, _, _, steps in rows]
    except (ValueError, OverflowError, MemoryError):
        raise FileFormatError(f"{name} gives the segments of its sweep as {table!r}, which is damaged.") from None
    if len(lines) > 1 and sum(map(len, lines)) == points + len(lines) - 1:
        lines = [lines[0], *(line[1:] for line in lines[1:])]
    if sum(map(len, lines)) != points:
        raise FileFormatError(
            f"{name} is damaged: the segments of its sweep have {sum(map(len, lines))} points, and there are {points}."
        )
    return np.asarray(np.concatenate(lines) * factor)


def _frame(header: Header, shape: tuple[int, int], rows: int, parameters: Mapping[str, Floats]) -> Frame:
    """Return the frame of the lowest ``rows`` of a grid, where the recorded places say."""
    x, y, width, height, angle = numbers(header, "Grid settings", 5)
    frame = frame_from_si((x, y), (width, height), shape, angle)
    if rows < shape[0]:
        centre = frame.to_sample(((rows - 1) / 2, (shape[1] - 1) / 2))
        size = (frame.size[0], frame.size[1] * rows / shape[0])
        frame = replace(frame, center=Point(*centre.tolist()), size=size, pixels=(rows, shape[1]))
    if not {"X", "Y"} <= parameters.keys():
        return frame
    pixels = np.arange(0, rows * shape[1], 1 + rows * shape[1] // MOST_PIXELS)
    along, up = (parameters[name].ravel()[pixels] for name in "XY")
    if not np.isfinite(along + up).any():
        return frame
    places = frame.to_sample(np.stack(np.divmod(pixels, shape[1]), axis=-1))
    offset = np.nanmean(along - places[:, 0]), np.nanmean(up - places[:, 1])
    return replace(frame, center=Point(*(np.asarray(frame.center) + offset)))


def _times(parameters: Mapping[str, Floats]) -> dict[str, float]:
    """Return the times at each bias that are the same for all pixels, in s, by their names in `SweepSettings`."""
    named = {"settle": "Settling time", "integrate": "Integration time"}
    held = {key: parameters[name][np.isfinite(parameters[name])] for key, name in named.items() if name in parameters}
    # To as many digits as float32 holds. Pixels of different times were not one sweep.
    return {key: float(f"{v[0]:.6g}") for key, v in held.items() if v.size and v[0] >= 0 and np.ptp(v) <= 1e-5 * v[0]}


def _setpoint_from(bias: Floats, current: Floats) -> Setpoint:
    """Return what the feedback held when it was opened, from the first sample of every sweep."""
    first = current[..., 0].ravel()
    some = first[:: 1 + len(first) // MOST_PIXELS]
    known = some[np.isfinite(some)]
    return Setpoint(float(bias[0]), float(abs(np.median(known))) if len(known) else float("nan"))
