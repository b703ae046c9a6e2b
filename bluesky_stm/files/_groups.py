"""Named arrays with units and axes, as a self-describing file holds them: the common ground of NSID and NeXus.

The axes ``x`` and ``y`` of an image are places, in nm, before the frame is turned about its centre by its ``angle``.
The bias always rises: other programs sort a falling axis and leave the data as they are, which mirrors a spectrum. A sweep
from high to low bias is turned round together with its data, and the attribute ``falling`` turns it back on reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import CHANNELS, Declared, Field, Grid, Spectrum, Topograph, ZSpectrum, declared

FIRST: Final = sorted(CHANNELS, key=lambda channel: channel.name != "didv")
"""Channels of a spectrum or a grid, the one to look at first before the others."""


class Axis(NamedTuple):
    """Values along one axis of an array.

    Attributes
    ----------
    name : str
        ``"y"``, ``"x"``, ``"bias"`` ...
    values : ndarray of shape (n,)
        One for each index along the axis.
    unit : str
        Unit of the values; empty for a number without one.
    """

    name: str
    values: Floats
    unit: str


class LabelledArray(NamedTuple):
    """An array and what its axes mean.

    Attributes
    ----------
    name : str
        Name of the quantity.
    values : ndarray
        It has one dimension for each axis.
    unit : str
        Unit of the values.
    axes : tuple of Axis
        In the order of the dimensions.
    """

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
    fields : tuple of LabelledArray
    attributes : mapping of str to float
        Frame (nm, degrees), set point (V, nA), time (s), quality.
    """

    name: str
    fields: tuple[LabelledArray, ...]
    attributes: Mapping[str, float]

    def __getitem__(self, name: str) -> Floats:
        """Values of one of its arrays, or of one of their axes."""
        if name not in self.arrays:
            raise FileFormatError(
                f"The group {self.name!r} has no {name!r}, only {[f.name for f in self.fields]}: it is damaged."
            )
        return self.arrays[name]

    @cached_property
    def arrays(self) -> dict[str, Floats]:
        """Values of its arrays, and of their axes, by name."""
        axes = {axis.name: axis.values for field in self.fields for axis in field.axes}
        return axes | {field.name: field.values for field in self.fields}


def to_groups(recording: RecordedRun | Grid | Topograph) -> list[Group]:
    """Return what is to be written of a measurement.

    Parameters
    ----------
    recording : RecordedRun, Grid or Topograph
        A run gives a group for its topograph and, when it has spectra, one for all of them.

    Returns
    -------
    list of Group
        Their bias axes rise; the attribute ``falling`` marks a sweep that fell.
    """
    if isinstance(recording, Grid):
        return [_rising(_grid(recording))]
    if isinstance(recording, Topograph):
        return [_image(recording)]
    return [_image(recording.topograph), *([_rising(_spectra(recording))] if recording.spectra else [])]


def from_groups(groups: Sequence[Group]) -> RecordedRun | Grid | Topograph:
    """Return the measurement whose groups these are.

    Parameters
    ----------
    groups : sequence of Group
        Those that `to_groups` made, in any order.

    Raises
    ------
    FileFormatError
        When an array is missing.
    """
    named = {group.name: _as_swept(group) for group in groups}
    if "grid" in named:
        return _as_grid(named["grid"])
    topograph = _as_image(named["topograph"])
    return _as_run(topograph, named["spectra"]) if "spectra" in named else topograph


# ---- there


def _image(image: Topograph) -> Group:
    axes = _frame_axes(image.frame)
    return Group("topograph", (LabelledArray("height", image.height, units.LENGTH, axes),), _attributes(image))


def _grid(grid: Grid) -> Group:
    y, x = _frame_axes(grid.frame)
    axes = (y, x, Axis("bias", grid.bias, units.BIAS))
    arrays = _channels({channel.name: getattr(grid, channel.name) for channel in FIRST}, axes)
    return Group("grid", (*arrays, LabelledArray("height", grid.height, units.LENGTH, (y, x))), _attributes(grid))


def _spectra(run: RecordedRun) -> Group:
    bias = run.spectra[0].bias
    if not all(np.array_equal(bias, spectrum.bias) for spectrum in run.spectra):
        raise FileFormatError("The spectra have different bias values and do not fit into one array. Write them one by one.")
    ordinal = Axis("ordinal", np.arange(len(run.spectra), dtype=float), "")
    rows = [spectrum.as_fields() for spectrum in run.spectra]
    stacked = {channel.name: np.stack([row[channel.name] for row in rows]) for channel in FIRST}
    single = {name: field.units for name, field in _single(Spectrum).items()}
    places = [
        LabelledArray(name, np.array([row[name] for row in rows], dtype=float), unit, (ordinal,))
        for name, unit in single.items()
    ]
    if run.scalars is not None:
        places.append(LabelledArray("scalar", run.scalars, "", (ordinal,)))
    arrays = [*_channels(stacked, (ordinal, Axis("bias", bias, units.BIAS))), *_of_distance(run, ordinal)]
    return Group("spectra", (*arrays, *places), {"complete": float(run.complete)})


