"""Export of runs to files: all documents, tables, or the formats of other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeGuard, overload

import numpy as np
from numpy.typing import NDArray

from bluesky_stm import files
from bluesky_stm.data import JSON
from bluesky_stm.documents import Document, no_run
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.files import RecordedRun
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import CHANNELS, Grid, Quality, Spectrum, Topograph
from bluesky_stm.parts import register
from bluesky_stm.storage._chain import ALTERED, UNFINISHED, chained
from bluesky_stm.storage._documents import documents, inlined
from bluesky_stm.storage._journal import pack
from bluesky_stm.storage._plain import WRITERS
from bluesky_stm.storage._provenance import provenance
from bluesky_stm.storage._recovery import ended
from bluesky_stm.storage._run import Run, Runs
from bluesky_stm.storage._tables import METADATA, TABLES
from bluesky_stm.storage._verify import proof_of
from bluesky_stm.storage._xarray import load_run

UID: Final = "{uid}"
"""What stands for the uid of a run in the name of a file."""

CHOOSE: Final = "choose another name or remove it"

Source = Any
"""A run, or anything that `documents` takes: a path, a run of Tiled or databroker, an iterable of documents."""


Several = list[Run | str] | tuple[Run | str, ...]


@overload
def export(
    run: Several,
    path: str | PathLike[str],
    *,
    catalog: Runs | None = None,
    spectrum: int | None = None,
    altered: bool = False,
    parts: Iterable[Any] = (),
) -> list[Path]: ...


@overload
def export(
    run: Source,
    path: str | PathLike[str],
    *,
    catalog: Runs | None = None,
    spectrum: int | None = None,
    altered: bool = False,
    parts: Iterable[Any] = (),
) -> Path: ...


def export(
    run: Source | Several,
    path: str | PathLike[str],
    *,
    catalog: Runs | None = None,
    spectrum: int | None = None,
    altered: bool = False,
    parts: Iterable[Any] = (),
) -> Path | list[Path]:
    """Write a run to a new file, in the format that the end of its name says; or several runs to a file each.

    Parameters
    ----------
    run : Run, uid, anything that `documents` takes, or a list of runs and uids
        What to write. A text is a uid where ``catalog`` is given, and otherwise the name of a file of documents.
    path : path
        ``.msgpack`` and ``.jsonl`` hold all documents, with the arrays that stood in files of their own, and can be imported
        again with the same uid. ``.nxs`` (NeXus) and ``.hf5`` (NSID) hold what was measured, valued, decided and predicted,
        and all documents beside it: they can be imported again as well. ``.nc`` (netCDF) holds what `load_run` returns,
        ``.csv`` a row for each sample (and ``-z.csv`` beside it one for each sample of I(z)), with ``.csv-metadata.json``
        beside it, and ``.parquet`` a row for each spectrum. The
        files of Nanonis hold what was measured: ``.sxm`` the topograph, ``.3ds`` a grid, ``.dat`` one spectrum. Each names
        sample, operator, proposal, instrument, agent, scalarizer, times and uid. ``{uid}`` in it stands for the uid of the run,
        and has to be there when there are several: ``"night/{uid}.nxs"``.
    catalog : Catalog, optional
        Where runs that are given by their uid are found.
    spectrum : int, optional
        Number of the one spectrum that is written, from 0, for a file that holds one (``.dat``). It need not be given where
        the run has one.
    altered : bool
        True to write also a run that was altered since it was closed (`verify`); the file says for ever what is wrong with it.
    parts : iterable of part
        Parts of your own that the run used and that no installed package brings, such as its scalarizer.

    Returns
    -------
    Path or list of Path
        The file, or the files in the order of the runs.

    Raises
    ------
    CatalogError
        When the file exists already or cannot be written, or the catalog has no run of this uid.
    FileFormatError
        When the format is not known or can't hold the run, or the run was altered since it was closed.
    UnknownNameError
        When the run used a part that is not known here.

    Notes
    -----
    A run that goes on is written as it is so far, with a stop document that says so; `verify` then calls it not finished.
    """
    register(*parts)
    if _are_several(run):
        if UID not in str(path):
            raise CatalogError(
                f"{len(run)} runs do not fit into one file {path}. Nothing has been written. Put {UID} into its name, which "
                f"stands for the uid of each: {Path(path).with_stem(UID)}."
            )
        return [_export(_found(one, catalog), path, spectrum, altered) for one in run]
    return _export(_found(run, catalog), path, spectrum, altered)


def _are_several(given: Source | Several) -> TypeGuard[Several]:
    return isinstance(given, list | tuple) and all(isinstance(one, Run | str) for one in given)


def _found(given: Source, catalog: Runs | None) -> Run:
    if isinstance(given, str) and catalog is not None:
        return catalog[given]
    if isinstance(given, Run):
        return given
    if isinstance(given, str | PathLike) and not Path(given).is_file():
        raise no_run(given)
    return Run(Path(given) if isinstance(given, str | PathLike) else list(documents(given)))


def _export(run: Run, path: str | PathLike[str], spectrum: int | None, altered: bool) -> Path:
    path = Path(str(path).replace(UID, run.uid))
    if taken := next((one for one in (path, path.with_name(path.name + METADATA)) if one.exists()), None):
        raise CatalogError(f"{taken} exists already. Nothing has been written; {CHOOSE}.")
    marks = _marks(run, altered)
    try:
        with TemporaryDirectory(dir=path.parent, prefix=".export") as folder:
            _write(run, whole := Path(folder) / path.name, spectrum, marks)
            besides = [one for one in Path(folder).iterdir() if one != whole]
            if taken := next((one for one in besides if path.with_name(one.name).exists()), None):
                raise CatalogError(f"{path.with_name(taken.name)} exists already. Nothing has been written; {CHOOSE}.")
            for beside in besides:
                beside.rename(path.with_name(beside.name))
            whole.rename(path)  # under its name stands the whole file or nothing
    except OSError as error:
        raise CatalogError(f"{path} cannot be written: {error}. Nothing has been written.") from error
    return path


def _marks(run: Run, altered: bool) -> JSON:
    """Return what a file has to say of a run that is not as it was closed, or that goes on.

    Raises
    ------
    FileFormatError
        When it was altered, and nobody has said that it is to be written all the same.
    """
    proof = proof_of(run)
    if proof is None:
        return {} if run.stop else {UNFINISHED: True}
    if proof.faults and not altered:
        raise FileFormatError(
            f"{run!r} has been altered since it was closed: {'; '.join(proof.faults)}. Nothing was written. To write it as it "
            "is now, with this in the file: export(run, path, altered=True) or --altered."
        )
    marks: JSON = {ALTERED: list(proof.faults)} if proof.faults else {}
    return {**marks, UNFINISHED: True} if proof.state == "not finished" else marks


def _write(run: Run, path: Path, number: int | None, marks: JSON) -> None:
    about = {**provenance(run), **({ALTERED: "; ".join(marks[ALTERED])} if ALTERED in marks else {})}
    found = inlined(run.documents()) if ALTERED not in marks else _readable(inlined(run.documents()))
    whole = ended(found, "the run goes on, or is damaged: these are its documents so far")
    if path.suffix in WRITERS:
        WRITERS[path.suffix](path, whole, marks)
    elif path.suffix in TABLES:
        TABLES[path.suffix](path, run, about)
    else:
        form, line = files.format_for(path, (*WRITERS, *TABLES)), files.unsealed()
        files.write(path, _measured(run, form, number), {**about, files.SEAL: line})
        if isinstance(form, files.NeXus | files.NSID):
            files.attach(path, load_run(run), b"".join(chained(whole, pack, "export", marks)))
        files.seal(path, line)


def _readable(stream: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents of a damaged run before the damage."""
    with suppress(FileFormatError):
        yield from stream


