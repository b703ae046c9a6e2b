"""The thread that feeds a sink from the journal: in order, each document at least once, whatever the sink does meanwhile."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack

from bluesky_stm.data import Data
from bluesky_stm.storage._journal import NEW, PART, SUFFIX
from bluesky_stm.storage._sinks import DocumentSink, Sending, as_json

if TYPE_CHECKING:
    from bluesky import RunEngine

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0
"""Time, in s, until a sink that has failed is tried again, and how long that becomes."""
LAST_WAIT = 10.0
"""Time, in s, that a sink is given to take what is left when a session ends; the rest is sent by the next one."""
SAVED_EVERY = 50


class Feeder:
    """Sends what a journal holds, and what it will hold, to a sink.

    A run is sent from where the sink has it, also in a later session. What was in the journal before the sink was used for the
    first time is not sent.

    Parameters
    ----------
    folder : Path
        Folder of the catalog.
    sink : DocumentSink
        Where documents go.

    Attributes
    ----------
    fault : str
        Why the last attempt has failed; empty while all is well.
    sent : int
        Number of documents that were sent by this object.
    """

    def __init__(self, folder: Path, sink: DocumentSink) -> None:
        self.sink, self.fault, self.sent = sink, "", 0
        self._journal = folder / "journal"
        key = hashlib.sha256(json.dumps(sink.describe(), sort_keys=True).encode()).hexdigest()[:12]
        self._state = folder / "sinks" / f"{sink.name}-{key}.json"
        self._done, self._at = self._read()
        self._wake, self._over = threading.Event(), threading.Event()
        self._way: Sending | None = None
        self._thread = threading.Thread(target=self._work, name=f"bluesky_stm sink {sink.name}", daemon=True)
        self._thread.start()

    def __call__(self, name: str, doc: Data) -> None:
        """Look again: there is a document more. To be subscribed to a RunEngine, after the catalog."""
        self._wake.set()

    def close(self) -> None:
        """Send what is left, if the sink takes it, and end."""
        self._over.set()
        self._wake.set()
        self._thread.join(LAST_WAIT)

    def _work(self) -> None:
        wait = FIRST_WAIT
        self._wake.set()
        while True:
            self._wake.wait(None if not self.fault else wait)
            self._wake.clear()
            over = self._over.is_set()
            try:
                self._feed()
            except Exception as error:  # of a client of somebody else: a run must not end or wait over it
                if not self.fault:
                    log.warning("The sink %s takes no documents: %s. The journal has them all.", self.sink.name, error)
                self.fault, wait = f"{type(error).__name__}: {error}", min(2 * wait, LONGEST_WAIT)
                self._hang_up()
            else:
                if self.fault:
                    log.warning("The sink %s takes documents again, and has what it missed.", self.sink.name)
                self.fault, wait = "", FIRST_WAIT
            if over:
                self._hang_up()
                self._save()
                return
            if self.fault:
                self._over.wait(wait)

    def _feed(self) -> None:
        for path in self._files():
            name = path.name.removesuffix(PART)
            for kind, record, end in _raw(path, self._at.get(name, 0)):
                if self._way is None:
                    self._way = self.sink.open()
                self._way.send(kind, record if self.sink.encoding == "msgpack" else as_json(record), f"{name}:{end}")
                self._at[name] = end
                self.sent += 1
                if self.sent % SAVED_EVERY == 0:
                    self._save()
                if kind == "stop":
                    self._finish(name)
                    break

    def _files(self) -> list[Path]:
        listed = (entry for entry in os.scandir(self._journal) if entry.name != NEW and entry.name.endswith((SUFFIX, PART)))
        paths = {entry.name.removesuffix(PART): Path(entry.path) for entry in listed}
        return [paths[name] for name in sorted(paths) if name > self._done or name in self._at]

    def _finish(self, name: str) -> None:
        """Note that a run has arrived as a whole; the runs before it have, too, but for those in ``_at``."""
        for path in self._files():  # one that was begun earlier, and has not been sent as a whole yet
            if (other := path.name.removesuffix(PART)) < name:
                self._at.setdefault(other, 0)
        del self._at[name]
        self._done = max(self._done, name)
        self._save()

    def _read(self) -> tuple[str, dict[str, int]]:
        if self._state.exists():
            known = json.loads(self._state.read_text(encoding="utf-8"))
            return known["done"], known["at"]
        names = sorted(path.name.removesuffix(PART) for path in self._journal.glob(f"*{SUFFIX}"))
        return (names[-1] if names else ""), {}

    def _save(self) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True)
        draft = self._state.with_suffix(".new")
        draft.write_text(json.dumps({"done": self._done, "at": self._at}), encoding="utf-8")
        os.replace(draft, self._state)

    def _hang_up(self) -> None:
        way, self._way = self._way, None
        if way is not None:
            with suppress(Exception):
                way.close()


def _raw(path: Path, begin: int) -> Iterator[tuple[str, bytes, int]]:
    """Yield the complete records of a file from a position on: kind, bytes, and where each ends. Nothing is decoded."""
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read()
    except FileNotFoundError:  # it has ended just now, and the name has lost its .part
        return
    unpacker, at = msgpack.Unpacker(raw=False, max_buffer_size=2**31 - 1), 0
    unpacker.feed(data)
    while True:
        try:
            unpacker.skip()
        except (msgpack.OutOfData, ValueError):
            return
        end = unpacker.tell()
        record = data[at:end]
        if record[:1] != b"\x92":
            return  # zeros that a power cut left behind
        size = record[1] & 0x1F  # names of documents are shorter than 32 letters
        yield record[2 : 2 + size].decode(), record, begin + end
        at = end


@contextmanager
def feeding(folder: Path, sinks: Sequence[DocumentSink], RE: RunEngine) -> Iterator[list[Feeder]]:  # noqa: N803 - its name everywhere
    """Feed sinks from a catalog as long as the context lasts.

    Parameters
    ----------
    folder : Path
        Folder of the catalog.
    sinks : sequence of DocumentSink
        Where documents go.
    RE : RunEngine
        Its documents are those of the catalog, which is subscribed before.
    """
    with ExitStack() as ending:
        feeders = []
        for sink in sinks:
            feeders.append(Feeder(folder, sink))
            ending.callback(feeders[-1].close)
            ending.callback(RE.unsubscribe, RE.subscribe(feeders[-1]))
        yield feeders
