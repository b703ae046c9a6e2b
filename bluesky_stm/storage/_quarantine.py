"""The quarantine of a run that comes from elsewhere: nothing of it is in the catalog until all of it has been judged."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.storage._chain import chained, digest_of_file
from bluesky_stm.storage._checked import Checked
from bluesky_stm.storage._journal import PART, file_name, pack
from bluesky_stm.storage._recovery import finish_torn
from bluesky_stm.storage._run import ORIGINS, Run
from bluesky_stm.validated import JSON, Data


@contextmanager
def quarantined(catalog: Path, stream: Iterable[Document]) -> Iterator[tuple[Path, Data]]:
    """Write a run into a folder beside the journals, and give its file, to be moved in, and its start document.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog, so that the file can be moved by one rename.
    stream : iterable of (str, mapping)
        Documents of the run.

    Raises
    ------
    FileFormatError
        When the documents are not one run that can be kept. The folder is gone then.
    """
    with TemporaryDirectory(dir=catalog, prefix=".import-") as folder:
        checked, part = Checked(), Path(folder) / f"run{PART}"
        try:
            with part.open("xb") as file:
                for record in chained(checked.documents(stream), pack, "import"):
                    file.write(record)
            finished = finish_torn(part)
            assert finished is not None  # it has a start document
            whole = finished.rename(finished.with_name(file_name(checked.start)))
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
    """Return where a run comes from, for `mark_origin`: the file and its digest, or the kind of object.

    Parameters
    ----------
    source : object
        What was given to be imported.
    """
    if isinstance(source, str | PathLike):
        path = Path(source)
        return {"file": str(path.absolute()), "sha256": digest_of_file(path) if path.is_file() else ""}
    return {"object": type(source).__name__}


def mark_origin(catalog: Path, uid: str, origin: Data) -> None:
    """Write down that a run is imported, and where it came from, before it is moved in.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog.
    uid : str
        The run.
    origin : mapping
        Where it came from, as plain JSON.
    """
    folder = catalog / ORIGINS
    folder.mkdir(exist_ok=True)
    now: Final = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({**origin, "imported": now, "by": platform.node()}, indent=1)
    (folder / f"{uid}.json").write_text(text, encoding="utf-8")
