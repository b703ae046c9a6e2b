"""Arrays and numbers in msgpack, as msgpack-numpy writes them; what comes back is plain data and never an object.

Documents may come from anybody: a file, a stream, another process. The type that numpy would build is judged, not the label
beside it, because numpy makes Python objects of the bytes of a file where a type says so.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgpack_numpy
import numpy as np

from bluesky_stm.errors import FileFormatError

PLAIN: Final = "biufcUS"
"""Kinds of numpy types that are taken: booleans, numbers, and text of a fixed length."""


def encode(value: Any) -> Any:
    """Encode arrays and complex numbers; arrays of objects and records, which `decode` refuses, become lists."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "OV":
        return value.tolist()
    return msgpack_numpy.encode(value)


def decode(value: Any) -> Any:
    """Return the array or number that a mapping stands for, and any other mapping as it is.

    Raises
    ------
    FileFormatError
        For any other type than plain numbers, booleans and text, and where the bytes do not fill the shape.
    """
    if b"complex" in value:
        return _complex(value.get(b"data"))
    if b"nd" not in value:
        return value
    data, shape = value.get(b"data"), value.get(b"shape", []) if value[b"nd"] is True else [1]
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise FileFormatError(f"An array has the shape {shape!r}, which is none. It is not opened.")
    plain = plain_type(value.get(b"type"))
    wanted = math.prod(shape) * plain.itemsize
    if not isinstance(data, bytes) or len(data) != wanted:
        held = f"{len(data)} bytes" if isinstance(data, bytes) else repr(data)
        raise FileFormatError(f"An array of shape {shape} needs {wanted} bytes, and has {held}. It is not opened.")
    array = np.frombuffer(data, dtype=plain).reshape(shape) if wanted else np.empty(shape, dtype=plain)
    return array if value[b"nd"] is True else array[0]


def plain_type(described: object) -> np.dtype[Any]:
    """Return the numpy type of a description, where it is plain.

    Parameters
    ----------
    described : object
        The type as text, such as ``"<f8"``.

    Raises
    ------
    FileFormatError
        For anything but plain numbers, booleans and text of a fixed length.
    """
    try:
        found = np.dtype(described) if isinstance(described, str) else None
    except (TypeError, ValueError, SyntaxError):
        found = None
    if found is None or found.kind not in PLAIN or found.hasobject or not found.itemsize:
        raise FileFormatError(
            f"An array has the type {described!r}, and only numbers, booleans and text of a fixed length are data: anything "
            "else could be a program, and is not opened."
        )
    return found


def _complex(text: object) -> complex:
    try:
        return complex(text.decode() if isinstance(text, bytes) else str(text))
    except (TypeError, ValueError):
        raise FileFormatError(f"{text!r} is no complex number. It is not opened.") from None
