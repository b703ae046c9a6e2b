"""Documents as plain files: msgpack, exact to the bit, and JSON lines, which every program reads.

In JSON an array is a nested list, NaN is null and an infinity a word; the declared types (``data_keys``) bring them back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bluesky_stm import files
from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Document, plain_type
from bluesky_stm.errors import FileFormatError
from bluesky_stm.storage._chain import UNMARKED, chained, chained_documents
from bluesky_stm.storage._journal import pack, read_journal


def write_msgpack(path: Path, stream: Iterable[Document], marks: Data = UNMARKED) -> None:
    """Write one record for each document, as in the journal, to a new file, with the chain that they have or a new one.

    Parameters
    ----------
    path : Path
        File that does not exist yet.
    stream : iterable of (str, mapping)
        Name and content of each document.
    marks : mapping
        Further entries of the chain, where one is made.

    Raises
    ------
    FileExistsError
        When the file is there; it is not changed.
    """
    with path.open("xb") as file:
        for record in chained(stream, pack, "export", marks):
            file.write(record)


def write_jsonl(path: Path, stream: Iterable[Document], marks: Data = UNMARKED) -> None:
    """Write one line for each document, ``["event", {...}]``, to a new file; its stop document holds chain and seal.

    Parameters
    ----------
    path : Path
        File that does not exist yet.
    stream : iterable of (str, mapping)
        Name and content of each document.
    marks : mapping
        Further entries of the chain, where one is made.

    Raises
    ------
    FileExistsError
        When the file is there; it is not changed.
    """
    line = files.unsealed()
    with path.open("x", encoding="utf-8") as file:
        for name, doc, _ in chained_documents(stream, pack, "export", marks):
            marks_of_seal = {"start": files.SEALED_AT_END, "stop": line}  # so that a file that is cut short is known
            sealed = {**doc, files.SEAL: marks_of_seal[name]} if name in marks_of_seal else doc
            file.write(json.dumps(_plain((name, sealed)), allow_nan=False) + "\n")
    files.seal(path, line)


def read_jsonl(path: Path) -> Iterator[Document]:
    """Yield the documents of a file of JSON lines, with arrays and NaN brought back as the descriptors declare them.

    Raises
    ------
    FileFormatError
        At a line that is no document.
    """
    keys: dict[str, Data] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                name, doc = _record(line)
                if name == "descriptor":
                    keys[doc["uid"]] = doc["data_keys"]
                    for about in doc.get("configuration", {}).values():
                        about["data"] = _restored(about.get("data", {}), about.get("data_keys", {}))
                elif name == "event":
                    doc["data"] = _restored(doc["data"], keys.get(doc["descriptor"], {}))
                elif name == "stop" or (name == "start" and doc.get(files.SEAL) == files.SEALED_AT_END):
                    doc.pop(files.SEAL, None)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise FileFormatError(
                    f"Line {number} of {path} is no document: {error}. The {number - 1} before it are whole."
                ) from None
            yield name, doc


READERS: dict[str, Callable[[Path], Iterator[Document]]] = {
    ".msgpack": read_journal,
    ".part": read_journal,
    ".jsonl": read_jsonl,
}
WRITERS: dict[str, Callable[[Path, Iterable[Document], Data], None]] = {".msgpack": write_msgpack, ".jsonl": write_jsonl}


def _record(line: bytes) -> tuple[str, JSON]:
    name, doc = json.loads(line)
    if not isinstance(name, str) or not isinstance(doc, dict):
        raise ValueError("it should be a name and a mapping")
    return name, doc


def _plain(value: Any) -> Any:
    """Reduce a value to what JSON knows."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _restored(data: Data, keys: Mapping[str, Data]) -> JSON:
    return {key: _as_declared(value, keys.get(key, {})) for key, value in data.items()}


def _as_declared(value: Any, key: Data) -> Any:
    if key.get("dtype") == "array":
        kind = plain_type(key.get("dtype_numpy") or "<f8")
        return np.asarray(value, dtype=kind) if kind.kind == "f" or _whole(value) else value
    if key.get("dtype") == "number" and (value is None or isinstance(value, str)):
        return math.nan if value is None else float(value)
    return value


def _whole(value: Any) -> bool:
    """Return True when a nested list holds no null, for which no whole number or word could be made up."""
    return value is not None and (not isinstance(value, list) or all(map(_whole, value)))
