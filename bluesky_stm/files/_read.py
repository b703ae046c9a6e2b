"""One door for all file formats, in and out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from bluesky_stm.errors import FileFormatError, SettingsError
from bluesky_stm.files._format import FileContents, FileFormat, Writable
from bluesky_stm.files._provenance import UNKNOWN, Provenance
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.files._seal import SEAL, is_sealed
from bluesky_stm.files._together import digest, files_in, of_files
from bluesky_stm.measurements import Grid, Spectrum, Topograph
from bluesky_stm.parts import file_formats
from bluesky_stm.validated import Data

START: Final = 64
"""First bytes of a file that a format is shown, to recognise it."""

_KINDS: Final = {Grid: "grid", RecordedRun: "run of scattered spectra", Topograph: "topograph", Spectrum: "spectrum"}


def read(path: str | Path, form: str | Data | FileFormat | None = None, *, didv: str = "") -> FileContents:
    """Return what a microscope file holds.

    Parameters
    ----------
    path : path
        File to read; or a folder with an image and the point spectra in it, which are read as one run.
    form : str, mapping or FileFormat, optional
        Its format, chosen by name. If not given, the format is told by the first bytes of the file.
    didv : str
        Name of the channel that becomes dI/dV, where the file holds spectra; empty to look for one.

    Returns
    -------
    Grid
        For a ``.3ds`` file of bias sweeps.
    Sweeps
        For a ``.3ds`` file of other sweeps.
    RecordedRun
        For a published ``.hf5`` run. What this package wrote to ``.hf5`` or ``.nxs`` comes back as what it was.
    Topograph
        For a ``.sxm`` file; `read_scan` returns its other channels.
    Spectrum
        For a ``.dat`` file of bias spectroscopy.

    Raises
    ------
    FileFormatError
        When the file is absent or damaged, no format recognises it, or it was altered since this package wrote it.
    """
    if Path(path).is_dir():
        return read_together(files_in(Path(path)), didv=didv)
    path = _unaltered(_existing(path))
    chosen = file_formats.make(form) if form is not None else recognised(path)
    if didv and "didv" not in type(chosen).model_fields:
        raise FileFormatError(f"In a {chosen.name!r} file dI/dV is as it is, and no channel is chosen. Leave {didv!r} out.")
    try:
        with np.errstate(all="ignore"):  # numbers of a damaged file may be of any size
            return (chosen.changed(didv=didv) if didv else chosen).read(path)
    except SettingsError as error:  # what is read makes no frame, no set point ...
        raise FileFormatError(f"{path.name} is damaged: {error}") from None


def read_together(paths: Sequence[str | Path], *, didv: str = "") -> RecordedRun:
    """Return the run that an image and the point spectra in it make, each in a file of its own.

    Parameters
    ----------
    paths : sequence of path
        The files; those that no format recognises are passed over, such as notes.
    didv : str
        Name of the channel that becomes dI/dV; empty to look for one.

    Returns
    -------
    RecordedRun
        The image that holds most of the spectra, and these in the order of their times.

    Raises
    ------
    FileFormatError
        When there is no image or no spectrum in it.
    """
    contents: list[FileContents] = []
    for path in map(Path, paths):
        form = next(iter(_recognising(path)[0]), None)
        if form is not None:
            _unaltered(path)
            contents.append((form.changed(didv=didv) if didv and "didv" in type(form).model_fields else form).read(path))
    where = {Path(path).parent for path in paths}
    return of_files(contents, f"The folder {where.pop()}" if len(where) == 1 else f"A choice of {len(contents)} files")


def write(path: str | Path, recording: Writable, provenance: Provenance = UNKNOWN) -> None:
    """Write a measurement in the format that the end of the name says.

    ``.nxs`` (NeXus) and ``.hf5`` (NSID) take a run, a grid or a topograph; ``.sxm`` a topograph, or that of a run; ``.3ds`` a
    grid; ``.dat`` a spectrum. A run of scattered spectra fits into no other file of Nanonis.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    recording : Grid, RecordedRun, Topograph or Spectrum
        What was measured.
    provenance : mapping of str to str
        Lines about where it comes from, which the file keeps: ``uid`` of the run, ``sample``, ``operator``, ``started`` ...

    Raises
    ------
    FileFormatError
        When the format is not known or can't hold such a measurement; nothing has been written.
    """
    path = Path(path)
    chosen = format_for(path)
    if not isinstance(recording, chosen.holds):
        fitting = [suffix for suffix, form in _writers().items() if isinstance(recording, form.holds)]
        kind = _KINDS.get(type(recording), type(recording).__name__)
        choose = f"Choose {' or '.join(fitting)}." if fitting else "No format can."
        raise FileFormatError(f"A {path.suffix} file can't hold a {kind}. Nothing was written. {choose}")
    chosen.write(path, recording, provenance)


def format_for(path: str | Path, besides: Iterable[str] = ()) -> FileFormat:
    """Return the format in which a file of that name is written.

    Parameters
    ----------
    path : str or Path
        The file.
    besides : iterable of str
        Ends of names that the caller writes otherwise, which are offered as well where no format has that of ``path``.

    Raises
    ------
    FileFormatError
        When no format has files whose names end so.
    """
    suffix, known = Path(path).suffix, _writers()
    if suffix not in known:
        raise FileFormatError(
            f"No format ends in {suffix!r}: choose one of {', '.join(sorted({*known, *besides}))}. Nothing was written."
        )
    return known[suffix]


def fingerprint(path: str | Path | Sequence[Path]) -> dict[str, str]:
    """Return which file it was and what was in it, for a start document.

    Parameters
    ----------
    path : str, Path or sequence of Path
        An existing file, or several, or a folder with all its files: they have one digest together, whatever they are called.

    Returns
    -------
    dict of str
        ``{"file": ..., "sha256": ...}``: the absolute path, and the digest in hexadecimal digits.

    Raises
    ------
    FileFormatError
        When there is no such file.
    """
    if not isinstance(path, (str, Path)):
        return {"file": str(path[0].resolve()), "sha256": digest([_existing(one) for one in path])}
    path = Path(path)
    held = files_in(path) if path.is_dir() else [_existing(path)]
    return {"file": str(path.resolve()), "sha256": digest(held)}


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}. Check its name and folder.")
    return path


def _unaltered(path: Path) -> Path:
    if is_sealed(path) is False:
        raise FileFormatError(
            f"{path.name} has been altered since this package exported it: its seal does not hold. Copy it again, or export "
            f"the run again; to take it in as a file of others, take the line {SEAL!r} out of its header."
        )
    return path


def is_known(path: str | Path) -> bool:
    """Return whether a format recognises a file; False where there is no such file.

    Parameters
    ----------
    path : str or Path
        Any file.
    """
    return Path(path).is_file() and bool(_recognising(Path(path))[0])


def recognised(path: Path) -> FileFormat:
    """Return the format that recognises a file.

    Raises
    ------
    FileFormatError
        When the file is absent, or no format or several recognise it.
    """
    _existing(path)
    found, broken = _recognising(path)
    if len(found) > 1:
        names = " and ".join(form.name for form in found)
        raise FileFormatError(f"{path.name} is recognised by several formats, {names}. Choose one: read(path, form).")
    if not found:
        text = f"{path.name} is no file that can be read: no format recognises it. Known: {', '.join(file_formats.names)}."
        raise FileFormatError(" ".join([text, *broken]))
    return found[0]


def _recognising(path: Path) -> tuple[list[FileFormat], list[str]]:
    """Return the formats that recognise a file, and what is wrong with those that cannot be loaded."""
    with path.open("rb") as file:
        start = file.read(START)
    formats, broken = _formats()
    return [form for form in formats if form.recognises(path, start)], broken


def _writers() -> dict[str, FileFormat]:
    """Return the formats that can be written, by the ends of the names of their files."""
    return {suffix: form for form in _formats()[0] for suffix in form.suffixes}


def _formats() -> tuple[list[FileFormat], list[str]]:
    """Return all formats, and what is wrong with those that cannot be loaded: one broken package closes no other format."""
    formats, broken = [], []
    for name in file_formats.names:
        try:
            formats.append(file_formats.make(name))
        except SettingsError as error:
            broken.append(str(error))
    return formats, broken
