"""One door for all formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._3ds import Sweeps, read_sweeps
from bluesky_stm.files._dat import read_dat
from bluesky_stm.files._nsid import read_hf5
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.files._sxm import read_sxm
from bluesky_stm.measurements import Grid, Spectrum, Topograph

Recording = Grid | Sweeps | RecordedRun | Topograph | Spectrum


def read(path: str | Path) -> Recording:
    """What a microscope file holds, told by its first bytes: the name does not matter.

    Returns
    -------
    Grid
        Of a ``.3ds`` file of bias sweeps.
    Sweeps
        Of a ``.3ds`` file of other sweeps.
    RecordedRun
        Of a published ``.hf5`` run.
    Topograph
        Of a ``.sxm`` file; its other images by `read_scan`.
    Spectrum
        Of a ``.dat`` file of bias spectroscopy.

    Raises
    ------
    FileFormatError
        When the file is absent, none of these, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}. Check its name and folder.")
    with path.open("rb") as file:
        start = file.read(16)
    for mark, reader in _READERS.items():
        if start.startswith(mark):
            return reader(path)
    raise FileFormatError(
        f"{path.name} is no file that can be read: choose a .3ds, .sxm or .dat of Nanonis or a published .hf5 run."
    )


def _read_grid(path: Path) -> Grid | Sweeps:
    sweeps = read_sweeps(path)
    return sweeps.cits() if sweeps.swept.startswith("Bias") else sweeps


_READERS: Final[dict[bytes, Callable[[Path], Recording]]] = {
    b"Grid dim": _read_grid,
    b":NANONIS_VERSION": read_sxm,
    b"Experiment": read_dat,
    b"\x89HDF\r\n\x1a\n": read_hf5,
}
