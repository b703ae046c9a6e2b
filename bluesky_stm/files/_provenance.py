"""A few lines about where a measurement comes from, which stand in the comment of a file and are found there again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bluesky_stm.errors import FileFormatError
from bluesky_stm.measurements import About

Provenance = Mapping[str, str]
"""Lines about a measurement: ``uid`` of its run, ``sample``, ``operator``, ``started`` ..."""

UNKNOWN: Final[Provenance] = MappingProxyType({})
"""No line, where nothing is known."""

MARK: Final = "bluesky_stm "
"""Beginning of our comment, before the lines as JSON."""

NUMBERS: Final = {"temperature": "temperature", "amplitude": "lockin_amplitude", "frequency": "lockin_frequency"}
"""Fields of `About` that are numbers, and the lines that give them with their units."""

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
    return lines_in(_beginning(path))


def is_marked(path: Path) -> bool:
    """Return True when a file has a comment of this package, whole or damaged.

    Parameters
    ----------
    path : Path
        A file with a text header, such as ``.sxm``.
    """
    return MARK + "{" in _beginning(path)


def lines_in(text: str) -> dict[str, str]:
    """Return the lines that `as_comment` has put into a text; none where it has not.

    Parameters
    ----------
    text : str
        A header or a comment.
    """
    _, mark, rest = text.partition(MARK + "{")
    try:
        lines = json.JSONDecoder().raw_decode("{" + rest)[0] if mark else {}
    except ValueError:  # somebody has shortened the comment
        return {}
    return {name: line for name, line in lines.items() if isinstance(line, str)}


def about_of(lines: Provenance) -> About:
    """Return what the lines of a file of this package say beside its measurement.

    Parameters
    ----------
    lines : mapping of str to str
        Lines of its comment or its attributes; further ones do not matter.
    """
    known: dict[str, Any] = {field: number_of(lines[line])[0] for field, line in NUMBERS.items() if line in lines}
    return About(sample=lines.get("sample", ""), operator=lines.get("operator", ""), **known)


def number_of(line: str) -> tuple[float, str]:
    """Return number and unit of a line such as ``"0.0164 V"``.

    Raises
    ------
    FileFormatError
        When it begins with no number.
    """
    number, _, unit = line.partition(" ")
    try:
        return float(number), unit
    except ValueError:
        raise FileFormatError(f"A line about the measurement should be a number and its unit, not {line!r:.80}.") from None


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_HEADER).decode("latin-1")
