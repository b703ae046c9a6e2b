"""Gwyddion, ``.gwy``: the first channel of heights.

The file is a tree of named components, each behind its type and size [1]_, and is read here: the reader gwyfile 0.3.0 does not
end on some files that are damaged.

The offset of an image is that of its upper left corner as its own axes count, whose y runs downwards on the screen; importers
of Gwyddion put the lowest y of an instrument there. So the centre is offset plus half of the size, and row 0 of the file the
highest y.

References
----------
.. [1] gwyddion.net/documentation/user-guide-en/gwyfile-format.html
"""

from __future__ import annotations

import re
import struct
from math import nan
from pathlib import Path
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._format import FileFormat
from bluesky_stm.files._labels import our_factor, si_unit
from bluesky_stm.files.makers._reading import damage_of, image
from bluesky_stm.measurements import About, Setpoint, Topograph
from bluesky_stm.parts import setting
from bluesky_stm.validated import JSON, Data

MAGIC: Final = b"GWYP"
_CHANNEL = re.compile(r"/(\d+)/data")
_QUANTITY = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*([^\d\s]*)\s*")
_ATOMS: Final = {"b": "<?", "c": "<b", "i": "<i4", "q": "<i8", "d": "<f8"}
"""Types of a number by their letter; a capital letter stands for an array of them."""


class Gwyddion(FileFormat):
    """Images of Gwyddion, ``.gwy``: the first one of heights, or the one that is named."""

    name: str = "gwy"
    channel: str = setting("", "", "Title of the channel that is read; empty for the first one of heights.")

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(MAGIC)

    @override
    def read(self, path: Path) -> Topograph:
        with damage_of(path):
            container = _Tree(path.read_bytes()).components()
            fields = {int(match[1]): container[key] for key in container if (match := _CHANNEL.fullmatch(key))}
            titles = {number: str(container.get(f"/{number}/data/title", f"channel {number}")) for number in fields}
            found = [n for n in sorted(fields) if self._wanted(titles[n], _unit(fields[n]))]
            if not found:
                listed = ", ".join(f"{titles[n]} ({_unit(fields[n]) or 'no unit'})" for n in sorted(fields)) or "none"
                raise FileFormatError(f"{path.name} has no {self.channel or 'channel of heights'}; there is: {listed}.")
            field, meta = fields[found[0]], container.get(f"/{found[0]}/meta", {})
            width, height = field["xreal"], field["yreal"]
            return image(
                path.name,
                field["data"].reshape(field["yres"], field["xres"])[::-1],
                _unit(field),
                (field.get("xoff", 0.0) + width / 2, field.get("yoff", 0.0) + height / 2),
                (width, height),
                setpoint=Setpoint(_quantity(meta, "bias", "V"), abs(_quantity(meta, "set ?point|current", "A"))),
                about=About(channels=tuple(f"{titles[n]} ({_unit(fields[n])})" for n in sorted(fields))),
            )

    def _wanted(self, title: str, unit: str) -> bool:
        return title == self.channel if self.channel else si_unit(unit)[0] == "m"


class _Tree:
    """The bytes of a file, read from their beginning; nothing is read beyond what an object says is its own."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, len(MAGIC)

    def components(self) -> JSON:
        """Return the components of the object that begins here, by name."""
        self._text()
        end = self._number("<u4") + self._at
        if end > len(self._data):
            raise ValueError(f"{end - len(self._data)} bytes are missing")
        found: JSON = {}
        while self._at < end:
            name, letter = self._text(), self._take(1).decode("latin-1")
            found[name] = self._component(letter)
        return found

    def _component(self, letter: str) -> object:
        match letter:
            case "o":
                return self.components()
            case "s":
                return self._text()
            case "O" | "S":
                return [self._component(letter.lower()) for _ in range(self._number("<u4"))]
            case _ if letter in _ATOMS:
                return self._number(_ATOMS[letter])
        dtype = np.dtype(_ATOMS[letter.lower()])
        return np.frombuffer(self._take(self._number("<u4") * dtype.itemsize), dtype).astype(float)

    def _number(self, dtype: str) -> int:
        return np.frombuffer(self._take(np.dtype(dtype).itemsize), dtype)[0].item()

    def _text(self) -> str:
        end = self._data.index(b"\0", self._at)
        return self._take(end + 1 - self._at)[:-1].decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise struct.error("the file ends within a component")
        self._at += count
        return self._data[self._at - count : self._at]


def _unit(field: Data) -> str:
    """Return the unit of a channel; empty for none."""
    return str((field.get("si_unit_z") or {}).get("unitstr", ""))


def _quantity(meta: Data, pattern: str, unit: str) -> float:
    """Return the first of the metadata whose name and unit fit, in our unit; NaN where there is none."""
    for key, text in meta.items():
        match = _QUANTITY.fullmatch(str(text))
        if match and re.search(pattern, str(key), re.IGNORECASE) and si_unit(match[2])[0] == unit:
            return float(match[1]) * our_factor(match[2])
    return nan
