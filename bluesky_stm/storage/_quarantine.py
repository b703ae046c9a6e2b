"""The quarantine of a run that comes from elsewhere: nothing of it is in the catalog until all of it has been judged."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.storage._chain import ORIGIN, chained, digest_of_file
from bluesky_stm.storage._journal import file_name, pack
from bluesky_stm.storage._recovery import ended
from bluesky_stm.storage._run import Run

QUARANTINE: Final = ".import-"
"""Beginning of the names of folders in which runs wait to be judged; none is there unless an import goes on."""


@contextmanager
def quarantined(catalog: Path, stream: Iterable[Document], origin: Data) -> Iterator[tuple[Path, Data]]:
    """Write a run into a folder beside the journals, and give its file, to be moved in, and its start document.

    Where it came from stands in the chain that the import closes: what is moved in is marked, and nothing takes the mark away.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog, so that the file can be moved by one rename.
    stream : iterable of (str, mapping)
        Documents of the run.
    origin : mapping
        Where it came from, as plain JSON.

    Raises
    ------
    FileFormatError
        When the documents are not one run that can be kept. The folder is gone then.
    """
    with TemporaryDirectory(dir=catalog, prefix=QUARANTINE) as folder:
        from bluesky_stm.storage._checked import Checked

        checked, written = Checked(), Path(folder) / "run"
        marks = {ORIGIN: {**origin, "imported": datetime.now(UTC).isoformat(timespec="seconds"), "by": platform.node()}}
        try:
            with written.open("xb") as file:
                documents = ended(checked.documents(stream), "the documents that were imported end without a stop")
                for record in chained(documents, pack, "import", marks):
                    file.write(record)
                file.flush()
                os.fsync(file.fileno())
            whole = written.rename(written.with_name(file_name(checked.start)))
            _read_through(Run(whole))
        except CatalogError as error:  # of a document that cannot be written as data
            raise FileFormatError(str(error)) from error
        yield whole, checked.start


def _read_through(run: Run) -> None:
    """Read what a listing, a page, a replay and a report will read, where the run says that it is one of this package."""
    repr(run)
    if "schema_version" in run.start:
        for _ in run.topographs:
            pass
        assert run.spectra is not None and run.decisions is not None


def origin_of(source: Any) -> JSON:
    """Return where a run comes from: the file and its digest, or the kind of object.

    Parameters
    ----------
    source : object
        What was given to be imported.
    """
    if isinstance(source, str | PathLike):
        path = Path(source)
        return {"file": str(path.absolute()), "sha256": digest_of_file(path) if path.is_file() else ""}
    return {"object": type(source).__name__}
