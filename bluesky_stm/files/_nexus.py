"""NeXus files: an NXdata for each image, grid and set of spectra, so that any NeXus viewer plots them.

Names of fields follow NXspm and NXsts where these have one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._groups import Axis, Group, LabelledArray, from_groups, to_groups
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.measurements import Grid, Topograph


def write_nexus(path: str | Path, recording: RecordedRun | Grid | Topograph) -> None:
    """Write a run, a grid or an image as a NeXus file.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    recording : RecordedRun, Grid or Topograph
        Its arrays are written in our units (nm, V, nA, nS), which the file names.
    """
    groups = to_groups(recording)
    with h5py.File(path, "w") as file:
        file.attrs.update(NX_class="NXroot", default="entry")
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", default=groups[0].name)
        entry["title"] = Path(path).stem
        entry["experiment_technique"] = "STM" if isinstance(recording, Topograph) else "STS"
        entry["scan_mode"] = "constant current"
        entry["start_time"] = datetime.fromtimestamp(groups[0].attributes["time"], UTC).isoformat()
        for group in groups:
            _write(entry.create_group(group.name), group)


def is_nexus(path: Path) -> bool:
    """Return True when an HDF5 file says that it is a NeXus file; False for what is no HDF5 file."""
    try:
        with h5py.File(path) as file:
            return file.attrs.get("NX_class") == "NXroot"
    except OSError:
        return False


def read_nexus(path: str | Path) -> RecordedRun | Grid | Topograph:
    """Read what `write_nexus` wrote.

    Raises
    ------
    FileFormatError
        When the file is none of ours or is damaged.
    """
    try:
        with h5py.File(path) as file:
            entry = file["entry"]
            return from_groups([_read(item) for item in entry.values() if item.attrs.get("NX_class") == "NXdata"])
    except (OSError, KeyError) as error:
        raise FileFormatError(f"{Path(path).name} is no NeXus file of this package or is damaged ({error}).") from None


def _write(target: h5py.Group, group: Group) -> None:
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
    for name, value in group.attributes.items():
        target.attrs[f"stm_{name}"] = value


def _dataset(target: h5py.Group, array: Axis | LabelledArray) -> None:
    dataset = target.create_dataset(array.name, data=np.asarray(array.values, dtype=float))
    if array.unit:
        dataset.attrs["units"] = array.unit


def _read(source: h5py.Group) -> Group:
    axes = {name: Axis(name, source[name][()], source[name].attrs.get("units", "")) for name in source.attrs["axes"]}
    fields = tuple(
        LabelledArray(name, item[()], item.attrs.get("units", ""), tuple(axes.values())[: item.ndim])
        for name, item in source.items()
        if name not in axes
    )
    attributes = {name.removeprefix("stm_"): value for name, value in source.attrs.items() if name.startswith("stm_")}
    return Group(source.name.rsplit("/", 1)[-1], fields, attributes)
