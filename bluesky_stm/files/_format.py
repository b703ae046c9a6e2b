"""A file format as a part: it recognises its files, reads them and, where it can, writes them."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._3ds import Sweeps
from bluesky_stm.files._provenance import Provenance
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.measurements import Grid, Spectrum, Topograph
from bluesky_stm.parts import Part

Writable = Grid | RecordedRun | Topograph | Spectrum
"""Measurements that can be written."""

FileContents = Writable | Sweeps
"""Measurements that can be read."""


class FileFormat(Part):
    """A file format that is chosen by the first bytes of a file, or by the end of a name.

    A format that only reads leaves ``suffixes`` and ``holds`` empty.
    """

    kind: ClassVar[str] = "file format"
    suffixes: ClassVar[tuple[str, ...]] = ()
    """The ends of the names of files that are written in this format: ``(".nxs",)``."""
    holds: ClassVar[tuple[type[Writable], ...]] = ()
    """The kinds of measurement that `write` takes."""

    @abstractmethod
    def recognises(self, path: Path, start: bytes) -> bool:
        """Return True when a file has this format, whole or damaged.

        Parameters
        ----------
        path : Path
            The file, for a format that has to look further than its beginning.
        start : bytes
            First bytes of the file.
        """

    @abstractmethod
    def read(self, path: Path) -> FileContents:
        """Return what a file of this format holds, in our units, row 0 at the lowest y.

        Raises
        ------
        FileFormatError
            When the file is damaged.
        """

    def write(self, path: Path, recording: Writable, provenance: Provenance) -> None:
        """Write a measurement.

        Parameters
        ----------
        path : Path
            File to write.
        recording : Grid, RecordedRun, Spectrum or Topograph
            One of the kinds that the format ``holds``; of a run, a format may keep its topograph alone.
        provenance : mapping of str to str
            Lines about where the measurement comes from, as far as they are known: ``uid``, ``sample``, ``started`` ...

        Raises
        ------
        FileFormatError
            When files of this format are only read.
        """
        raise FileFormatError(f"Files of the format {self.name!r} are only read. {path.name} was not written.")