def _measured(run: Run, form: files.FileFormat, number: int | None) -> files.Writable:
    """Return what was measured, as the object that the format holds, with the times of its Events.

    Raises
    ------
    FileFormatError
        When the run holds no topograph and the format needs one, or there is no spectrum of this number.
    """
    # the clock of a controller may begin at 0, so that a file would be of 1970: the Events know the time of day
    spectra = tuple(replace(spectrum, time=time) for spectrum, time in run.timed_spectra())
    topographs = [replace(topograph, time=time) for topograph, time in run.timed_topographs()]
    if form.holds == (Spectrum,):
        return _one(run, spectra, number)
    if form.holds == (Grid,):
        return _grid(run, spectra)
    if not topographs:
        raise FileFormatError(
            f"{run!r} holds no topograph, which a {form.name} file needs. Nothing was written. Choose .msgpack."
        )
    if not spectra or form.holds == (Topograph,):
        return topographs[0]
    valued = load_run(run, without=["topograph", "decisions", "maps"])["spectra"].to_dataset()
    return RecordedRun(
        topographs[0],
        spectra,
        scalars=valued["value"].values if "value" in valued else None,
        complete=len(spectra) == topographs[0].height.size,
    )


def _one(run: Run, spectra: tuple[Spectrum, ...], number: int | None) -> Spectrum:
    if number is None and len(spectra) == 1:
        return spectra[0]
    if number is None or not 0 <= number < len(spectra):
        asked = "which one is not said" if number is None else f"there is no number {number}"
        raise FileFormatError(
            f"A .dat file holds one spectrum, {run!r} has {len(spectra)}, and {asked}. Nothing was written. Give the number of "
            "one, from 0: export(run, path, spectrum=0) or --spectrum 0."
        )
    return spectra[number]


def _grid(run: Run, spectra: tuple[Spectrum, ...]) -> Grid:
    """Build a grid from spectra taken row by row, in whatever direction; NaN where it was not measured."""
    if "frame" not in run.start and not list(run.topographs):
        raise FileFormatError(f"{run!r} has no frame: its spectra are no grid. Nothing was written. Choose .dat or .msgpack.")
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
