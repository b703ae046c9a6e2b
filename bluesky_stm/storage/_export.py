"""Export of runs to files and import from them: all documents, or the formats of other programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeGuard, overload

import numpy as np
from numpy.typing import NDArray

from bluesky_stm import files
from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import CHANNELS, Grid, Quality, Spectrum, Topograph
from bluesky_stm.storage._catalog import Catalog
from bluesky_stm.storage._documents import documents, inlined
from bluesky_stm.storage._plain import READERS, WRITERS
from bluesky_stm.storage._run import Run, Runs
from bluesky_stm.validated import JSON

UID: Final = "{uid}"
"""What stands for the uid of a run in the name of a file."""

Source = Any
"""A run, or anything that `documents` takes: a path, a run of Tiled or databroker, an iterable of documents."""


Several = list[Run | str] | tuple[Run | str, ...]


@overload
def export(run: Several, path: str | PathLike[str], *, catalog: Runs | None = None) -> list[Path]: ...


@overload
def export(run: Source, path: str | PathLike[str], *, catalog: Runs | None = None) -> Path: ...


def export(run: Source | Several, path: str | PathLike[str], *, catalog: Runs | None = None) -> Path | list[Path]:
    """Write a run to a new file, in the format that the end of its name says; or several runs to a file each.

    Parameters
    ----------
    run : Run, uid, anything that `documents` takes, or a list of runs and uids
        What to write. A text is a uid where ``catalog`` is given, and otherwise the name of a file of documents.
    path : path
        ``.msgpack`` and ``.jsonl`` hold all documents, with the arrays that stood in files of their own, and can be imported
        again with the same uid; ``.nxs`` (NeXus), ``.hf5`` (NSID) and the files of Nanonis (``.sxm`` the topograph, ``.3ds`` a
        grid, ``.dat`` one spectrum) hold what was measured. ``{uid}`` in it stands for the uid of the run, and has to be there
        when there are several: ``"night/{uid}.nxs"``.
    catalog : Catalog, optional
        Where runs that are given by their uid are found.

    Returns
    -------
    Path or list of Path
        The file, or the files in the order of the runs.

    Raises
    ------
    CatalogError
        When the file exists already or cannot be written, or the catalog has no run of this uid.
    FileFormatError
        When the format is not known or can't hold the run.
    """
    if _are_several(run):
        if UID not in str(path):
            raise CatalogError(
                f"{len(run)} runs do not fit into one file {path}. Nothing has been written. Put {UID} into its name, which "
                f"stands for the uid of each: {Path(path).with_stem(UID)}."
            )
        return [_export(_found(one, catalog), path) for one in run]
    return _export(_found(run, catalog), path)


def _are_several(given: Source | Several) -> TypeGuard[Several]:
    return isinstance(given, list | tuple) and all(isinstance(one, Run | str) for one in given)


def _found(given: Source, catalog: Runs | None) -> Run:
    if isinstance(given, str) and catalog is not None:
        return catalog[given]
    return given if isinstance(given, Run) else Run(list(documents(given)))


def _export(run: Run, path: str | PathLike[str]) -> Path:
    path = Path(str(path).replace(UID, run.uid))
    if path.exists():
        raise CatalogError(f"{path} exists already. Nothing has been written; choose another name or remove it.")
    try:
        with TemporaryDirectory(dir=path.parent, prefix=".export") as folder:
            _write(run, whole := Path(folder) / path.name)
            whole.rename(path)  # under its name stands the whole file or nothing
    except OSError as error:
        raise CatalogError(f"{path} cannot be written: {error}. Nothing has been written.") from error
    return path


def import_run(catalog: Catalog, source: Any, **metadata: Any) -> Run:
    """Bring a run into a catalog: documents with the uids they have, a file of a microscope as a new run.

    Parameters
    ----------
    catalog : Catalog
        Catalog that takes the run in; it has to be open to write.
    source : path, Run, or anything that `documents` takes
        ``.msgpack`` or ``.jsonl`` of documents, or any file that `files.read` knows.
    **metadata
        For the start document of a microscope's file: ``sample``, ``operator`` ...

    Returns
    -------
    Run
        In the catalog. Documents without a stop are given one, as after a crash.

    Raises
    ------
    CatalogError
        When a run of this uid is there already.
    FileFormatError
        When the file is none of these, or damaged: then nothing has been imported.
    """
    stream = list(_incoming(source, metadata))
    if [number for number, (name, _) in enumerate(stream) if name == "start"] != [0]:
        raise FileFormatError(f"{source} is not one run with its start document first. Nothing has been imported.")
    return catalog.insert(stream)


def _write(run: Run, path: Path) -> None:
    if path.suffix in WRITERS:
        WRITERS[path.suffix](path, inlined(run.documents()))
    else:
        files.write(path, _measured(run, files.format_for(path)))


def _incoming(source: Any, metadata: JSON) -> Iterable[Document]:
    if isinstance(source, str | PathLike):
        path = Path(source)
        if path.suffix not in READERS:
            return ((name, dict(doc)) for name, doc in files.documents(path, **metadata))
    return documents(source)


def _measured(run: Run, form: files.FileFormat) -> files.Writable:
    """Return what was measured, as the object that the format holds.

    Raises
    ------
    FileFormatError
        When the run holds no topograph and the format needs one.
    """
    spectra, topographs = tuple(run.spectra), list(run.topographs)
    if form.holds == (Spectrum,) and len(spectra) == 1:
        return spectra[0]
    if form.holds == (Grid,):
        return _grid(run, spectra)
    if not topographs:
        raise FileFormatError(
            f"{run!r} holds no topograph, which a {form.name} file needs. Nothing was written. Choose .msgpack."
        )
    if not spectra or form.holds == (Topograph,):
        return topographs[0]
    return files.RecordedRun(topographs[0], spectra, complete=len(spectra) == topographs[0].height.size)


def _grid(run: Run, spectra: tuple[Spectrum, ...]) -> Grid:
    """Build a grid from spectra taken row by row, in whatever direction; NaN where it was not measured."""
    frame = Frame.from_dict(run.start["frame"]) if "frame" in run.start else run.topograph.frame
    pixels = _pixels(frame, spectra)

    def filled(values: Sequence[Any]) -> Any:
        whole = np.full((*frame.pixels, *np.shape(values)[1:]), np.nan)
        whole[pixels] = values
        return whole

    channels = {c.name: filled([getattr(spectrum, c.name) for spectrum in spectra]) for c in CHANNELS}
    height = filled([spectrum.z for spectrum in spectra])
    missing = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
    first = spectra[0]
    return Grid(
        frame=frame,
        bias=first.bias,
        **channels,
        height=height,
        setpoint=first.setpoint,
        time=first.time,
        quality=missing | (first.quality & Quality.OF_LOCKIN),
    )


def _pixels(frame: Frame, spectra: tuple[Spectrum, ...]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return row and column of each spectrum; all rows are full but the last.

    Raises
    ------
    FileFormatError
        When the spectra were not taken row by row.
    """
    rows, columns = frame.pixels
    places = np.array([spectrum.position for spectrum in spectra], dtype=float).reshape(-1, 2)
    nearest = np.rint(frame.to_pixel(places)).astype(int)
    inside = ((nearest >= 0) & (nearest < (rows, columns))).all()
    visited = np.bincount(nearest[:, 0], minlength=rows) if inside else np.zeros(rows)
    full = len(spectra) // columns
    once = len(np.unique(nearest, axis=0)) == len(spectra)
    if not (
        len(spectra) and inside and once and (visited[:full] == columns).all() and visited[: full + 1].sum() == len(spectra)
    ):
        raise FileFormatError(
            "These spectra were not taken pixel after pixel, row after row: they are no grid. Nothing was written. Choose .nxs."
        )
    return nearest[:, 0], nearest[:, 1]
