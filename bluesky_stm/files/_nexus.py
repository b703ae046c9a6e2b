"""NeXus files by the definitions NXsts and NXspm: an NXdata for each image, grid and set of spectra, which any viewer plots.

Names of fields follow NXspm and NXsts where these have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._groups import Axis, Group, LabelledArray, from_groups, to_groups
from bluesky_stm.files._hdf5 import DAMAGED, UNREADABLE, changed, in_words, is_sound, written
from bluesky_stm.files._provenance import UNKNOWN, Provenance, about_of, number_of
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.measurements import Grid, Topograph

Tree = Mapping[str, object]
"""Fields by name, and groups by name and class, as in ``"user:NXuser"``; a number with a unit is a pair."""

DEFINITIONS: Final = "v2024.02-2011-gaf199a51"
"""Release of the definitions by which these files were checked: that in pynxtools 0.16.0."""

CONDITIONS: Final = "conditions"
"""Collection of what the measurements have in single numbers: frame, set point, time, quality."""

NOT_RECORDED: Final = "not recorded"
"""Text of a field that the definitions ask for, where the run says nothing."""

LINES: Final = {
    "identifier_experiment": "proposal",
    "identifier_collection": "campaign",
    "identifier_entry": "uid",
    "end_time": "ended",
    "experiment_description": "plan",
    "program_name": "software",
}
"""Fields of the entry, and the line that each of them repeats."""


def write_nexus(path: str | Path, recording: RecordedRun | Grid | Topograph, provenance: Provenance = UNKNOWN) -> None:
    """Write a run, a grid or an image as a NeXus file.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    recording : RecordedRun, Grid or Topograph
        Its arrays are written in our units (nm, V, nA, nS), which the file names.
    provenance : mapping of str to str
        Lines about where it comes from: its sample, operator, instrument and uid become the groups and fields that NeXus has
        for them, and all of them stand in the collection ``provenance``.
    """
    groups = to_groups(recording)
    with changed(Path(path), "w") as file:
        file.attrs.update(NX_class="NXroot", default="entry")
        _tree(file, {"entry:NXentry": _entry(Path(path).stem, groups, provenance)})
        entry = file["entry"]
        entry.attrs["default"] = groups[0].name
        entry["definition"].attrs["version"] = DEFINITIONS
        for group in groups:
            write_group(entry.create_group(group.name), group)
    written(Path(path))


def is_nexus(path: Path) -> bool:
    """Return True when an HDF5 file says that it is a NeXus file; False for what is no HDF5 file."""
    try:
        with h5py.File(path) as file:
            return is_sound(path) and file.attrs.get("NX_class") == "NXroot"
    except DAMAGED:
        return False


def read_nexus(path: str | Path) -> RecordedRun | Grid | Topograph:
    """Read what `write_nexus` wrote.

    Raises
    ------
    FileFormatError
        When the file is none of ours or is damaged.
    """
    if not is_sound(Path(path)):
        raise FileFormatError(f"{Path(path).name} {UNREADABLE}. It is not read. Copy it again.")
    try:
        with h5py.File(path) as file:
            entry = file["entry"]
            lines = {name: item.asstr()[()] for name, item in entry.get("provenance", {}).items()}
            groups = [_read(entry[name], conditions) for name, conditions in entry[CONDITIONS].items()]
            return replace(from_groups(groups), about=about_of(lines) if lines else None)
    except DAMAGED as error:
        raise FileFormatError(f"{Path(path).name} is no NeXus file of this package or is damaged{in_words(error)}.") from None


def write_group(target: h5py.Group, group: Group) -> None:
    """Write a group of arrays as an NXdata.

    Parameters
    ----------
    target : h5py.Group
        Empty group that becomes the NXdata.
    group : Group
        Its first array is the signal; arrays that share its axes are auxiliary signals.
    """
    signal, *others = group.fields
    full = [field.name for field in others if field.axes == signal.axes]
    target.attrs.update(NX_class="NXdata", signal=signal.name, axes=[axis.name for axis in signal.axes])
    if full:
        target.attrs["auxiliary_signals"] = full
    for axis in signal.axes:
        _dataset(target, axis)
    for field in group.fields:
        _dataset(target, field)
        if field.name not in {signal.name, *full}:
            target.attrs[f"{field.name}_indices"] = list(range(len(field.axes)))
    # NXspm asks for fields of these names; validators take a hard link for one, and no soft link
    target["DATA"], target["AXISNAME"] = target[signal.name], target[signal.axes[-1].name]


def _entry(title: str, groups: list[Group], provenance: Provenance) -> Tree:
    """Return what stands in the entry beside the measurements."""
    began = datetime.fromtimestamp(groups[0].attributes.get("time", 0.0), UTC).isoformat()
    spectroscopy = groups[-1].name != "topograph"
    return {
        "definition": "NXsts" if spectroscopy else "NXspm",
        "title": provenance.get("title", title),
        "experiment_technique": "STS" if spectroscopy else "STM",
        "scan_mode": "constant current",
        "start_time": provenance.get("started", began),
        **{field: provenance[line] for field, line in LINES.items() if line in provenance},
        "user:NXuser": {"name": provenance.get("operator", NOT_RECORDED), "role": "operator"},
        "sample:NXsample": {
            "name": provenance.get("sample", NOT_RECORDED),
            **({"temperature": number_of(provenance["temperature"])} if "temperature" in provenance else {}),
        },
        "instrument:NXinstrument": {
            "hardware:NXfabrication": {"name": provenance.get("instrument", NOT_RECORDED), "vendor": NOT_RECORDED},
            "software:NXfabrication": {"name": "bluesky_stm", "vendor": "bluesky_stm", "model": provenance.get("software", "")},
            **_lockin(provenance),
            **{key: value for group in groups for key, value in _environment(group).items()},
        },
        "provenance:NXcollection": dict(provenance),
        # in a collection, since pynxtools calls an attribute that no definition names invalid
        f"{CONDITIONS}:NXcollection": {f"{group.name}:NXcollection": group.attributes for group in groups},
    }


def _lockin(provenance: Provenance) -> Tree:
    """Return the modulation of the lock-in as NXlockin says it; nothing where it is not known."""
    known = {
        field: number_of(provenance[line])
        for field, line in (("reference_amplitude", "lockin_amplitude"), ("modulation_frequency", "lockin_frequency"))
        if line in provenance
    }
    return {"lockin_amplifier:NXlockin": {"modulation_status": True, "modulation_signal": "bias", **known}} if known else {}


def _environment(group: Group) -> Tree:
    """Return what was scanned or swept, as the instrument's part of NXspm says it."""
    # nxvalidate takes names in capitals, which stand for any name, literally
    found: dict[str, object] = {}
    if group.name != "spectra":
        found["SCAN_ENVIRONMENT:NXenvironment"] = {"scan_control:NXspm_scan_control": _scan(group)}
    if group.name != "topograph":
        control = {"BIAS_SWEEP:NXspm_scan_control": _sweep(group["bias"])}
        found["bias_spectroscopy_environment:NXenvironment"] = {"bias_spectroscopy:NXspm_bias_spectroscopy": control}
    return found


