"""RHK, ``.sm4``: the first page of heights.

The layout is that of the importer of Gwyddion [1]_. The reader spym is not used: its version 0.9.2 reshapes an image to
(columns, rows), which scrambles each one that is not square, and cannot be imported without hvplot, which it does not name.

A positive x scale runs to the right, a negative y scale downwards, as of a scan from the top.

References
----------
.. [1] gwyddion.net, ``modules/file/rhk-sm4.c``
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._format import FileFormat
from bluesky_stm.files.makers._reading import damage_of, image
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import About, Setpoint, Topograph

INDEX_HEADER, INDEX_ARRAY, PAGE_HEADER, PAGE_DATA, STRINGS = 1, 2, 3, 4, 10
"""Numbers of the objects that are looked for."""

TOPOGRAPHIC: Final = 1
"""Type of the page of heights."""

FLOATS: Final = frozenset({1, 6, 9, 10, 11, 13, 18, 19, 21, 22})
"""Types of line whose samples are floats; others, and images, are whole numbers."""

_HEADER = struct.Struct("<HH" + "I" * 10 + "Iii" + "f" * 11 + "IIII")
_UNITS: Final = ("x", "y", "z")


@dataclass(frozen=True)
class Page:
    """One page of a file: an image, or lines.

    Attributes
    ----------
    label : str
    is_image : bool
    kind : int
        Type of the page; 1 is a topograph.
    backward : bool
    values : ndarray of shape (rows, columns)
        In ``units["z"]``, row 0 at the lowest y.
    center, size : (float, float)
        In m.
    angle : float
        In degrees.
    bias, current : float
        Set point, in V and A.
    units : dict
        Of the axes x, y and z.
    """

    label: str
    is_image: bool
    kind: int
    backward: bool
    values: Floats
    center: tuple[float, float]
    size: tuple[float, float]
    angle: float
    bias: float
    current: float
    units: dict[str, str]


class RHK(FileFormat):
    """Images of RHK, ``.sm4``: the topograph of the way forth."""

    name: str = "sm4"

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start[2:24] == "STiMage 005".encode("utf-16-le")

    @override
    def read(self, path: Path) -> Topograph:
        data = path.read_bytes()
        with damage_of(path):
            pages = _pages(data)
        images = [page for page in pages if page.is_image and page.units["z"] == "m"]
        images.sort(key=lambda page: (page.kind != TOPOGRAPHIC, page.backward))
        channels = tuple(f"{page.label} ({page.units['z']})" for page in pages)
        if not images:
            raise FileFormatError(
                f"{path.name} has no page of heights, only {', '.join(channels) or 'none'}. "
                "Spectra of RHK are not read. Choose a file with an image."
            )
        first = images[0]
        return image(
            path.name,
            first.values,
            "m",
            first.center,
            first.size,
            angle=first.angle,
            setpoint=Setpoint(first.bias, abs(first.current) * 1e9),
            about=About(channels=channels),
        )


def _pages(data: bytes) -> list[Page]:
    """Return the pages of a file."""
    (size,) = struct.unpack_from("<H", data)
    count, width = struct.unpack_from("<4xII", data, 2 + 36)
    head = _objects(data, 2 + size, count, width)
    where = head[INDEX_HEADER][0]
    pages, listed = struct.unpack_from("<II", data, where)
    at = _objects(data, where + 16, listed, width)[INDEX_ARRAY][0]
    found = []
    for _ in range(pages):
        kind, objects = struct.unpack_from("<16xI4xI", data, at)
        inside = _objects(data, at + 32, objects, width)
        at += 32 + objects * width
        if kind in (0, 1):
            found.append(_page(data, kind == 0, inside, width))
    return found


def _objects(data: bytes, at: int, count: int, width: int) -> dict[int, tuple[int, int]]:
    """Return offset and size of the objects in a list, by their numbers."""
    listed = [struct.unpack_from("<III", data, at + i * width) for i in range(count)]
    return {number: (offset, size) for number, offset, size in listed}


def _page(data: bytes, is_image: bool, objects: dict[int, tuple[int, int]], width: int) -> Page:
    """Return one page."""
    at = objects[PAGE_HEADER][0]
    (_, strings, kind, _, line, _, _, columns, rows, _, scan, _, size, _, _, x_scale, y_scale, z_scale, _, x, y, z, _, bias,
     current, angle, _, _, _, listed) = _HEADER.unpack_from(data, at)  # fmt: skip
    inside = _objects(data, at + _HEADER.size + 64, listed, width)
    texts = _texts(data, inside[STRINGS][0], strings) if STRINGS in inside else []
    names = dict(zip(_UNITS, (texts[7:10] if len(texts) > 9 else ["", "", ""]), strict=True))
    dtype = "<f4" if line in FLOATS else "<i4"
    raw = np.frombuffer(data, dtype, min(rows * columns, size // 4), objects[PAGE_DATA][0]).astype(float)
    values = np.full(rows * columns, nan)
    values[: len(raw)] = raw * z_scale + z
    values = values.reshape(rows, columns)
    if is_image:
        values = values[:, ::-1] if x_scale < 0 else values
        values = values[::-1] if y_scale < 0 else values
    sides = abs(x_scale) * columns, abs(y_scale) * rows
    label = texts[0] if texts else ""
    return Page(label, is_image, kind, scan == 1, values, (x, y), sides, angle, bias, current, names)


def _texts(data: bytes, at: int, count: int) -> list[str]:
    """Return texts, each behind its length."""
    found = []
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        found.append(data[at + 2 : at + 2 + 2 * length].decode("utf-16-le", "replace").rstrip("\0"))
        at += 2 + 2 * length
    return found
