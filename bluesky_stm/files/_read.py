"""One door for all formats, in and out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._3ds import Sweeps, read_sweeps, write_3ds
from bluesky_stm.files._dat import read_dat, write_dat
from bluesky_stm.files._nexus import is_nexus, read_nexus, write_nexus
from bluesky_stm.files._nsid import read_hf5, write_hf5
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.files._sxm import read_sxm, write_sxm
from bluesky_stm.measurements import Grid, Spectrum, Topograph

FileContents = Grid | Sweeps | RecordedRun | Topograph | Spectrum


def read(path: str | Path) -> FileContents:
    """What a microscope file holds, told by its first bytes.

    Returns
    -------
    Grid
        Of a ``.3ds`` file of bias sweeps.
    Sweeps
        Of a ``.3ds`` file of other sweeps.
    RecordedRun
        Of a published ``.hf5`` run. What this package wrote to ``.hf5`` or ``.nxs`` comes back as what it was.
    Topograph
        Of a ``.sxm`` file; its other images by `read_scan`.
    Spectrum
        Of a ``.dat`` file of bias spectroscopy.

    Raises
    ------
    FileFormatError
        When the file is absent, none of these, or damaged.
    """
    path = _existing(path)
    with path.open("rb") as file:
        start = file.read(16)
    for mark, reader in _READERS.items():
        if start.startswith(mark):
            return reader(path)
    raise FileFormatError(
        f"{path.name} is no file that can be read: choose a .3ds, .sxm or .dat of Nanonis or a published .hf5 run."
    )


def write(path: str | Path, recording: Grid | RecordedRun | Topograph | Spectrum) -> None:
    """Write a measurement in the format that the end of the name says.

    ``.nxs`` (NeXus) and ``.hf5`` (NSID) take a run, a grid or a topograph; ``.sxm`` a topograph, or that of a run; ``.3ds`` a
    grid; ``.dat`` a spectrum. A run of scattered spectra fits into no other file of Nanonis.

    Raises
    ------
    FileFormatError
        When the format is not known or can't hold such a measurement; nothing has been written.
    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise FileFormatError(f"No format ends in {path.suffix!r}: choose one of {', '.join(_WRITERS)}. Nothing was written.")
    writer, kinds = _WRITERS[path.suffix]
    if path.suffix == ".sxm" and isinstance(recording, RecordedRun):
        recording = recording.topograph
    if not isinstance(recording, kinds):
        fitting = [suffix for suffix, (_, kinds) in _WRITERS.items() if isinstance(recording, kinds)]
        raise FileFormatError(
            f"A {path.suffix} file can't hold a {_KINDS[type(recording)]}. Nothing was written. Choose {' or '.join(fitting)}."
        )
    writer(path, recording)


_KINDS: Final = {Grid: "grid", RecordedRun: "run of scattered spectra", Topograph: "topograph", Spectrum: "spectrum"}


def fingerprint(path: str | Path) -> dict[str, str]:
    """Which file it was, and what was in it: ``{"file": ..., "sha256": ...}`` for a start document."""
    path = _existing(path)
    return {"file": str(path.resolve()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}. Check its name and folder.")
    return path


def _read_hdf5(path: Path) -> FileContents:
    return read_nexus(path) if is_nexus(path) else read_hf5(path)


def _read_grid(path: Path) -> Grid | Sweeps:
    sweeps = read_sweeps(path)
    return sweeps.cits() if sweeps.swept.startswith("Bias") else sweeps


_READERS: Final[dict[bytes, Callable[[Path], FileContents]]] = {
    b"Grid dim": _read_grid,
    b":NANONIS_VERSION": read_sxm,
    b"Experiment": read_dat,
    b"\x89HDF\r\n\x1a\n": _read_hdf5,
}

_WRITERS: Final[dict[str, tuple[Callable[..., None], tuple[type, ...]]]] = {
    ".nxs": (write_nexus, (RecordedRun, Grid, Topograph)),
    ".hf5": (write_hf5, (RecordedRun, Grid, Topograph)),
    ".sxm": (write_sxm, (Topograph,)),
    ".3ds": (write_3ds, (Grid,)),
    ".dat": (write_dat, (Spectrum,)),
}
