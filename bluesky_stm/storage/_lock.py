"""One writer for each catalog, because recovery must never touch the run of a session that is alive."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from bluesky_stm.errors import CatalogError

try:
    import fcntl
except ImportError:  # on Windows a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]


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
        self._of_folder: int | None = None
        try:
            self._lock.acquire(timeout=0)
            self._of_folder = _locked(folder)
        except (Timeout, BlockingIOError):
            self._lock.release()
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
            if self._of_folder is not None:
                fcntl.flock(self._of_folder, fcntl.LOCK_UN)  # also where a copy of this process has it open
                os.close(self._of_folder)
            self._lock.release()

    def _who(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
        except (OSError, ValueError):
            return "another session"
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"


def refuse_links(*folders: Path) -> None:
    """Refuse to write into a catalog that leads elsewhere: what a link names would be cut off, or written over.

    Parameters
    ----------
    *folders : Path
        The folders of a catalog that are written to; they may be links themselves.

    Raises
    ------
    CatalogError
        When a file in them is a symbolic link.
    """
    for folder in folders:
        with os.scandir(folder) as found:
            for one in found:
                if one.is_symlink() and not one.is_dir():
                    raise CatalogError(
                        f"{one.path} is a link to {os.readlink(one.path)}, and a catalog keeps its files itself: what it leads "
                        "to could be written over. Nothing has been changed. Put the file there, or remove the link."
                    )


def _locked(folder: Path) -> int | None:
    """Lock the folder itself, which nobody can take away while it is written, as somebody may remove the file of a lock.

    Returns
    -------
    int or None
        Descriptor of the folder, to be unlocked and closed; None where the system or the disk knows no such lock.

    Raises
    ------
    BlockingIOError
        When another process has it.
    """
    if fcntl is None:
        return None
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        raise
    except OSError:  # a disk of another host may refuse this
        os.close(opened)
        return None
    return opened
