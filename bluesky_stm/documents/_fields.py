"""The names of fields: what an Event is by them, and which of them every catalog can keep."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from bluesky_stm.documents._streams import Stream

TIME_STAMP: Final = "ts_"
"""Beginning of the columns in which Tiled keeps the time stamps of the fields."""


def stream_of(name: str, fields: Collection[str]) -> str:
    """Return the stream to which an Event belongs by its fields: what it is, and not only how its stream is called.

    Parameters
    ----------
    name : str
        Name of its stream.
    fields : collection of str
        Names of its fields.

    Returns
    -------
    str
        The name, except where it is ``primary``: plans of bluesky call so whatever they read. There an image belongs to
        ``topograph``, and what is neither an image nor a spectrum to none, which is the empty text. Drift is drift, however
        fine its image.
    """
    if name == Stream.DRIFT_FINE:
        return Stream.DRIFT
    if name != Stream.PRIMARY:
        return name
    kinds = {"_lockin_x": Stream.PRIMARY, "_topograph": Stream.TOPOGRAPH}
    return next((stream for ending, stream in kinds.items() if any(field.endswith(ending) for field in fields)), "")


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
