"""The file formats of this package."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from bluesky_stm.files._3ds import Sweeps, read_sweeps, write_3ds
from bluesky_stm.files._dat import experiment_of, read_dat, read_z_dat, write_dat
from bluesky_stm.files._format import FileFormat, Writable
from bluesky_stm.files._nexus import is_nexus, read_nexus, write_nexus
from bluesky_stm.files._nsid import is_nsid, read_hf5, write_hf5
from bluesky_stm.files._provenance import Provenance
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.files._sxm import read_sxm, write_sxm
from bluesky_stm.measurements import Grid, Spectrum, Topograph
from bluesky_stm.parts import setting

DIDV: Final = "Name of the channel that becomes dI/dV; empty to look for one that follows the current."

HDF5: Final = b"\x89HDF\r\n\x1a\n"


class NanonisGrid(FileFormat):
    """Grid of sweeps by Nanonis, ``.3ds``; grids of bias sweeps are written, those of other sweeps are only read.

    A grid of bias sweeps is read as a `Grid`, that of another quantity as `Sweeps`.
    """

    name: str = "3ds"
    suffixes: ClassVar[tuple[str, ...]] = (".3ds",)
    holds: ClassVar[tuple[type[Writable], ...]] = (Grid,)
    leading: ClassVar[str] = "didv"
    didv: str = setting("", "", DIDV)

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(b"Grid dim")

    @override
    def read(self, path: Path) -> Grid | Sweeps:
        sweeps = read_sweeps(path)
        return sweeps.cits(self.didv) if sweeps.of_bias else sweeps

    @override
    def write(self, path: Path, recording: Writable, provenance: Provenance) -> None:
        assert isinstance(recording, Grid)  # as `holds` says; `files.write` has asked
        write_3ds(path, recording, provenance)


class NanonisImage(FileFormat):
    """Scan by Nanonis, ``.sxm``: of a run its topograph is written.

    One topograph is read; `read_scan` returns the other channels, too.
    """

    name: str = "sxm"
    backward: bool = setting(False, "", "Read the backward image.")
    of_pass: int = setting(1, "", "Pass of a multipass scan that is read.", ge=1)
    suffixes: ClassVar[tuple[str, ...]] = (".sxm",)
    holds: ClassVar[tuple[type[Writable], ...]] = (Topograph, RecordedRun)

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(b":NANONIS_VERSION")

    @override
    def read(self, path: Path) -> Topograph:
        return read_sxm(path, self.backward, self.of_pass)

    @override
    def write(self, path: Path, recording: Writable, provenance: Provenance) -> None:
        topograph = recording.topograph if isinstance(recording, RecordedRun) else recording
        assert isinstance(topograph, Topograph)
        write_sxm(path, topograph, provenance)


class NanonisSpectrum(FileFormat):
    """One spectrum of bias spectroscopy by Nanonis, ``.dat``, or one of Z spectroscopy, which is read only."""

    name: str = "dat"
    suffixes: ClassVar[tuple[str, ...]] = (".dat",)
    holds: ClassVar[tuple[type[Writable], ...]] = (Spectrum,)
    leading: ClassVar[str] = "didv"
    didv: str = setting("", "", DIDV)

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(b"Experiment")

    @override
    def read(self, path: Path) -> Spectrum | Sweeps:
        return read_z_dat(path) if experiment_of(path) == "z spectroscopy" else read_dat(path, self.didv)

    @override
    def write(self, path: Path, recording: Writable, provenance: Provenance) -> None:
        assert isinstance(recording, Spectrum)
        write_dat(path, recording, provenance)


class NeXus(FileFormat):
    """NeXus file, ``.nxs``: an NXdata for each image, grid and set of spectra, which any NeXus viewer plots."""

    name: str = "nxs"
    suffixes: ClassVar[tuple[str, ...]] = (".nxs",)
    holds: ClassVar[tuple[type[Writable], ...]] = (RecordedRun, Grid, Topograph)

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(HDF5) and is_nexus(path)

    @override
    def read(self, path: Path) -> RecordedRun | Grid | Topograph:
        return read_nexus(path)

    @override
    def write(self, path: Path, recording: Writable, provenance: Provenance) -> None:
        assert not isinstance(recording, Spectrum)
        write_nexus(path, recording, provenance)


class NSID(FileFormat):
    """NSID file, ``.hf5``, as sidpy and pyNSID read and write it; the published runs on EuZn2As2 are such files."""

    name: str = "hf5"
    suffixes: ClassVar[tuple[str, ...]] = (".hf5",)
    holds: ClassVar[tuple[type[Writable], ...]] = (RecordedRun, Grid, Topograph)

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(HDF5) and is_nsid(path)

    @override
    def read(self, path: Path) -> RecordedRun | Grid | Topograph:
        return read_hf5(path)

    @override
    def write(self, path: Path, recording: Writable, provenance: Provenance) -> None:
        assert not isinstance(recording, Spectrum)
        write_hf5(path, recording, provenance)
