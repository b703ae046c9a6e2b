"""The board: everything that a page shows, in parts, of which each browser is sent those that it has not seen yet."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bluesky_stm.desk._live_record import MOST_TOLD, LiveRecord
from bluesky_stm.documents import Document
from bluesky_stm.errors import STMError
from bluesky_stm.validated import JSON, Data
from bluesky_stm.views import run_payload

log = logging.getLogger(__name__)

SHARES = 6
"""The run that is shown gets this share of the room of a report page: it is sent again and again."""
MOST_RUNS = 60
"""Runs of a campaign that are shown."""


@dataclass
class _Part:
    """A part of the board as JSON, and the number of the change by which it became so."""

    text: str = ""
    change: int = 0


@dataclass
class Board:
    """Gathers the runs of a campaign, and what else is pinned to it.

    Attributes
    ----------
    records : list of LiveRecord
        Runs of the campaign, in their order.
    change : int
        Number of the last change.
    """

    records: list[LiveRecord] = field(default_factory=list)
    change: int = 0
    _parts: dict[str, _Part] = field(default_factory=dict)
    _stale: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _runs_of: dict[str, LiveRecord] = field(default_factory=dict)
    _descriptors: dict[str, LiveRecord] = field(default_factory=dict)

    def take(self, documents: Iterable[Document]) -> int:
        """Take in documents, and return how many."""
        count = 0
        with self._lock:
            for name, doc in documents:
                count += 1
                self._give(name, doc)
            self._stale |= count > 0
        return count

    def pin(self, name: str, content: Any) -> None:
        """Show something beside the runs.

        Parameters
        ----------
        name : str
            Name of the part.
        content : object
            Plain JSON.
        """
        with self._lock:
            self._put(name, content)

    def draw(self) -> None:
        """Bring the parts up to date with the documents."""
        with self._lock:
            if self._stale:
                self._stale = False
                for name, content in self._shown().items():
                    self._put(name, content)

    def since(self, change: int) -> tuple[int, str]:
        """Return what has changed.

        Parameters
        ----------
        change : int
            Number of the last change that a browser knows; 0 for none.

        Returns
        -------
        change : int
            Number of the last change.
        text : str
            JSON, the new parts by name; empty where there is none.
        """
        with self._lock:
            fresh = {name: part for name, part in self._parts.items() if part.change > change}
            text = ",".join(f"{json.dumps(name)}:{part.text}" for name, part in fresh.items())
            return self.change, f"{{{text}}}" if fresh else ""

    def shown(self, names: Mapping[str, str]) -> str:
        """Return some of the parts.

        Parameters
        ----------
        names : mapping of str to str
            What each is called in the answer, and the name of the part.

        Returns
        -------
        str
            JSON; null for a part that is not there.
        """
        with self._lock:
            told = {name: self._parts[part].text if part in self._parts else "null" for name, part in names.items()}
        return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in told.items()) + "}"

    @property
    def current(self) -> LiveRecord | None:
        """The run that was begun last; None before there is one."""
        return self.records[-1] if self.records else None

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _give(self, name: str, doc: Data) -> None:
        if name == "start":
            self._begin(doc)
        belongs = doc.get("run_start") or doc.get("descriptor") or doc.get("resource") or doc.get("uid")
        record = self._runs_of.get(str(doc["uid"] if name == "start" else belongs)) or self._descriptors.get(str(belongs))
        if record is None:
            return
        if "run_start" in doc and name != "stop":
            self._descriptors[str(doc["uid"])] = record
        record(name, dict(doc))

    def _begin(self, start: Data) -> None:
        campaign = self.current and self.current.start_document.get("campaign")
        if not self.records or campaign is None or start.get("campaign") != campaign or len(self.records) >= MOST_RUNS:
            self.records, self._runs_of, self._descriptors = [], {}, {}
        self.records.append(LiveRecord())
        self._runs_of[str(start["uid"])] = self.records[-1]

    def _shown(self) -> JSON:
        record = self.current
        if record is None:
            return {}
        shown: JSON = {
            "now": record.now(),
            "log": [one for each in self.records for one in each.interventions][-MOST_TOLD:],
            "checks": record.checks[-MOST_TOLD:],
            "campaign": [_line(each) for each in self.records],
        }
        try:
            payload = run_payload(record, self.records, SHARES)
        except STMError as error:  # it is no exploration, or has not looked yet
            return {**shown, "run.none": f"{error}", "run.uid": record.uid}
        return {**shown, "run.none": "", **{f"run.{name}": value for name, value in payload.items()}}

    def _put(self, name: str, content: Any) -> None:
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        part = self._parts.setdefault(name, _Part())
        if part.text != text:
            self.change += 1
            part.text, part.change = text, self.change


def _line(record: LiveRecord) -> JSON:
    stop = record.stop_document
    return {
        "uid": record.uid,
        "name": record.name,
        "sample": str(record.start_document.get("sample", "")),
        "operator": str(record.start_document.get("operator", "")),
        "began": record.start_document["time"],
        "taken": record.taken,
        "exit": stop.get("exit_status", ""),
        "reason": stop.get("reason", ""),
    }


class Feed:
    """A thread that feeds a board, and calls whoever wants to know of a change. Nothing that measures waits for it.

    Parameters
    ----------
    board : Board
        The board.
    take : callable
        Gives the documents that have come since it was called last.
    look : callable, optional
        Called about once a second, for what else is pinned to the board.
    ended : callable, optional
        Called when the thread has ended.
    """

    PERIOD = 0.1
    """Time, in s, between two looks for documents."""

    def __init__(
        self,
        board: Board,
        take: Callable[[], Iterable[Document]],
        look: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.board = board
        self.changed: Callable[[], object] = lambda: None
        self._take, self._look, self._ended = take, look, ended
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bluesky_stm desk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()
        self._ended()

    def step(self, look: bool = True) -> None:
        """Take in what has come, and tell of a change."""
        before = self.board.change
        for what in (lambda: self.board.take(self._take()), *([self._look] if look else []), self.board.draw):
            try:
                what()
            except Exception:  # a broken file, a server that went away: the page shows what there is
                log.warning("The desk could not look.", exc_info=True)
        if self.board.change != before:
            self.changed()

    def _run(self) -> None:
        count = 0
        while not self._ending.wait(self.PERIOD):
            self.step(look=count % 10 == 0)
            count += 1
