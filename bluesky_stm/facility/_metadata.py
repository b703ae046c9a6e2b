"""Metadata that outlives a session: scan number, sample, operator. For ``RE.md``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from bluesky_stm.errors import SettingsError
from bluesky_stm.validated import JSON


class PersistentMetadata(MutableMapping[str, Any]):
    """A mapping in a JSON file: each change is on the disk, whole, before it counts.

    A value that JSON cannot hold is refused with a `SettingsError`, and nothing changes. A list or mapping in it has to be set
    anew to be kept, as a change inside of it is not seen.

    Parameters
    ----------
    path : Path
        The file; it is written at the first change where there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values: JSON = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._write({**self._values, key: value})

    def __delitem__(self, key: str) -> None:
        rest = dict(self._values)
        del rest[key]
        self._write(rest)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{self.path}: {self._values}>"

    def _write(self, values: JSON) -> None:
        try:
            text = json.dumps(values, indent=1)
        except TypeError as error:
            raise SettingsError(f"Metadata is kept as JSON: {error}. Nothing has been changed.") from None
        draft = self.path.with_suffix(".new")
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, self.path)
        self._values = values
