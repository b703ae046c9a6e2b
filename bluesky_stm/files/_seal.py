"""A seal on an exported file: the digest of all of its bytes, which stands in a line of text inside it.

Formats of microscopes carry no check: a bit that flips in one is another height, another set point, another name. The line is
written with a number drawn at random, by which it is found in the file and nothing else is; the file is digested with zeros in
the place of the number, which the digest then replaces.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import secrets
from pathlib import Path
from typing import Final

from bluesky_stm.files._hdf5 import written
from bluesky_stm.files._provenance import is_marked, provenance_of

SEAL: Final = "seal"
"""Name of the line."""

SEALED_AT_END: Final = "at the end"
"""What the first line of a file of documents says of its seal, which stands in the last one."""

_MARK: Final = b"bluesky_stm sha256 "
_LENGTH: Final = 64
_ZEROS: Final = b"0" * _LENGTH
_LINE: Final = re.compile(re.escape(_MARK) + b"([0-9a-f]{64})")
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_END: Final = 1 << 20
"""Bytes at the beginning and at the end of a file that is no HDF5 in which the line stands: in the header of a format of
microscopes, in the last line of documents. What lies between is not searched."""
_AT_MOST: Final = 8
"""Number of lines, the first and the last, of which one may be the seal: a sample or a comment may hold such words as well."""


def unsealed() -> str:
    """Return the line as it is written first; no two are the same.

    Returns
    -------
    str
        The words of a seal, and 64 hexadecimal digits drawn at random that nothing else in the file can hold.
    """
    return _MARK.decode() + secrets.token_hex(_LENGTH // 2)


def seal(path: Path, line: str) -> None:
    """Put the digest into a file that holds a line of `unsealed`; one that does not hold it stays as it is.

    Parameters
    ----------
    path : Path
        A file that is complete.
    line : str
        The line that was written into it.
    """
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(line.encode())
        if at < 0:
            return
        begin = at + len(_MARK)
        file.seek(begin)
        file.write(_digest(data, begin))
    written(path)


def is_sealed(path: Path) -> bool | None:
    """Return True when a file is as it was sealed, False when it was altered since, None when it has no seal.

    A file whose comment says that it is of this package, and cannot be read, or names a seal that is not there, was altered.

    Parameters
    ----------
    path : Path
        Any file.
    """
    if not os.path.getsize(path):
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        whole = len(data) <= 2 * _END or data[: len(_HDF5)] == _HDF5
        searched = [(0, len(data))] if whole else [(0, _END), (len(data) - _END, len(data))]
        found = [(line.start(1), line[1]) for begin, end in searched for line in _LINE.finditer(data, begin, end)]
        if found:
            return any(_digest(data, begin) == said for begin, said in [*found[:_AT_MOST], *found[-_AT_MOST:]])
    lines = provenance_of(path)
    return False if SEAL in lines or (not lines and is_marked(path)) else None


def _digest(data: mmap.mmap, begin: int) -> bytes:
    """Return the digest of a file with zeros in the place of its seal, which begins there."""
    with memoryview(data) as view, view[:begin] as before, view[begin + _LENGTH :] as behind:
        digest = hashlib.sha256(before)
        digest.update(_ZEROS)
        digest.update(behind)
    return digest.hexdigest().encode()
