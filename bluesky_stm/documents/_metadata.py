"""What documents may hold: plain data, and metadata that a run can be begun with, stored, exported and imported again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from bluesky_stm.documents._packing import plain_type
from bluesky_stm.errors import FileFormatError

DEEPEST: Final = 32
"""Mappings and lists within one another, at most."""
TEXTS: Final = ("plan_name", "campaign", "resumes", "parent_run", "operator", "host")
"""Entries of a start document that are text in one line where they are there."""
OF_THE_RUN: Final = frozenset({"uid", "time"})
"""Entries that the RunEngine makes for each run."""
OF_THE_PLAN: Final = frozenset(
    {
        "schema_version",
        "controller",
        "host",
        "limits",
        "sweep",
        "lockin",
        "line_time",
        "length_scale",
        "agent",
        "scalarizer",
        "packages",
    }
)
"""Entries that a plan of this package makes: by them a run is replayed, and goes on within its limits."""


def fault_of_data(value: Any, depth: int = 0) -> str:
    """Return why a value is no plain data; empty where it is.

    Plain are numbers, texts, None, plain arrays, and lists and mappings of them whose keys are text.

    Parameters
    ----------
    value : object
        Document, or part of one.
    depth : int
        Number of mappings and lists around it.
    """
    if depth > DEEPEST:
        return f"it is nested more than {DEEPEST} deep."
    match value:
        case Mapping():
            odd = next((key for key in value if not isinstance(key, str)), "")
            if odd != "":
                return f"{odd!r:.40} is no text, and names are."
            return next(filter(None, (fault_of_data(one, depth + 1) for both in value.items() for one in both)), "")
        case list() | tuple():
            return next(filter(None, (fault_of_data(item, depth + 1) for item in value)), "")
        case str():
            return "" if value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value) else _half(value)
        case bool() | float() | None:
            return ""
        case int():
            return "" if abs(value) < 2**63 else f"{value!r:.40} is too large a number."
        case np.ndarray() | np.generic():
            return _fault_of_type(value.dtype.str)
    return f"{type(value).__name__} is no data."


def _half(text: str) -> str:
    return f"{text!r:.40} is no text that can be written."


def _fault_of_type(described: str) -> str:
    try:
        plain_type(described)
    except FileFormatError as error:
        return str(error)
    return ""


def fault_of_metadata(metadata: Any) -> str:
    """Return why a run could not be begun with these metadata, or not be imported again; empty where it can.

    Its names, at any depth, hold no ``.`` and no ``/``: event-model refuses them, with a page of its schema.

    Parameters
    ----------
    metadata : mapping
        What is given to a plan, to the RunEngine, or stands in ``RE.md``.
    """
    if fault := _fault_of_names(metadata, "", 0) or fault_of_data(metadata):
        return fault if fault.startswith("The metadata") else f"The metadata cannot be kept: {fault}"
    for name in TEXTS:
        if not isinstance(text := metadata.get(name, ""), str) or not text.isprintable():
            return f"The metadata say {text!r:.60} of {name}, which is text in one line."
    if not isinstance(sample := metadata.get("sample", ""), str | Mapping):
        return f"The metadata say {sample!r:.60} of the sample, which is text, or a mapping with its name."
    if isinstance(number := metadata.get("scan_id", 0), bool) or not isinstance(number, int):
        return f"The metadata say {number!r:.60} of scan_id, which is a whole number."
    return ""


def fault_of_given(metadata: Any) -> str:
    """Return why these metadata must not be given to a run, as it says them of itself; empty where they may.

    Parameters
    ----------
    metadata : mapping
        What is given to a plan, or to the RunEngine with it.
    """
    taken = sorted({*metadata} & (OF_THE_RUN | OF_THE_PLAN))
    return (
        f"The metadata hold {', '.join(map(repr, taken))}, which a run says of itself."
        if taken
        else fault_of_metadata(metadata)
    )


def _fault_of_names(value: Any, place: str, depth: int) -> str:
    if depth > DEEPEST:  # it is refused for that
        return ""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str) or not name or "." in name or "/" in name:
                inside = f" in {place!r}" if place else ""
                return f"The metadata hold the name {name!r}{inside}, and a name there is text without '.' and '/'."
            if fault := _fault_of_names(item, name, depth + 1):
                return fault
    elif isinstance(value, list | tuple):
        return next(filter(None, (_fault_of_names(item, place, depth + 1) for item in value)), "")
    return ""
