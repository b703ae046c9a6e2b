"""One writer for each catalog, because recovery must never touch the run of a session that is alive."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from bluesky_stm.errors import CatalogError


class WriterLock:
    """The right to write into a folder.

    The operating system takes it back when the process dies, however it dies.

    Raises
    ------
    CatalogError
        When another session has it. The message says which, and what to do.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / "writer.lock", thread_local=False)
        self._holder = folder / "writer.json"
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CatalogError(
                f"The catalog {folder} is being written by {self._who()}. Nothing has been changed. Close that session, "
                "open another folder, or read along with open_catalog(..., write=False)."
            ) from None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}))

    def release(self) -> None:
        """Let others write; a second call does nothing."""
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _who(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
        except (OSError, ValueError):
            return "another session"
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
