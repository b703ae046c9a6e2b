"""A few lines about where a measurement comes from, which stand in the comment of a file and are found there again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

Provenance = Mapping[str, str]
"""Lines about a measurement: ``uid`` of its run, ``sample``, ``operator``, ``started`` ..."""

UNKNOWN: Final[Provenance] = MappingProxyType({})
"""No line, where nothing is known."""

MARK: Final = "bluesky_stm "
"""Beginning of our comment, before the lines as JSON."""

_HEADER: Final = 2**16
"""First bytes of a file in which a comment is looked for."""


def as_comment(provenance: Provenance) -> str:
    """Return the lines as one line of ASCII without tabs and equals signs, which the headers of Nanonis can hold.

    Parameters
    ----------
    provenance : mapping of str to str
        Lines to write; without any the comment is empty.
    """
    return MARK + json.dumps(dict(provenance)).replace("=", r"\u003d") if provenance else ""


def provenance_of(path: Path) -> dict[str, str]:
    """Return the lines that stand in the comment of a file; none where it is not a file of this package.

    Parameters
    ----------
    path : Path
        A file with a text header, such as ``.sxm``.
    """
    with path.open("rb") as file:
        text = file.read(_HEADER).decode("latin-1")
    _, mark, rest = text.partition(MARK + "{")
    try:
        lines = json.JSONDecoder().raw_decode("{" + rest)[0] if mark else {}
    except ValueError:  # somebody has shortened the comment
        return {}
    return {name: line for name, line in lines.items() if isinstance(line, str)}
