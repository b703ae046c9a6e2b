"""Import of runs from files: exported documents with the uids they have, files of microscopes as new runs."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bluesky_stm import files
from bluesky_stm.data import JSON
from bluesky_stm.documents import IMPORT, Document, no_run
from bluesky_stm.errors import CatalogError, FileFormatError, STMError
from bluesky_stm.files import attached
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.storage._catalog import Catalog
from bluesky_stm.storage._documents import documents, inlined
from bluesky_stm.storage._journal import records
from bluesky_stm.storage._plain import READERS
from bluesky_stm.storage._quarantine import origin_of
from bluesky_stm.storage._run import Run
from bluesky_stm.storage._verify import verify

NOT_TOGETHER: Final = frozenset({*READERS, ".3ds", ".hf5", ".nxs"})
"""Ends of the names of files that are a run by themselves."""


class Imported(NamedTuple):
    """What has become of one file, or of several that make one run.

    Attributes
    ----------
    paths : tuple of Path
    run : Run or None
        In the catalog, also where it was there before; None where the files were refused.
    words : str
        Which channel became dI/dV, what is missing, or why they were refused.
    known : bool
        True when a run of the same content was there already.
    """

    paths: tuple[Path, ...]
    run: Run | None
    words: str
    known: bool = False


def import_run(catalog: Catalog, source: Any, *, didv: str = "", **metadata: Any) -> Run:
    """Bring a run into a catalog: documents with the uids they have, a file of a microscope as a new run.

    Parameters
    ----------
    catalog : Catalog
        Catalog that takes the run in; it has to be open to write.
    source : path, Run, or anything that `documents` takes
        ``.msgpack`` or ``.jsonl`` of documents, or any file that `files.read` knows.
    didv : str
        Name of the channel of a microscope's file that becomes dI/dV; empty to look for one.
    **metadata
        For the start document of a microscope's file: ``sample``, ``operator`` ...

    Returns
    -------
    Run
        In the catalog, marked as imported (`JournalRun.origin`): it never opens a microscope by itself. Documents without a
        stop are given one, as after a crash.

    Raises
    ------
    CatalogError
        When a run of this uid is there already.
    FileFormatError
        When the file is none of these, damaged or altered: then nothing has been imported.
    """
    path = Path(source) if isinstance(source, str | PathLike) else None
    if path is not None and not (path.is_file() or path.is_dir()):
        raise no_run(source)
    named = str(path or f"This {type(source).__name__}")
    try:
        for one in source if isinstance(source, list) else [source if isinstance(source, Run) else path]:
            if isinstance(one, Run) or (isinstance(one, Path) and one.is_file()):
                _check_unaltered(one)
        stream = _incoming(source, didv, metadata)
        # only a run of a catalog may lead to files beside it: a file from elsewhere could name any
        return catalog.insert(inlined(stream) if isinstance(source, Run) else stream, origin_of(source))
    except CatalogError:
        raise
    except Exception as error:  # whatever a reader stumbles over in a file that anybody may have made
        said = str(error) if isinstance(error, STMError) else f"It cannot be read ({type(error).__name__}: {str(error)[:200]})."
        raise FileFormatError(f"{named}: {said} Nothing has been imported.") from error


def import_files(
    catalog: Catalog, paths: Sequence[str | Path], *, didv: str = "", separate: bool = False, **metadata: Any
) -> Iterator[Imported]:
    """Bring files into a catalog, one after the other: what is refused stops none of the others.

    An image and the point spectra in it make one run. Files whose content is there already, by its digest, are not taken in
    again, nor those that the software of a microscope has saved of what is there already: Events hold their names.

    Parameters
    ----------
    catalog : Catalog
        Catalog that takes the runs in; it has to be open to write.
    paths : sequence of path
        Files of microscopes, exported documents, and folders with an image and the spectra in it.
    didv : str
        Name of the channel that becomes dI/dV; empty to look for one.
    separate : bool
        True to make a run of each file.
    **metadata
        For the start documents of microscopes' files: ``sample``, ``operator`` ...

    Yields
    ------
    Imported
        One for each run, or for each file that was refused.
    """
    known = {digest: run for run in catalog for digest in _digests(run)}
    saved = list(_natives(catalog))
    for group in _groups([Path(path) for path in paths], separate):
        try:
            if len(group) == 1 and (found := _saved_of(group[0], saved)):
                run, what = found
                yield Imported(group, run, f"the microscope's own file of {what} of run {run.uid[:8]}", known=True)
                continue
            digest = files.fingerprint(group)["sha256"]
            if digest in known:
                yield Imported(group, known[digest], f"its content is that of run {known[digest].uid[:8]} already", known=True)
                continue
            run = import_run(catalog, group[0] if len(group) == 1 else list(group), didv=didv, **metadata)
            known[digest] = run
            yield Imported(group, run, said_of(run))
        except (STMError, OSError) as error:
            yield Imported(group, None, str(error))


def _natives(catalog: Catalog) -> Iterator[tuple[str, Run, str]]:
    """Yield names of files that the software of a microscope has saved, as Events hold them, with the run and what is in it."""
    for run in catalog:
        try:
            if "session_path" not in run.start.get("controller", {}):
                continue
            for kind, measured in (("spectrum", run.spectra), ("image", run.topographs)):
                for number, one in enumerate(measured, 1):
                    if one.native:
                        yield re.split(r"[/\\]", one.native)[-1], run, f"{kind} {number}"
        except STMError:  # a damaged run is no reason not to import
            continue


def _saved_of(path: Path, saved: Sequence[tuple[str, Run, str]]) -> tuple[Run, str] | None:
    """Return run and measurement of which a file was saved; its name may go on with a number, where that was not known."""
    for name, run, what in saved:
        if path.name == name or (path.name.startswith(name) and path.stem.removeprefix(name).isdigit()):
            return run, what
    return None


def said_of(run: Run) -> str:
    """Return what is to be known of an imported run: which channel became dI/dV, and what is missing."""
    recorded = run.start.get("recorded", {})
    return "; ".join(filter(None, (recorded.get("calibration", {}).get("didv", ""), recorded.get("kept", ""))))


def read_documents(path: str | PathLike[str], *, didv: str = "") -> Iterator[Document]:
    """Yield the documents of the run that a file holds, without a catalog.

    Parameters
    ----------
    path : path
        Exported documents or a run of ours, which keep their uids, or a file of a microscope, which becomes a run.
    didv : str
        Name of the channel of a microscope's file that becomes dI/dV; empty to look for one.

    Raises
    ------
    FileFormatError
        When the file is none of these, or was altered since it was exported.
    """
    _check_unaltered(Path(path))
    yield from _incoming(path, didv, {})


def _incoming(source: Any, didv: str, metadata: JSON) -> Iterable[Document]:
    if isinstance(source, list) and all(isinstance(one, PathLike) for one in source):
        return ((name, dict(doc)) for name, doc in files.documents(source, didv=didv, **metadata))
    if isinstance(source, str | PathLike):
        path = Path(source)
        if (inside := attached(path) if path.is_file() else None) is not None:
            return _records(inside)
        if path.suffix not in READERS:
            return ((name, dict(doc)) for name, doc in files.documents(path, didv=didv, **metadata))
    return documents(source)


def _check_unaltered(source: Path | Run) -> None:
    """Refuse what is no more as this package wrote it; a file of others says nothing about that.

    Raises
    ------
    FileFormatError
        When its chain of digests, or its seal, does not hold.
    """
    try:
        proof = verify(source)
    except FileFormatError:
        return
    if proof.faults:
        raise FileFormatError(f"It has been altered since it was closed: {'; '.join(proof.faults)}. Copy or export it again.")


def _records(inside: bytes) -> Iterator[Document]:
    """Yield the documents that stand in a file of measurements.

    Raises
    ------
    FileFormatError
        When something stands behind them.
    """
    end = 0
    for name, doc, at in records(io.BytesIO(inside)):
        yield name, doc
        end = at
    if end != len(inside):
        raise FileFormatError(f"The documents in it are damaged: {len(inside) - end} bytes behind the last whole one are none.")


def _digests(run: Run) -> Iterator[str]:
    """Yield the digest of the files that a run was imported from, if it was."""
    try:
        found = run.start.get("plan_args", {}).get("sha256")
    except STMError:  # a damaged run is no reason not to import
        return
    if run.start.get("plan_name") == IMPORT and isinstance(found, str):
        yield found


def _groups(paths: Sequence[Path], separate: bool) -> Iterator[tuple[Path, ...]]:
    """Yield the files that make one run together: an image and the spectra in it, any other alone."""
    images: dict[Path, Topograph] = {}
    spectra: dict[Path, Spectrum] = {}
    if not separate and len(paths) > 1:
        for path in paths:
            try:
                held = files.read(path) if path.is_file() and path.suffix not in NOT_TOGETHER else None
            except STMError:
                continue  # it is refused with its reason when it is imported
            if isinstance(held, Topograph):
                images[path] = held
            elif isinstance(held, Spectrum):
                spectra[path] = held
    taken: set[Path] = set()
    for path in images:
        its_own = {name: one for name, one in spectra.items() if _image_of(one, images) == path}
        sweeps = Counter(map(_sweep, its_own.values())).most_common(1)
        inside = [name for name, one in its_own.items() if sweeps and _sweep(one) == sweeps[0][0]]
        if inside:
            taken |= {path, *inside}
            yield path, *inside
    yield from ((path,) for path in paths if path not in taken)


def _sweep(spectrum: Spectrum) -> tuple[int, float, float]:
    """Return what the sweeps of spectra in one run have in common: samples and ends."""
    bias = spectrum.bias
    return (len(bias), round(float(bias[0]), 6), round(float(bias[-1]), 6)) if len(bias) else (0, 0.0, 0.0)


def _image_of(spectrum: Spectrum, images: dict[Path, Topograph]) -> Path | None:
    """Return the image that a spectrum belongs to: the last before it of those that hold its place, else the first of them."""
    known = bool(np.isfinite(spectrum.position).all())
    inside = [path for path, image in images.items() if known and image.frame.contains(spectrum.position)]
    before = [path for path in inside if images[path].time <= spectrum.time]
    return max(before, key=lambda path: images[path].time) if before else next(iter(inside), None)
