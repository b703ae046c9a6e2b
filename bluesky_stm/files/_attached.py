"""What a run holds beside its measurements, added to an HDF5 file of them: values, decisions, maps, and all documents.

The documents stand in the file as they stand in a journal, so that an import brings back the same run, uid and all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np

from bluesky_stm.files._hdf5 import changed, is_sound, written

if TYPE_CHECKING:
    import xarray as xr

DOCUMENTS: Final = "documents"
"""Group of the file, or of its NeXus entry, that holds the documents."""

WORDS: Final = "words"
"""End of the name of the collection of what a group holds in words: why a place was chosen, warnings."""

SIGNALS: Final = {"decisions": "mean", "maps": "mean", "drift": "shift_x"}
"""What a viewer shows of each of the further groups."""


def attach(path: Path, tree: xr.DataTree, documents: bytes) -> None:
    """Add to a NeXus or NSID file of a run's measurements what else the run holds.

    Parameters
    ----------
    path : Path
        File that holds the measurements; ``spectra/scalar`` in it is given the unit of the values.
    tree : DataTree
        The run, as `load_run` returns it.
    documents : bytes
        All documents of the run, as they stand in a journal.
    """
    with changed(path, "a") as file:
        entry = file.get("entry", file)
        for place in ("spectra/scalar", "Measurement_001/spectra/scalar/scalar"):  # in NeXus and in NSID
            if place in entry:
                entry[place].attrs.update(_attributes(tree["spectra/value"].attrs))
        for name, signal in SIGNALS.items():
            if name in tree:
                _write(entry.create_group(name), tree[name].to_dataset(), signal)
        note = entry.create_group(DOCUMENTS)
        note.attrs["NX_class"] = "NXcollection"
        note["type"] = "application/x-msgpack"
        note["description"] = "All documents of the run: records of msgpack, [name, document]"
        note["data"] = np.frombuffer(documents, dtype=np.uint8)
    written(path)


def attached(path: Path) -> bytes | None:
    """Return the documents that `attach` put into a file, as they stand in a journal; None where there are none.

    Parameters
    ----------
    path : Path
        Any file; a damaged one has none.
    """
    if not h5py.is_hdf5(path) or not is_sound(path):
        return None
    with h5py.File(path) as file:
        data = file.get("entry", file).get(f"{DOCUMENTS}/data")
        if not isinstance(data, h5py.Dataset) or data.dtype != np.uint8 or data.ndim != 1:
            return None
        return bytes(data[()].tobytes())


def _attributes(about: Mapping[Any, Any]) -> dict[str, str]:
    """Return unit and name of a quantity as NeXus calls them, which takes no others."""
    name = ", ".join(filter(None, [str(about.get("scalarizer", "")), f"{about['sought']} sought" if "sought" in about else ""]))
    return {key: str(text) for key, text in (("units", about.get("units")), ("long_name", name)) if text}


def _write(target: h5py.Group, dataset: xr.Dataset, signal: str) -> None:
    """Write a Dataset as an NXdata."""
    over = {
        str(dim): sorted(str(name) for name, c in dataset.coords.items() if c.dims == (dim,)) for dim in dataset[signal].dims
    }
    along = [names[0] if names else "." for names in over.values()]  # "ingested" before "x"
    target.attrs.update(NX_class="NXdata", signal=signal, axes=along)
    words = [str(name) for name, variable in dataset.variables.items() if variable.dtype.kind == "U"]
    for name, variable in dataset.drop_vars(words).variables.items():
        target[str(name)] = variable.values
        target[str(name)].attrs.update(_attributes(variable.attrs))
    if words:  # an NXdata holds numbers alone
        said = target.parent.create_group(f"{Path(target.name).name}_{WORDS}")
        said.attrs["NX_class"] = "NXcollection"
        for name in words:
            said.create_dataset(name, data=dataset[name].values.astype(object), dtype=h5py.string_dtype())
    target["DATA"], target["AXISNAME"] = target[signal], target[next(name for name in along if name != ".")]
