"""Nanonis grids, ``.3ds``: a sweep of the bias, or of something else, at each pixel of a frame.

Rows begin at the lowest y of the frame. The header's frame lies where the recorded positions say: some versions measure at
pixel centres, old ones at pixel corners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import date_of, in_our_unit, in_si, our_unit, spectroscopy, split_unit, timestamp
from bluesky_stm.files._header import (
    Header,
    frame_from_si,
    lines_of_setpoint,
    number,
    numbers,
    pixels_of,
    setpoint_of,
    si_of_frame,
    split_file,
)
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Grid, Quality, Setpoint

_END = b":HEADER_END:\r\n"


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
    """

    frame: Frame
    swept: str
    values: Floats
    channels: Mapping[str, Floats]
    parameters: Mapping[str, Floats]
    units: Mapping[str, str]
    setpoint: Setpoint | None = None
    time: float = 0.0

    def cits(self) -> Grid:
        """The grid of bias sweeps that this is.

        Raises
        ------
        FileFormatError
            When something else than the bias was swept.
        """
        if not self.swept.startswith("Bias"):
            raise FileFormatError(
                f"This is a sweep of {self.swept}, not of the bias: it holds no I(V) spectra. "
                "Choose a grid of bias spectroscopy, or look at it with files.read_sweeps."
            )
        arrays, source = spectroscopy(self.values, self.channels)
        measured = np.isfinite(arrays["current"]).all()
        return Grid(
            frame=self.frame,
            bias=self.values,
            **arrays,
            height=self.parameters.get("Z", np.full(self.frame.pixels, np.nan)),
            setpoint=self.setpoint or _setpoint_from(self.values, arrays["current"]),
            time=self.time,
            quality=source | (Quality.GOOD if measured else Quality.INCOMPLETE),
        )


def read_3ds(path: str | Path) -> Grid:
    """A CITS grid, in our units; pixels that were not measured are NaN.

    Raises
    ------
    FileFormatError
        When the file is no grid, is damaged, or swept something else than the bias.
    """
    return read_sweeps(path).cits()


def read_sweeps(path: str | Path) -> Sweeps:
    """A grid of sweeps of whatever was swept, as it was recorded.

    Raises
    ------
    FileFormatError
        When the file is no grid or is damaged.
    """
    path = Path(path)
    text, body = split_file(path, _END, "grid", "Choose a .3ds file of Nanonis.")
    header = _parse(text)
    rows, columns = pixels_of(header, "Grid dim")
    names = [name for key in ("Fixed parameters", "Experiment parameters") for name in _listed(header, key)]
    labels, points = _listed(header, "Channels"), int(number(header, "Points"))
    pixels = _pixels(path.name, body, (rows, columns), len(names) + len(labels) * points)
    parameters = _named(names, np.moveaxis(pixels[..., : len(names)], -1, 0))
    signal = header.get("Sweep Signal", "Bias (V)")
    swept, unit = split_unit(signal)
    values = in_our_unit(_axis(path.name, header, pixels, points), unit)
    return Sweeps(
        _frame(header, (rows, columns), parameters),
        swept,
        values,
        _named(labels, np.moveaxis(pixels[..., len(names) :].reshape(rows, columns, len(labels), points), 2, 0)),
        parameters,
        {name: our_unit(unit) for name, unit in map(split_unit, [*names, *labels, signal])},
        setpoint_of(header),
        timestamp(header.get("Start time") or header.get("Date")),
    )


def write_3ds(path: str | Path, grid: Grid) -> None:
    """A CITS grid as a file of Nanonis; what was not measured is NaN there, too.

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
    channels = in_si(grid)
    limits = np.broadcast_to(grid.bias[[0, -1]], (*grid.frame.pixels, 2))
    place = units.to_si(np.concatenate([grid.frame.points(), grid.height[..., None]], axis=-1), units.LENGTH)
    pixels = np.concatenate([limits, place, *channels.values()], axis=-1)
    Path(path).write_bytes(_header(grid, list(channels)).encode("latin-1") + _END + pixels.astype(">f4").tobytes())


def _header(grid: Grid, labels: list[str]) -> str:
    (rows, columns), points, (start, stop) = grid.frame.pixels, len(grid.bias), grid.bias[[0, -1]]
    lines = {
        "Grid dim": f'"{columns} x {rows}"',
        "Grid settings": ";".join(si_of_frame(grid.frame)),
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
        "Start time": f'"{date_of(grid.time)}"',
        "End time": "",
        "User": "",
        "Comment": "",
        "Bias Spectroscopy>Sweep Start (V)": f"{start:.9E}",
        "Bias Spectroscopy>Sweep End (V)": f"{stop:.9E}",
        **lines_of_setpoint(grid.setpoint),
    }
    return "".join(f"{key}={value}\r\n" for key, value in lines.items())


def _parse(text: str) -> Header:
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _listed(header: Header, key: str) -> list[str]:
    return [name for name in header.get(key, "").split(";") if name]


def _pixels(name: str, body: bytes, shape: tuple[int, int], floats: int) -> Floats:
    """Everything recorded, shape (rows, columns, floats), in SI; NaN (also for a pixel of zeros) where not measured."""
    total, size = shape[0] * shape[1], 4 * floats
    measured, rest = divmod(len(body), size)
    if rest or measured > total:
        raise FileFormatError(
            f"{name} is damaged: it ends {rest} bytes into pixel {measured + 1} of {total} ({size} bytes each). Copy it again."
        )
    data = np.full((total, floats), np.nan)
    data[:measured] = np.frombuffer(body, ">f4").reshape(measured, floats)
    data[(data == 0).all(axis=1)] = np.nan
    return data.reshape(*shape, floats)


def _named(labels: list[str], arrays: Floats) -> dict[str, Floats]:
    """Return the values by name without unit, in our units."""
    parts = [split_unit(label) for label in labels]
    return {name: in_our_unit(values, unit) for (name, unit), values in zip(parts, arrays, strict=True)}


def _axis(name: str, header: Header, pixels: Floats, points: int) -> Floats:
    """Return what was swept, in SI, from the limits that each pixel begins with."""
    limits = pixels[..., :2].reshape(-1, 2)
    limits = limits[np.isfinite(limits).all(axis=1)]
    if header.get("Filetype", "Linear") != "Linear" or not len(limits) or np.ptp(limits, axis=0).any():
        raise FileFormatError(
            f"{name} holds no spectrum, or sweeps in segments or with limits that differ from pixel to pixel: "
            "that cannot be read. Record the grid with one linear sweep."
        )
    return np.linspace(limits[0, 0], limits[0, 1], points)


def _frame(header: Header, shape: tuple[int, int], parameters: Mapping[str, Floats]) -> Frame:
    x, y, width, height, angle = numbers(header, "Grid settings", 5)
    frame = frame_from_si((x, y), (width, height), shape, angle)
    if not {"X", "Y"} <= parameters.keys():
        return frame
    offset = np.nanmean(np.stack([parameters["X"], parameters["Y"]], axis=-1) - frame.points(), axis=(0, 1))
    return replace(frame, center=Point(*(np.asarray(frame.center) + offset)))


def _setpoint_from(bias: Floats, current: Floats) -> Setpoint:
    """Return what the feedback held when it was opened, from the first sample of every sweep."""
    return Setpoint(float(bias[0]), float(np.abs(np.nanmedian(current[..., 0]))))