def _channels(arrays: Mapping[str, Floats], axes: tuple[Axis, ...]) -> list[LabelledArray]:
    """Fields of channels; one that need not be there, and was not measured, is left out."""
    there = [channel for channel in FIRST if not channel.optional or np.isfinite(arrays[channel.name]).any()]
    return [LabelledArray(channel.name, arrays[channel.name], channel.units, axes) for channel in there]


_BESIDE: Final = "z_sweep_"
"""Beginning of the names of what was taken beside the spectra: I(z)."""


def _of_distance(run: RecordedRun, ordinal: Axis) -> list[LabelledArray]:
    """Return I(z) beside the spectra, NaN beside those that have none; nothing where no spectrum has any.

    Parameters
    ----------
    run : RecordedRun
        Its spectra, whose I(z) have as many points as the first one.
    ordinal : Axis
        Numbers of the spectra.
    """
    taken = [spectrum.z_sweep for spectrum in run.spectra]
    first = next((one for one in taken if one), None)
    if first is None:
        return []
    fields = {name: field for name, field in declared(ZSpectrum).items() if field.dtype != "string"}
    point = Axis("z_point", np.arange(len(first.distance), dtype=float), "")
    nothing = {name: np.full_like(value, np.nan, dtype=float) for name, value in first.as_fields().items() if name in fields}
    rows = [one.as_fields() if one else nothing for one in taken]
    return [
        LabelledArray(
            f"{_BESIDE}{name}",
            np.array([row[name] for row in rows], dtype=float),
            field.units,
            (ordinal, point) if field.axes else (ordinal,),
        )
        for name, field in fields.items()
    ]


def _z_sweep(along: Mapping[str, Floats], number: int) -> ZSpectrum | None:
    """Return the I(z) that stands beside a spectrum; None where none was taken.

    Parameters
    ----------
    along : mapping of str to ndarray
        Arrays of the group, one row for each spectrum.
    number : int
        Number of the spectrum.
    """
    row = {name.removeprefix(_BESIDE): values[number] for name, values in along.items() if name.startswith(_BESIDE)}
    return ZSpectrum.from_fields(row) if row and np.isfinite(row["quality"]) else None


def _rising(group: Group) -> Group:
    """Return the group with rising bias, marked as ``falling`` where the sweep fell."""
    bias = group["bias"]
    return _turned(replace(group, attributes={**group.attributes, "falling": 1.0})) if bias[0] > bias[-1] else group


def _as_swept(group: Group) -> Group:
    """Return the group with its bias in the order in which it was swept."""
    attributes = dict(group.attributes)
    return _turned(replace(group, attributes=attributes)) if attributes.pop("falling", 0.0) else group


def _turned(group: Group) -> Group:
    """Return the group with bias, and all that lies along it, in the other order."""
    axes = {
        id(axis): axis._replace(values=axis.values[::-1])
        for field in group.fields
        for axis in field.axes
        if axis.name == "bias"
    }
    fields = (
        field._replace(values=field.values[..., ::-1], axes=tuple(axes.get(id(axis), axis) for axis in field.axes))
        if any(axis.name == "bias" for axis in field.axes)
        else field
        for field in group.fields
    )
    return replace(group, fields=tuple(fields))


def _frame_axes(frame: Frame) -> tuple[Axis, Axis]:
    (height, width), (rows, columns) = frame.pixel_size, frame.pixels
    y = frame.center.y + (np.arange(rows) + 0.5) * height - frame.size[1] / 2
    x = frame.center.x + (np.arange(columns) + 0.5) * width - frame.size[0] / 2
    return Axis("y", y, units.LENGTH), Axis("x", x, units.LENGTH)


def _attributes(image: Topograph | Grid) -> dict[str, float]:
    plain = image.as_fields()
    return {name: plain[name] for name in _single(type(image))}


def _single(kind: type[Declared]) -> dict[str, Field]:
    """Numbers of a measurement that are no arrays; these files hold no texts."""
    return {name: field for name, field in declared(kind).items() if not field.axes and field.dtype != "string"}


# ---- and back


def _as_image(group: Group) -> Topograph:
    return Topograph.from_fields({**group.attributes, "topograph": group["height"]})


def _as_grid(group: Group) -> Grid:
    return Grid.from_fields({**group.arrays, **group.attributes, "z": group["height"]})


def _as_run(topograph: Topograph, group: Group) -> RecordedRun:
    along = {field.name: field.values for field in group.fields}
    bias, scalars = group["bias"], along.pop("scalar", None)
    count = len(group["x"])
    spectra = (
        replace(
            Spectrum.from_fields({"bias": bias, **{name: values[k] for name, values in along.items()}}),
            z_sweep=_z_sweep(along, k),
        )
        for k in range(count)
    )
    return RecordedRun(topograph, tuple(spectra), scalars, bool(group.attributes["complete"]))
