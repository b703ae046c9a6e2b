"""The progress of a run: one line of a terminal that is drawn anew with each spectrum, or few plain lines for a log."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Protocol

from bluesky.callbacks.core import make_class_safe
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from bluesky_stm.validated import Data
from bluesky_stm.views._record import RunRecord

logger = logging.getLogger(__name__)

EVERY_SPECTRA = 10
EVERY_SECONDS = 10.0
"""A plain line is written after this many spectra or seconds, whichever comes first."""


BAR_COLUMNS = 100
"""From so many columns on a terminal has room for the bar beside the words."""
PACE_SPECTRA, PACE_SHARE = 20, 0.25
"""The time left goes by so many spectra, and each new one moves the end by this share of what it says."""


@dataclass(frozen=True)
class RunProgress:
    """The state of a run."""

    record: RunRecord
    number: int
    """Which run of its campaign, from 1."""
    elapsed: float
    """Time since the start document, in s."""
    rest: float | None
    """Time that the spectra to come will take, in s; None while there is none yet."""

    @property
    def scale(self) -> str:
        """``"2 mesa, 50 nm"``."""
        return f"{self.number} {self.record.title}"

    @property
    def best(self) -> str:
        """Words on the best value so far: ``"smallest gap 1.62 V at (12.3, -4.5) nm"``.

        They say "largest" where that is sought, and ``"no value yet"`` before the first value.
        """
        best = self.record.best
        if best is None:
            return "no value yet"
        x, y = self.record.spectra[best.number].position
        value = f"{self.record.sign * best.value:.4g} {self.record.units}".rstrip()
        return f"{self.record.sought} {self.record.quantity} {value} at ({x:.3g}, {y:.3g}) nm"

    @property
    def done(self) -> int:
        """Spectra taken."""
        return len(self.record.spectra)

    @property
    def left(self) -> str:
        """Words on the time left, if it goes on as so far: ``"01:23 left"``.

        They are ``"taking the topograph"`` before the time is known.
        """
        return "taking the topograph" if self.rest is None else f"{_clock(self.rest)} left"

    @property
    def end(self) -> str:
        """Words on how the run ended; empty while it goes on."""
        status = self.record.stop_document.get("exit_status", "")
        return status and f"{'done' if status == 'success' else status} in {_clock(self.elapsed)}"


class Pace:
    """Estimate of when a run will end, by its last spectra; one that took long moves the end a little only.

    Times are in s, on any clock that is the same for all calls. Call `begin`, then `spectrum` after each spectrum.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=PACE_SPECTRA + 1)
        self._end = 0.0

    def begin(self, now: float) -> None:
        """Begin the search; whatever was before does not count.

        Parameters
        ----------
        now : float
            Time, in s.
        """
        self._times.clear()
        self._times.append(now)

    def spectrum(self, now: float, rest: int) -> None:
        """Take note of a spectrum.

        Parameters
        ----------
        now : float
            Time at which it has come, in s.
        rest : int
            Number of spectra that are to come.
        """
        self._times.append(now)
        end = now + rest * (now - self._times[0]) / (len(self._times) - 1)
        share = max(PACE_SHARE, 2 / len(self._times), 1 / (rest + 1))
        self._end += share * (end - self._end)

    def left(self, now: float) -> float | None:
        """Return the time to the end; None before the first spectrum.

        Parameters
        ----------
        now : float
            Time, in s.

        Returns
        -------
        float or None
            In s; 0 when the end has passed, never negative.
        """
        return max(self._end - now, 0.0) if len(self._times) > 1 else None


class ProgressDisplay(Protocol):
    """Something that shows a `RunProgress` to a person."""

    def say(self, status: RunProgress, text: str) -> None:
        """Say a sentence at once: a warning, or why spectra have no value.

        Parameters
        ----------
        status : RunProgress
            The state now.
        text : str
            The sentence.
        """

    def show(self, status: RunProgress) -> None:
        """Show the state of a run; it is called with every document that changed it.

        Parameters
        ----------
        status : RunProgress
            The state now.
        """


