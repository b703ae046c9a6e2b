"""What proves an exported file: its seal, and the documents in it as they stand in a journal."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from bluesky_stm import files
from bluesky_stm.errors import STMError
from bluesky_stm.storage._journal import pack
from bluesky_stm.storage._plain import read_jsonl


def kept_in(path: Path) -> tuple[bool | None, bytes | None]:
    """Return whether the seal of a file holds, None where it has none, and its documents as records of a journal, if any.

    Parameters
    ----------
    path : Path
        A file that is there. One of others has neither.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    sealed = files.is_sealed(path)
    if path.suffix != ".jsonl":
        return sealed, files.attached(path)
    try:
        records = b"".join(pack(name, doc) for name, doc in read_jsonl(path))
    except STMError:
        return sealed and False, None
    return False if sealed is None and _names_a_seal(path) else sealed, records or None


def _names_a_seal(path: Path) -> bool:
    """Return True when a file of documents says that it has a seal: in its first line, or in the last, which should hold it."""
    lines = path.read_bytes().rstrip().split(b"\n")
    for line, said in ((lines[0], files.SEALED_AT_END), (lines[-1], None)):
        with suppress(ValueError, LookupError, TypeError):
            doc = json.loads(line)[1]
            if files.SEAL in doc and said in (None, doc[files.SEAL]):
                return True
    return False
