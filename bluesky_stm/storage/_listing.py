"""Listing of the journals in a folder; the disk is asked only when the folder has changed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from bluesky_stm.storage._journal import PART, SUFFIX

_SETTLED = 100_000_000
"""Time, in ns, for which a folder must have been unchanged before its time of change tells one listing from another."""
_SETTLED_COARSE = 2_500_000_000
"""The same time on a disk that keeps whole milliseconds or less; some disks keep even seconds only."""


class Listing:
    """Names of the journals in a folder.

    Parameters
    ----------
    folder : Path
        Folder of the journals. Beside it lies ``journal.list``, what a session saw there last, because it takes longer to ask
        the disk for all of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = folder.with_name("journal.list")
        self._seen: tuple[int, list[str]] = (0, [])

    def names(self, remember: bool) -> list[str]:
        """Return the names of the files, oldest run first.

        With ``remember`` True they are written down for later sessions.
        """
        changed = os.stat(self._folder).st_mtime_ns
        if changed != self._seen[0]:
            tick = _SETTLED if changed % 1_000_000 else _SETTLED_COARSE
            settled = time.time_ns() - changed > tick  # a later change in the same tick of the clock would go unseen
            remembered = self._remembered(changed) if settled else None
            names = remembered or sorted(name for name in os.listdir(self._folder) if name.endswith((SUFFIX, PART)))
            if remember and settled and remembered is None:
                self._remember(changed, names)
            self._seen = (changed if settled else 0), names
        return self._seen[1]

    def _remembered(self, changed: int) -> list[str] | None:
        try:
            when, *names = self._kept.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError):
            return None
        return names if when == str(changed) else None

    def _remember(self, changed: int, names: list[str]) -> None:
        under_way = self._kept.with_suffix(".new")
        with suppress(OSError):  # it only saves time
            under_way.write_text("\n".join([str(changed), *names]), encoding="utf-8")
            under_way.replace(self._kept)
