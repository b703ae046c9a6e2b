"""The progress of a run: one line of a terminal that is drawn anew with each spectrum, or few plain lines for a log."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import IO, Protocol

from bluesky.callbacks.core import make_class_safe
from rich.console import Console
from rich.control import Control
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.segment import ControlType
from rich.text import Text
from typing_extensions import override

from bluesky_stm.console import PatientConsole
from bluesky_stm.errors import STMError
from bluesky_stm.validated import Data
from bluesky_stm.views._fitting import said
from bluesky_stm.views._given import FindsRuns
from bluesky_stm.views._record import RunRecord

logger = logging.getLogger(__name__)

EVERY_SPECTRA = 10
EVERY_SECONDS = 10.0
"""A plain line is written after this many spectra or seconds, whichever comes first."""


BAR_WIDTH = 16
BAR_COLUMNS = 100
"""From so many columns on a terminal has room for the bar beside the words."""
PACE_SPECTRA, PACE_SHARE = 20, 0.25
"""The time left goes by so many spectra, and each new one moves the end by this share of what it says."""

FEWEST_STEPS, PAUSED = 3, 20.0
"""A spectrum that took so many times as long as the usual one, after this many others, tells of a pause and not of the pace."""


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
    earlier: tuple[RunRecord, ...] = ()
    """Runs with which this one goes on: what they found counts, too."""

    @property
    def scale(self) -> str:
        """``"2 mesa, 50 nm"``."""
        return f"{self.number} {self.record.title}"

    @property
    def best(self) -> str:
        """Words on the best value so far: ``"smallest gap 1.62 V at (12.3, -4.5) nm"``.

        They say "largest" where that is sought, and ``"no value yet"`` before the first value.
        """
        same = [one for one in self.earlier if (one.quantity, one.sought) == (self.record.quantity, self.record.sought)]
        found = [(record, record.best) for record in (*same, self.record)]
        known = [(record, best) for record, best in found if best is not None]
        if not known:
            return "no value yet"
        record, best = max(known, key=lambda one: one[1].value)
        x, y = record.spectra[best.number].position
        value = said(self.record.sign * best.value, self.record.units)
        return f"{self.record.sought} {self.record.quantity} {value} at ({x:.3g}, {y:.3g}) nm"

    @property
    def done(self) -> int:
        """Spectra taken."""
        return len(self.record.spectra)

    @property
    def left(self) -> str:
        """Words on the time left, if it goes on as so far: ``"01:23 left"``.

        They are ``"taking the topograph"`` before the time is known, and never no time while spectra are to come.
        """
        if self.rest is None:
            return "taking the topograph"
        return f"{_clock(max(self.rest, 1.0 if self.done < self.record.budget else 0.0))} left"

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
        self._rest = 0

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
        self._rest = rest
        steps = sorted(later - before for before, later in pairwise(self._times))
        if len(steps) >= FEWEST_STEPS and now - self._times[-1] > PAUSED * (usual := steps[len(steps) // 2]):
            held = now - self._times[-1] - usual  # a person had paused the run: it ends so much later, and is no slower
            self._times = deque((time + held for time in self._times), maxlen=PACE_SPECTRA + 1)
            self._end += held
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
            In s, never negative; while spectra are to come at least what one of them takes.
        """
        if len(self._times) < 2:
            return None
        least = (self._times[-1] - self._times[0]) / (len(self._times) - 1) if self._rest else 0.0
        return max(self._end - now, least)


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


class Sentences:
    """The part that all displays share: a sentence of its own, with the scale it is about.

    Parameters
    ----------
    console : Console
        Console of rich.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, status: RunProgress, text: str) -> None:
        """Write a line at once, above whatever is drawn anew.

        Parameters
        ----------
        status : RunProgress
            The state now.
        text : str
            What a person should know.
        """
        self._console.print(f"{status.scale}: {text}")


class TerminalDisplay(Sentences):
    """A line for each run on a terminal, written over itself: a prompt below it, or a pause, does it no harm.

    Parameters
    ----------
    console : Console
        Console of rich; the line is cut where it ends.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._drawn = False

    @override
    def say(self, status: RunProgress, text: str) -> None:
        self._erase()
        super().say(status, text)

    def show(self, status: RunProgress) -> None:
        """Draw the line of this run anew; when the run ends it stays.

        Parameters
        ----------
        status : RunProgress
            The state now.
        """
        done, budget = status.done, status.record.budget
        filled = round(BAR_WIDTH * min(1.0, done / budget)) if budget else 0
        bar = f"{'━' * filled}{'╺' * (BAR_WIDTH - filled)} " if self._console.width >= BAR_COLUMNS else ""
        line = Text.assemble(
            (status.scale, "bold"), f" {bar}{done}/{budget} {status.best} ", (status.end or status.left, "dim")
        )
        line.truncate(self._console.width - 2)
        self._erase()
        self._console.print(line, end=" ")  # a word of the RunEngine, such as that it pauses, stands apart from it
        self._drawn = True
        if status.end:
            self._console.print()
            self._drawn = False

    def _erase(self) -> None:
        if self._drawn:
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


class BarDisplay(Sentences):
    """A line with a bar for each run, in a notebook.

    Parameters
    ----------
    console : Console
        Console of rich; a narrow one has no room for the bar itself.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars: Bars | None = None

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


class LineDisplay(Sentences):
    """Plain lines, some for each run, for a log or a pipe.

    Parameters
    ----------
    console : Console
        Console of rich.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
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
    catalog : Catalog, optional
        Where the runs are found with which a run goes on (``resumes``): the best value so far may be theirs.
    """

    def __init__(self, stream: IO[str] | None = None, catalog: FindsRuns | None = None) -> None:
        console = PatientConsole(file=stream, highlight=False, soft_wrap=True)
        self._catalog = catalog
        self._earlier: tuple[RunRecord, ...] = ()
        kind = BarDisplay if console.is_jupyter else TerminalDisplay if console.is_terminal else LineDisplay
        self._display: ProgressDisplay = kind(console)
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
        self._earlier = self._gone_before(start)

    def _gone_before(self, start: Data) -> tuple[RunRecord, ...]:
        """Return the runs with which one goes on, oldest first; without those that the catalog does not have."""
        found: list[RunRecord] = []
        uid = start.get("resumes")
        while uid and self._catalog is not None and uid not in {record.uid for record in found}:
            try:
                found.insert(0, RunRecord.of(self._catalog[uid].documents()))
            except (STMError, LookupError) as error:
                logger.warning("The best value so far leaves out run %s, with which this one goes on: %s", uid[:8], error)
                break
            uid = found[0].start_document.get("resumes")
        return tuple(found)

    def _status(self, record: RunRecord, now: float) -> RunProgress:
        done = len(record.spectra)
        if not done:
            self._pace.begin(now)
        elif done != self._done:
            self._pace.spectrum(now, max(record.budget - done, 0))
        self._done = done
        return RunProgress(record, self._number, now - record.start_document["time"], self._pace.left(now), self._earlier)


def _time(doc: Data) -> float:
    """Wall time of a document; the last one of a page."""
    time = doc["time"]
    return float(time[-1] if isinstance(time, list) else time)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))).removeprefix("0:")
