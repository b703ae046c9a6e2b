"""The heartbeat of a session: a file that says it lives and what it measures, and what to make of its silence."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bluesky_stm.documents import Stream, StreamRouter
from bluesky_stm.errors import FileFormatError
from bluesky_stm.processes import ended
from bluesky_stm.validated import Data

logger = logging.getLogger(__name__)

FILE = "heartbeat.json"
"""File in the folder of the catalog."""

MISSED = 6
"""Number of beats after which silence counts as death: a busy disk or a long garbage collection takes one or two."""


@dataclass(frozen=True)
class Beat:
    """A sign of life of the session that writes to a catalog.

    Attributes
    ----------
    time : float
        When it was given, in s since 1970.
    every : float
        Time between two of them, in s.
    pid : int
        Process.
    host : str
        Computer on which the process runs.
    run : str
        Uid of the run that goes on; empty between runs.
    what : str
        Its plan and length scale.
    spectra : int
        Spectra that it has taken.
    closed : bool
        True for the last one of a session that was closed as it should be.
    """

    time: float
    every: float
    pid: int
    host: str
    run: str = ""
    what: str = ""
    spectra: int = 0
    closed: bool = False

    def dead(self, now: float) -> str:
        """Return why the session counts as dead at a time; empty while it lives, and where it was closed.

        Parameters
        ----------
        now : float
            In s since 1970.
        """
        if self.closed:
            return ""
        if self.host == socket.gethostname() and ended(self.pid):
            return f"process {self.pid} on {self.host} is gone"
        silent = now - self.time
        return f"process {self.pid} on {self.host} is silent for {silent:.0f} s" if silent > MISSED * self.every else ""

    def __str__(self) -> str:
        doing = f"measures {self.what} {self.run[:8]}, {self.spectra} spectra so far" if self.run else "measures nothing"
        return "closed" if self.closed else f"process {self.pid} on {self.host} {doing}"


class Heartbeat(StreamRouter):
    """Writes a `Beat` again and again, from a thread, until it is closed. It is subscribed to the RunEngine.

    Parameters
    ----------
    folder : Path
        Folder of the catalog.
    every : float
        Time between two beats, in s.
    """

    def __init__(self, folder: Path, every: float) -> None:
        super().__init__()
        self._path, self._every = folder / FILE, every
        self._what, self._spectra, self._goes_on = "", 0, ""
        self._over = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._work, name="bluesky_stm heartbeat", daemon=True)
        self._thread.start()

    def begin(self, start: Data) -> None:
        """Note the run that begins."""
        scale = (start.get("length_scale") or {}).get("name", "")
        self._what, self._spectra, self._goes_on = f"{start.get('plan_name', 'run')} {scale}".strip(), 0, start["uid"]

    def give(self, stream: str, event: Data) -> None:
        """Count the spectra."""
        self._spectra += stream == Stream.PRIMARY

    def end(self, stop: Data) -> None:
        """Note that the run has ended."""
        self._goes_on = ""

    def close(self) -> None:
        """Say that the session was closed, and write no more."""
        self._over.set()
        self._thread.join()
        self._write(closed=True)

    def _work(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._write()
            except OSError:
                logger.warning(
                    "No sign of life was written to %s; it is tried again after %g s.", self._path, self._every, exc_info=True
                )

    def _write(self, closed: bool = False) -> None:
        beat = Beat(
            time.time(), self._every, os.getpid(), socket.gethostname(), self._goes_on, self._what, self._spectra, closed
        )
        _write_whole(self._path, json.dumps(asdict(beat)))


def read_heartbeat(folder: Path) -> Beat | None:
    """Return the last sign of life of whoever wrote to a catalog; None where there never was one.

    Parameters
    ----------
    folder : Path
        Folder of the catalog.

    Raises
    ------
    FileFormatError
        When the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return TypeAdapter(Beat).validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(step) for step in fault["loc"])
        raise FileFormatError(
            f"{path} is no heartbeat ({f'{place}: ' if place else ''}{fault['msg']}). Whether a session lives was not told. "
            "Remove the file: a session that lives writes it anew."
        ) from error


def told_already(folder: Path, beat: Beat) -> bool:
    """Return True when this was asked before about the same last beat, so that people are told of a death once.

    Parameters
    ----------
    folder : Path
        Folder of the catalog, where it is noted.
    beat : Beat
        The last beat of a session that died.
    """
    note = folder / "heartbeat.told"
    known = note.is_file() and note.read_text(encoding="utf-8") == repr(beat.time)
    if not known:
        _write_whole(note, repr(beat.time))
    return known


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that whoever reads it meanwhile sees the old one or the new one."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
