"""The names of fields: which of them every catalog can keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

TIME_STAMP: Final = "ts_"
"""Beginning of the columns in which Tiled keeps the time stamps of the fields."""


def fault_of_fields(names: Iterable[str]) -> str:
    """Return why a Tiled catalog could not keep these fields of one stream; empty where it can.

    They become columns of a table. Two names there may not differ by case alone, and a field whose name begins with ``ts_`` is
    taken for a time stamp, so that its values are lost without a word.
    """
    kept: dict[str, str] = {}
    for name in names:
        if name.startswith(TIME_STAMP):
            return f"The field {name!r} would be lost in a Tiled catalog, where {TIME_STAMP!r} begins a time stamp."
        if (other := kept.setdefault(name.lower(), name)) != name:
            return f"The fields {other!r} and {name!r} differ by case alone: a Tiled catalog takes no stream with both."
    return ""
