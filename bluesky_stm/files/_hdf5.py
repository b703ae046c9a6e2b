"""A look at an HDF5 file before it is opened: of a damaged one the library may never return, and nothing can interrupt it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

PATIENCE: Final = 20.0
"""Time, in s, within which the structure of a sound file is read; a usual one takes a tenth of a second."""

DAMAGED: Final = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, MemoryError)
"""Errors that the library raises at a damaged file, or that a file raises which is none of ours."""

_WALK: Final = """
import sys, h5py
def look(name, item):
    dict(item.attrs)
    getattr(item, 'shape', None)
with h5py.File(sys.argv[1]) as file:
    look('', file)
    file.visititems(look)
"""


_known: dict[tuple[str, int, int], bool] = {}


def is_sound(path: Path) -> bool:
    """Return True when the library comes back from a look at all of a file, which another process has taken."""
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
    return done.returncode >= 0  # what it says of a damaged file, it says here as well; a signal has killed it otherwise
