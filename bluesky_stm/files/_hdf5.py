"""A look at an HDF5 file before it is opened: of a damaged one the library may never return, and nothing can interrupt it.

One that leads to other files, by links, by raw data outside of it or by virtual datasets, is not read either: whoever made it
could have anything of this computer copied into a run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import h5py

EFFORT: Final = 20
"""Processor time, in s, within which the structure of a sound file is read; a usual one takes a tenth of a second."""

PATIENCE: Final = 300.0
"""Time, in s, for the same: on a computer that is busy with other work, seconds of processor time take minutes."""

DAMAGED: Final = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, MemoryError)
"""Errors that the library raises at a damaged file, or that a file raises which is none of ours."""

UNREADABLE: Final = "is damaged, so that the HDF5 library does not come back from it, or leads to other files"
"""What is said of a file that is not sound."""

_OUTSIDE: Final = 3
"""Exit status of a look at a file that leads to others."""

_WALK: Final = f"""
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({EFFORT}, {EFFORT}))
except ImportError:  # Windows knows no such limit
    pass
import h5py
def look(name, item):
    dict(item.attrs)
    getattr(item, 'shape', None)
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        sys.exit({_OUTSIDE})
    if isinstance(item, h5py.Group) and any(isinstance(item.get(key, getlink=True), h5py.ExternalLink) for key in item):
        sys.exit({_OUTSIDE})
with h5py.File(sys.argv[1]) as file:
    look('', file)
    file.visititems(look)
"""


@contextmanager
def changed(path: Path, mode: Literal["w", "a"]) -> Iterator[h5py.File]:
    """Give an HDF5 file in memory, new or as the one on the disk is, which is written to the disk at the end.

    The library itself ends the process where a disk is full.

    Parameters
    ----------
    path : Path
        File to write.
    mode : {"w", "a"}
        To begin anew, or to go on with what is there.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    content = BytesIO(path.read_bytes() if mode == "a" else b"")
    with h5py.File(content, mode) as file:
        yield file
    path.write_bytes(content.getbuffer())


_known: dict[tuple[str, int, int], bool] = {}


def is_sound(path: Path) -> bool:
    """Return True when the library comes back from a look at a file, by another process, and finds it whole.

    Whole is a file that leads to no other one.

    Parameters
    ----------
    path : Path
        File that is there. One that this process wrote (`written`) or has looked at is not looked at again.
    """
    state = _state(path)
    if state not in _known:
        _known[state] = _walked(state[0])
    return _known[state]


def written(path: Path) -> None:
    """Note that a file is as this process has just written it, so that nobody has to look at it first."""
    _known[_state(path)] = True


def _state(path: Path) -> tuple[str, int, int]:
    state = path.stat()
    return str(path.resolve()), state.st_size, state.st_mtime_ns


def in_words(error: Exception) -> str:
    """Return an error in brackets and on one line, as the end of a sentence."""
    return f" ({' '.join(str(error).split())[:200]})"


def _walked(path: str) -> bool:
    try:
        done = subprocess.run([sys.executable, "-c", _WALK, path], capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return (
        done.returncode >= 0 and done.returncode != _OUTSIDE
    )  # what it says of a damaged file, it says here as well; a signal has killed it otherwise
