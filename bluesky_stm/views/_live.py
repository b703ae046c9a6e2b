"""A picture of the run while it goes on, drawn anew with each spectrum and never at the cost of the measurement."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bluesky.callbacks.core import make_class_safe
from bluesky.callbacks.mpl_plotting import QtAwareCallback

from bluesky_stm.validated import Data
from bluesky_stm.views._panels import HEIGHT, WIDTH, Panels
from bluesky_stm.views._record import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

NOTHING_YET = "No exploration has begun since this view was opened."
BEGUN = "The exploration {name!r} has begun.\nIt is drawn once its first topograph has been taken."
IGNORED = "What goes on is no exploration: there is nothing to draw of it."
"""What is said where there is no picture yet."""

DRAWING_ALLOWANCE = 0.05
"""CPU time, in s, that drawing may take for each spectrum, on average over a run."""


@make_class_safe(logger=logger)
class LiveView(QtAwareCallback):
    """Document callback that shows topograph, points, prediction, uncertainty, acquisition, spectra, learning, feature space.

    Subscribe it to a RunEngine, or to a stream of documents in another process; runs without a length scale are ignored. Most
    spectra renew only what moves; a drawing that took more than 50 ms of CPU time is made up for by leaving out the next ones.
    When the run ends the picture is complete. A fault in here is logged and never reaches the RunEngine.

    Parameters
    ----------
    figure : Figure, optional
        Where to draw, on a canvas that can blit; a new pyplot figure unless given. Make the view in the main thread.
    clock : callable
        CPU time of the thread that draws, in s.
    """

    def __init__(self, figure: Figure | None = None, *, clock: Callable[[], float] = time.thread_time) -> None:
        super().__init__()
        self.figure = figure or _window()
        self.figure.canvas.mpl_connect("resize_event", self._forget)
        self._panels = Panels(self.figure.add_subfigure(self.figure.add_gridspec()[0]))
        self._words = self.figure.text(0.5, 0.5, "", ha="center", va="center", fontsize=16)
        self._clock = clock
        self._record: RunRecord | None = None
        self._still: Any = None
        self._owed = 0.0
        self._say(NOTHING_YET)

    # ---- documents -----------------------------------------------------------------------------------------------------

    def start(self, doc: Data) -> None:
        """Another run: the last one stays in sight until there is a topograph."""
        if self._record is None or self._record.run != doc["uid"]:  # else the stream repeats what was stored of the run so far
            self._record = RunRecord() if "length_scale" in doc else None
        if self._words.get_text():
            self._say(BEGUN.format(name=doc["length_scale"]["name"]) if self._record else IGNORED)
        self._take("start", doc)

    def descriptor(self, doc: Data) -> None:
        """A stream is declared."""
        self._take("descriptor", doc)

    def resource(self, doc: Data) -> None:
        """A file of large images is declared."""
        self._take("resource", doc)

    def datum(self, doc: Data) -> Any:
        """A large image is declared."""
        self._take("datum", doc)

    def event(self, doc: Data) -> Any:
        """A topograph or a spectrum is shown; a decision or a map waits for the next spectrum."""
        self._take("event", doc)

    def event_page(self, doc: Data) -> Any:
        """Show several Events as `event` shows one."""
        self._take("event_page", doc)

    def stop(self, doc: Data) -> None:
        """Everything is shown, whatever it costs."""
        self._take("stop", doc)
        if self._record is not None and self._record.topograph is not None:
            self._panels.update(self._record)
            self._draw_whole()

    def _take(self, name: str, doc: Data) -> None:
        if self._record is None:
            return
        topograph, taken = self._record.topograph, len(self._record.observations)
        self._record(name, doc)
        if self._record.topograph is not topograph:
            self._words.set_text("")
            self._panels.begin(self._record)
            self._spend(self._draw_whole)
        elif len(self._record.observations) > taken:
            self._owed = max(0.0, self._owed - DRAWING_ALLOWANCE)
            if not self._owed:
                self._spend(self._draw)

    # ---- drawing -------------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        """Say in words why there is no picture."""
        self._words.set_text(text)
        self.figure.canvas.draw()

    def _spend(self, draw: Callable[[], None]) -> None:
        began = self._clock()
        draw()
        self._owed += self._clock() - began

    def _draw(self) -> None:
        assert self._record is not None
        grown = self._panels.update(self._record)
        if grown or self._still is None:
            self._draw_whole()
        else:
            self._draw_moving()

    def _draw_whole(self) -> None:
        """Draw all, and keep a copy of what does not move."""
        canvas: Any = self.figure.canvas
        self._show_moving(False)
        canvas.draw()
        self._still = canvas.copy_from_bbox(self.figure.bbox)
        self._show_moving(True)
        self._draw_moving()

    def _draw_moving(self) -> None:
        canvas: Any = self.figure.canvas
        canvas.restore_region(self._still)
        for artist in self._panels.moving:
            self.figure.draw_artist(artist)
        canvas.blit(self.figure.bbox)

    def _show_moving(self, seen: bool) -> None:
        for artist in self._panels.moving:
            artist.set_visible(seen)

    def _forget(self, event: Any) -> None:
        self._still = None


def _window() -> Figure:
    import matplotlib.pyplot as plt

    return plt.figure("bluesky_stm", figsize=(WIDTH, HEIGHT), clear=True)
