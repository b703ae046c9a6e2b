"""The live view in a process of its own: documents come through a queue, a window or a picture file shows them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, Protocol

from bluesky_stm.documents import Document
from bluesky_stm.errors import SettingsError
from bluesky_stm.views._live import LiveView
from bluesky_stm.views._panels import HEIGHT, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POLL_TIME = 0.05
"""Time, in s, that a window is given between two looks into the queue."""
PICTURE_PERIOD = 1.0
"""A picture file is written at most so often, in s."""


class DocumentQueue(Protocol):
    """A queue in which documents wait, of threads or of processes."""

    def get(self, block: bool = True, timeout: float | None = None) -> Document | None:
        """Return the next document, or None after the last.

        Parameters
        ----------
        block : bool
            True to wait for one.
        timeout : float, optional
            Longest time to wait, in s; by default there is no end to it.

        Raises
        ------
        queue.Empty
            When none came in time.
        """


def watch(feed: DocumentQueue, picture: Path | None = None, so_far: Sequence[Document] = ()) -> None:
    """Show runs as their documents come: in a window until it is closed, or in a file until there are no more.

    Parameters
    ----------
    feed : DocumentQueue
        Documents as they come; None ends them.
    picture : Path, optional
        A PNG, written anew about every second, instead of a window.
    so_far : sequence of (name, document)
        What there was before, of the run that goes on; what the feed brings of it once more is heeded once.

    Raises
    ------
    SettingsError
        When a window is asked for where there is no display.
    """
    screen = PictureFile(picture) if picture else LiveWindow()
    view = LiveView(screen.figure)
    for name, doc in so_far:
        view(name, doc)
    screen.show(True, last=False)
    going_on = True
    while going_on or screen.stays:
        fresh = False
        try:
            while going_on and screen.open:
                document = feed.get(timeout=POLL_TIME)
                going_on = document is not None
                if document is not None:
                    view(*document)
                    fresh = True
        except Empty:
            pass
        if not screen.open:
            return
        screen.show(fresh, last=not going_on)


class LiveWindow:
    """A window on the screen; it stays after the last document.

    Raises
    ------
    SettingsError
        When there is no display.
    """

    def __init__(self) -> None:
        check_display()
        import matplotlib.pyplot as plt

        self.figure: Figure = plt.figure("bluesky_stm", figsize=(WIDTH, HEIGHT), clear=True)
        plt.show(block=False)

    @property
    def stays(self) -> bool:
        """True until somebody closes it."""
        return self.open

    @property
    def open(self) -> bool:
        """True while it is still there."""
        import matplotlib.pyplot as plt

        return plt.fignum_exists("bluesky_stm")

    def show(self, fresh: bool, last: bool) -> None:
        """Let it take clicks and draw what it has to."""
        self.figure.canvas.start_event_loop(POLL_TIME)


class PictureFile:
    """A picture file; whoever reads it finds it whole.

    Parameters
    ----------
    path : Path
        A PNG; its folder is made where there is none. It is written beside, then moved into its place.
    """

    open, stays = True, False

    def __init__(self, path: Path) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(WIDTH, HEIGHT))
        self._canvas: Any = FigureCanvasAgg(self.figure)
        self._path, self._written, self._stale = path, 0.0, False
        path.parent.mkdir(parents=True, exist_ok=True)

    def show(self, fresh: bool, last: bool) -> None:
        """Write what has been drawn, unless it was written just now.

        Parameters
        ----------
        fresh : bool
            True when something was drawn since the last call.
        last : bool
            True to write it in any case, as nothing more will come.
        """
        self._stale |= fresh
        if self._stale and (last or time.monotonic() - self._written > PICTURE_PERIOD):
            self._write()
            self._stale, self._written = False, time.monotonic()

    def _write(self) -> None:
        from matplotlib.image import imsave

        draft = self._path.with_suffix(".new")
        imsave(draft, self._canvas.buffer_rgba(), format="png")
        os.replace(draft, self._path)


def check_display() -> None:
    """Refuse a window where none can be shown.

    Raises
    ------
    SettingsError
        When the backend of matplotlib only writes files.
    """
    import matplotlib.pyplot as plt
    from matplotlib.backends import BackendFilter, backend_registry

    backend = plt.get_backend().lower()
    if backend not in backend_registry.list_builtin(BackendFilter.INTERACTIVE):
        raise SettingsError(
            f"No window can be shown here: matplotlib draws with {backend!r}. Nothing has been started. "
            "Give a picture file instead (--picture live.png), or log in with a display."
        )
