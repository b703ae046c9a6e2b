"""What a self-describing file holds: named arrays with units and axes. The common ground of NSID and NeXus.

The axes ``x`` and ``y`` of an image are places, in nm, before the frame is turned about its centre by its ``angle``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Grid, Quality, Setpoint, Spectrum, Topograph

CHANNELS: Final = {
    "didv": units.CONDUCTANCE,
    "current": units.CURRENT,
    "lockin_x": units.CURRENT,
    "lockin_y": units.CURRENT,
}
"""Arrays of a spectrum or a grid, the one to look at first."""

_PLACES: Final = {
    "x": units.LENGTH,
    "y": units.LENGTH,
    "z": units.LENGTH,
    "time": units.TIME,
    "quality": "",
    "setpoint_bias": units.BIAS,
    "setpoint_current": units.CURRENT,
    "scalar": "",
}
"""One number a spectrum."""


class Axis(NamedTuple):
    """Values along one axis of an array."""

    name: str
    values: Floats
    unit: str


class Field(NamedTuple):
    """An array and what its axes mean."""

    name: str
    values: Floats
    unit: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class Group:
    """Arrays that belong together; the first is the one to look at first.

    Attributes
    ----------
    name : str
        ``"topograph"``, ``"spectra"`` or ``"grid"``.
    fields : tuple of Field
    attributes : mapping of str to float
        Frame (nm, degrees), set point (V, nA), time (s), quality.
    """

    name: str
    fields: tuple[Field, ...]
    attributes: Mapping[str, float]

    def __getitem__(self, name: str) -> Floats:
        """Values of one of its arrays, or of one of their axes."""
        arrays = {axis.name: axis.values for field in self.fields for axis in field.axes}
        arrays |= {field.name: field.values for field in self.fields}
        if name not in arrays:
            raise FileFormatError(
                f"The group {self.name!r} has no {name!r}, only {[f.name for f in self.fields]}: it is damaged."
            )
        return arrays[name]


def to_groups(recording: RecordedRun | Grid | Topograph) -> list[Group]:
    """What is to be written of a measurement."""
    if isinstance(recording, Grid):
        return [_grid(recording)]
    if isinstance(recording, Topograph):
        return [_image(recording)]
    return [_image(recording.topograph), *([_spectra(recording)] if recording.spectra else [])]


def from_groups(groups: Sequence[Group]) -> RecordedRun | Grid | Topograph:
    """The measurement whose groups these are."""
    named = {group.name: group for group in groups}
    if "grid" in named:
        return _as_grid(named["grid"])
    topograph = _as_image(named["topograph"])
    return _as_run(topograph, named["spectra"]) if "spectra" in named else topograph


# ---- there


def _image(image: Topograph) -> Group:
    axes = _frame_axes(image.frame)
    return Group("topograph", (Field("height", image.height, units.LENGTH, axes),), _attributes(image))


def _grid(grid: Grid) -> Group:
    y, x = _frame_axes(grid.frame)
    axes = (y, x, Axis("bias", grid.bias, units.BIAS))
    arrays = [Field(name, getattr(grid, name), unit, axes) for name, unit in CHANNELS.items()]
    return Group("grid", (*arrays, Field("height", grid.height, units.LENGTH, (y, x))), _attributes(grid))


def _spectra(run: RecordedRun) -> Group:
    bias = run.spectra[0].bias
    if not all(np.array_equal(bias, spectrum.bias) for spectrum in run.spectra):
        raise FileFormatError("The spectra have different bias values and do not fit into one array. Write them one by one.")
    ordinal = Axis("ordinal", np.arange(len(run.spectra), dtype=float), "")
    axes = (ordinal, Axis("bias", bias, units.BIAS))
    arrays = [Field(name, np.stack([getattr(s, name) for s in run.spectra]), unit, axes) for name, unit in CHANNELS.items()]
    rows = [(*s.position, s.z, s.time, s.quality, s.setpoint.bias, s.setpoint.current) for s in run.spectra]
    columns = dict(zip(_PLACES, np.array(rows, dtype=float).T, strict=False))
    if run.scalars is not None:
        columns["scalar"] = run.scalars
    places = [Field(name, values, _PLACES[name], (ordinal,)) for name, values in columns.items()]
    return Group("spectra", (*arrays, *places), {"complete": float(run.complete)})


def _frame_axes(frame: Frame) -> tuple[Axis, Axis]:
    (height, width), (rows, columns) = frame.pixel_size, frame.pixels
    y = frame.center.y + (np.arange(rows) + 0.5) * height - frame.size[1] / 2
    x = frame.center.x + (np.arange(columns) + 0.5) * width - frame.size[0] / 2
    return Axis("y", y, units.LENGTH), Axis("x", x, units.LENGTH)


def _attributes(image: Topograph | Grid) -> dict[str, float]:
    return {
        "center_x": image.frame.center.x,
        "center_y": image.frame.center.y,
        "width": image.frame.size[0],
        "height": image.frame.size[1],
        "angle": image.frame.angle,
        "setpoint_bias": image.setpoint.bias,
        "setpoint_current": image.setpoint.current,
        "time": image.time,
        "quality": int(image.quality),
    }


# ---- and back


def _as_image(group: Group) -> Topograph:
    height = group["height"]
    return Topograph(_frame(group, height), height, **_circumstances(group))


def _as_grid(group: Group) -> Grid:
    arrays: dict[str, Any] = {name: group[name] for name in (*CHANNELS, "bias", "height")}
    return Grid(_frame(group, group["height"]), **arrays, **_circumstances(group))


def _as_run(topograph: Topograph, group: Group) -> RecordedRun:
    place = {name: group[name].tolist() for name in _PLACES if name != "scalar"}
    spectra = tuple(
        Spectrum(
            Point(place["x"][k], place["y"][k]),
            group["bias"],
            **{name: group[name][k] for name in CHANNELS},
            setpoint=Setpoint(place["setpoint_bias"][k], place["setpoint_current"][k]),
            time=place["time"][k],
            z=place["z"][k],
            quality=Quality(int(place["quality"][k])),
        )
        for k in range(len(place["x"]))
    )
    scalars = group["scalar"] if any(field.name == "scalar" for field in group.fields) else None
    return RecordedRun(topograph, spectra, scalars, bool(group.attributes["complete"]))


def _frame(group: Group, image: Floats) -> Frame:
    a = group.attributes
    rows, columns = image.shape
    return Frame(Point(a["center_x"], a["center_y"]), (a["width"], a["height"]), (rows, columns), a["angle"])


def _circumstances(group: Group) -> dict[str, Any]:
    a = group.attributes
    return {
        "setpoint": Setpoint(float(a["setpoint_bias"]), float(a["setpoint_current"])),
        "time": float(a["time"]),
        "quality": Quality(int(a["quality"])),
    }
