"""Whether a process of this host still runs."""

from __future__ import annotations

import os
from pathlib import Path


def ended(pid: int) -> bool:
    """Return True for a process of this host that is no more; False where nobody can tell.

    One that was killed and that its parent has not asked about yet keeps its number, and has ended all the same: so the
    killed worker of a queue server. On Windows nobody can tell without touching it.

    Parameters
    ----------
    pid : int
        Number of the process.
    """
    if os.name == "nt":
        return False
    try:
        os.kill(pid, 0)  # asks, and kills nothing
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] in (["Z"], ["X"])