def _scan(image: Group) -> Tree:
    size = {axis: (image.attributes[name], units.LENGTH) for axis, name in (("x", "width"), ("y", "height"))}
    pixels = {axis: len(image[axis]) for axis in "xy"}
    return {
        "scan_region:NXspm_scan_region": {
            **{f"scan_range_{axis}": value for axis, value in size.items()},
            **{f"scan_offset_value_{axis}": (image.attributes[f"center_{axis}"], units.LENGTH) for axis in "xy"},
            **{f"scan_angle_{axis}": (image.attributes["angle"], "deg") for axis in "xy"},
            **{f"scan_start_{axis}": (float(image[axis][0]), units.LENGTH) for axis in "xy"},
            **{f"scan_end_{axis}": (float(image[axis][-1]), units.LENGTH) for axis in "xy"},
        },
        "meshSCAN:NXspm_scan_pattern": {
            **{f"scan_points_{axis}": count for axis, count in pixels.items()},
            **{f"step_size_{axis}": (size[axis][0] / pixels[axis], units.LENGTH) for axis in "xy"},
        },
    }


def _sweep(bias: np.ndarray) -> Tree:
    start, end = float(bias[0]), float(bias[-1])
    region = {"scan_start_bias": start, "scan_end_bias": end, "scan_offset_bias": 0.0, "scan_range_bias": abs(end - start)}
    steps = {"scan_points_bias": len(bias), "step_size_bias": (float(np.mean(np.diff(bias))), units.BIAS)}
    return {
        "scan_region:NXspm_scan_region": {name: (value, units.BIAS) for name, value in region.items()},
        "linear_sweep:NXspm_scan_pattern": steps,
    }


def _tree(target: h5py.Group, tree: Tree) -> None:
    for key, value in tree.items():
        name, _, kind = key.partition(":")
        if isinstance(value, Mapping):
            group = target.create_group(name)
            group.attrs["NX_class"] = kind
            _tree(group, value)
        elif isinstance(value, tuple):
            target.create_dataset(name, data=value[0]).attrs["units"] = value[1]
        else:
            target[name] = value


def _dataset(target: h5py.Group, array: Axis | LabelledArray) -> None:
    dataset = target.create_dataset(array.name, data=np.asarray(array.values, dtype=float))
    if array.unit:
        dataset.attrs["units"] = array.unit


def _read(source: h5py.Group, conditions: h5py.Group) -> Group:
    axes = {name: Axis(name, source[name][()], source[name].attrs.get("units", "")) for name in source.attrs["axes"]}
    fields = tuple(
        LabelledArray(name, item[()], item.attrs.get("units", ""), tuple(axes.values())[: item.ndim])
        for name, item in source.items()
        if name not in axes and name not in {"DATA", "AXISNAME"}
    )
    attributes = {name: float(value[()]) for name, value in conditions.items()}
    return Group(source.name.rsplit("/", 1)[-1], fields, attributes)
