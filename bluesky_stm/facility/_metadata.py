"""Metadata that outlives a session: scan number, sample, operator. For ``RE.md``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from bluesky_stm.errors import SettingsError
from bluesky_stm.validated import JSON, Data


class PersistentMetadata(MutableMapping[str, Any]):
    """A mapping in a JSON file: each change is on the disk, whole, before it counts.

    A value that JSON cannot hold is refused with a `SettingsError`, and nothing changes. A list or mapping in it has to be set
    anew to be kept, as a change inside of it is not seen.

    Parameters
    ----------
    path : Path
        The file; it is written at the first change where there is none.
    told : mapping, optional
        Values that hold for now whatever the file says, until they are set anew. They are not kept.
    usual : mapping, optional
        Values that hold where neither says any. They are not kept either: another session, perhaps at another microscope,
        has its own.
    """

    def __init__(self, path: Path, told: Data | None = None, usual: Data | None = None) -> None:
        self.path = path
        self._told, self._usual = dict(told or {}), dict(usual or {})
        self._values: JSON = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def __getitem__(self, key: str) -> Any:
        return self._all[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._write({**self._values, key: value})
        self._told.pop(key, None)

    def __delitem__(self, key: str) -> None:
        if key not in self._all:
            raise KeyError(key)
        self._write({name: value for name, value in self._values.items() if name != key})
        for values in (self._told, self._usual):
            values.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"<{self.path}: {self._all}>"

    @property
    def _all(self) -> JSON:
        return {**self._usual, **self._values, **self._told}

    def _write(self, values: JSON) -> None:
        try:
            text = json.dumps(values, indent=1)
        except TypeError as error:
            raise SettingsError(f"Metadata is kept as JSON: {error}. Nothing has been changed.") from None
        draft = self.path.with_suffix(".new")
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, self.path)
        self._values = values