class BarDisplay:
    """A line with a bar for each run, on a terminal or in a notebook.

    Parameters
    ----------
    console : Console
        Console of rich; a narrow one has no room for the bar itself.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None

    def say(self, status: RunProgress, text: str) -> None:
        """Write a line above the bar.

        Parameters
        ----------
        status : RunProgress
            The state now.
        text : str
            What a person should know.
        """
        self._console.print(f"{status.scale}: {text}")

    def show(self, status: RunProgress) -> None:
        """Draw the line of this run anew; when the run ends it stays.

        Parameters
        ----------
        status : RunProgress
            The state now; after the end of a run, the next one begins a new line.
        """
        if self._bars is None:
            self._bars = self._open(status.scale)
        (task,) = self._bars.task_ids
        taken = {"completed": status.done, "total": status.record.budget}
        self._bars.update(task, **taken, best=status.best, left=status.end or status.left, refresh=True)  # type: ignore[arg-type]
        if status.end:
            self._bars.stop()
            self._bars = None

    def _open(self, scale: str) -> Bars:
        texts = "[bold]{task.description}", "{task.fields[best]}", "[dim]{task.fields[left]}"
        name, best, left = (TextColumn(text) for text in texts)
        bar = [BarColumn(16)] if self._console.width >= BAR_COLUMNS else []
        bars = Bars(name, *bar, MofNCompleteColumn(), best, left, console=self._console, auto_refresh=False)
        bars.add_task(scale, total=None, best="", left="")
        bars.start()
        return bars


class LineDisplay:
    """Plain lines, some for each run, for a log or a pipe.

    Parameters
    ----------
    console : Console
        Console of rich.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: tuple[int, float] = (0, 0.0)

    def show(self, status: RunProgress) -> None:
        """Write a line at the start, at the end, and where enough has happened since the last.

        Parameters
        ----------
        status : RunProgress
            The state now. Enough is `EVERY_SPECTRA` spectra or `EVERY_SECONDS` s.
        """
        count, elapsed = self._said
        if not status.elapsed:
            self._say(status, f"up to {status.record.budget} spectra")
        elif status.end:
            self._say(status, f"{status.done} spectra, {status.best}, {status.end}")
        elif count < status.done < status.record.budget and (
            status.done - count >= EVERY_SPECTRA or status.elapsed - elapsed >= EVERY_SECONDS
        ):
            self._say(status, f"{status.done} of {status.record.budget} spectra, {status.best}, {status.left}")

    def say(self, status: RunProgress, text: str) -> None:
        """Write a line at once.

        Parameters
        ----------
        status : RunProgress
            The state now.
        text : str
            What a person should know.
        """
        self._console.print(f"{status.scale}: {text}")

    def _say(self, status: RunProgress, text: str) -> None:
        self._said = status.done, status.elapsed
        self.say(status, text)


@make_class_safe(logger=logger)
class Progress:
    """Document callback that says which scale, which spectrum of how many, the best value and where, and the time left.

    Subscribe it to a RunEngine; runs without a length scale are ignored. Times are those of the documents, so it can also be
    fed a stored run. A fault in here is logged and never reaches the RunEngine.

    Parameters
    ----------
    stream : text file, optional
        Where to write; standard output unless given. A terminal gets a bar, anything else plain lines.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        console = Console(file=stream, highlight=False, soft_wrap=True)
        self._display: ProgressDisplay = (
            BarDisplay(console) if console.is_terminal or console.is_jupyter else LineDisplay(console)
        )
        self._record: RunRecord | None = None
        self._run, self._campaign = "", ""
        self._number, self._done, self._warned = 0, 0, 0
        self._pace = Pace()

    def __call__(self, name: str, doc: Data) -> None:
        """Take in one document."""
        if name == "start":
            if doc["uid"] == self._run:  # the stream repeats what there was before, and the record heeds it once
                return
            self._begin(doc)
        if self._record is None:
            return
        self._record(name, doc)
        if name in {"start", "event", "event_page", "stop"}:
            status = self._status(self._record, _time(doc))
            for count, warning in self._record.warnings[self._warned :]:
                self._display.say(status, f"warning after {count} spectra: {warning}")
            self._warned = len(self._record.warnings)
            self._display.show(status)
            if name == "stop" and (failures := self._record.failures):
                self._display.say(status, failures)

    def _begin(self, start: Data) -> None:
        self._run, campaign = start["uid"], start.get("campaign", start["uid"])
        self._number = self._number + 1 if campaign == self._campaign else 1
        self._campaign, self._record, self._done = campaign, RunRecord() if "length_scale" in start else None, 0
        self._warned = 0

    def _status(self, record: RunRecord, now: float) -> RunProgress:
        done = len(record.spectra)
        if not done:
            self._pace.begin(now)
        elif done != self._done:
            self._pace.spectrum(now, max(record.budget - done, 0))
        self._done = done
        return RunProgress(record, self._number, now - record.start_document["time"], self._pace.left(now))


def _time(doc: Data) -> float:
    """Wall time of a document; the last one of a page."""
    time = doc["time"]
    return float(time[-1] if isinstance(time, list) else time)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))).removeprefix("0:")
