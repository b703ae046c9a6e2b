"""Memory of a process that measures in several threads."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

_ARENA_MAX: Final = -8
"""Number by which ``mallopt`` of the GNU C library knows the number of its heaps."""


def one_heap() -> None:
    """Let all threads of this process share one heap, where the C library is that of GNU.

    It gives each thread a heap of its own otherwise, and what one thread has set free no other uses: images that engine, agent
    and microscope handle then take 100 MB more. Heaps that are there already stay.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
