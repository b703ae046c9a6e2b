"""NSID files, ``.hf5``: what sidpy and pyNSID read, each array with its quantity, unit, dimensions and metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._groups import Axis, Group, LabelledArray, from_groups, to_groups
from bluesky_stm.files._hdf5 import DAMAGED, UNREADABLE, changed, in_words, is_sound, written
from bluesky_stm.files._provenance import UNKNOWN, Provenance, about_of
from bluesky_stm.files._published import read_published
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.measurements import Grid, Topograph

_FORMAT: Final = "0.0.7.2"
"""Version of the NSID convention that is followed."""

_SPATIAL: Final = {"x", "y"}
_TYPES: Final = {"topograph": "IMAGE", "grid": "SPECTRAL_IMAGE", "spectra": "LINE_PLOT_FAMILY"}


def write_hf5(path: str | Path, recording: RecordedRun | Grid | Topograph, provenance: Provenance = UNKNOWN) -> None:
    """Write a run, a grid or an image as an NSID file: one main dataset for each quantity.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    recording : RecordedRun, Grid or Topograph
        Its arrays are written in our units (nm, V, nA, nS), which the file names.
    provenance : mapping of str to str
        Lines about where it comes from, written as attributes of the file.
    """
    with changed(Path(path), "w") as file:
        file.attrs.update(provenance)
        for ordinal, group in enumerate(to_groups(recording)):
            measurement = file.create_group(f"Measurement_{ordinal:03d}/{group.name}")
            for field in group.fields:
                _write(measurement.create_group(field.name), field, group)
    written(Path(path))


def is_nsid(path: Path) -> bool:
    """Return True when an HDF5 file holds measurements as NSID names them, or is torn, so that nobody can say."""
    try:
        with h5py.File(path) as file:
            return not is_sound(path) or any(name.startswith("Measurement_") for name in file)
    except DAMAGED:
        return True


def read_hf5(path: str | Path) -> RecordedRun | Grid | Topograph:
    """A published run, or what `write_hf5` wrote; in our units and with row 0 at the lowest y.

    Raises
    ------
    FileFormatError
        When the file is neither or is damaged.
    """
    path = Path(path)
    if not is_sound(path):
        raise FileFormatError(f"{path.name} {UNREADABLE}. It is not read. Copy it again.")
    try:
        with h5py.File(path) as file:
            measurements = [item for item in file.values() if isinstance(item, h5py.Group)]
            groups = [_read(item) for measurement in measurements for name, item in measurement.items() if name in _TYPES]
            if not groups:
                return read_published(path, file)
            lines = {name: line for name, line in file.attrs.items() if isinstance(line, str)}
            return replace(from_groups(groups), about=about_of(lines) if lines else None)
    except DAMAGED as error:
        raise FileFormatError(f"{path.name} is no NSID file or is damaged{in_words(error)}. Copy it again.") from None


def _write(target: h5py.Group, field: LabelledArray, group: Group) -> None:
    main = target.create_dataset(field.name, data=np.asarray(field.values, dtype=float))
    main.attrs.update(
        quantity=field.name,
        units=field.unit or "generic",
        main_data_name=field.name,
        title=f"{group.name}/{field.name}",
        data_type=_TYPES[group.name] if field.axes == group.fields[0].axes else "UNKNOWN",
        modality="scanning tunneling microscopy",
        source="bluesky_stm",
        pyNSID_version=_FORMAT,
    )
    for index, axis in enumerate(field.axes):
        scale = target.create_dataset(axis.name, data=np.asarray(axis.values, dtype=float))
        kind = "SPATIAL" if axis.name in _SPATIAL else "SPECTRAL" if axis.name == "bias" else "POINT_CLOUD"
        scale.attrs.update(name=axis.name, units=axis.unit or "generic", quantity=axis.name, dimension_type=kind)
        scale.make_scale(axis.name)
        main.dims[index].label = axis.name
        main.dims[index].attach_scale(scale)
    target.create_group("metadata").attrs.update(group.attributes)


def _read(source: h5py.Group) -> Group:
    fields = tuple(_read_field(name, part) for name, part in source.items())
    metadata = next(iter(source.values()))["metadata"]
    return Group(source.name.rsplit("/", 1)[-1], fields, dict(metadata.attrs))


def _read_field(name: str, part: h5py.Group) -> LabelledArray:
    main = part[name]
    labels = [dimension.label for dimension in main.dims]
    axes = tuple(Axis(label, part[label][()], part[label].attrs["units"]) for label in labels)
    return LabelledArray(name, main[()], main.attrs["units"], axes)
