"""The router of documents: it knows the streams of the runs, and gives each document once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self, cast

from event_model import DocumentRouter, EventPage, unpack_event_page

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents._external import ExternalArrays
from bluesky_stm.documents._fields import stream_of
from bluesky_stm.documents._streams import EVENTS, Document


class _Numbers:
    """The numbers of the Events of one stream that were given, as spans: they come nearly in order, and perhaps for weeks."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._spans)

    @property
    def missing(self) -> int:
        """The first number, from 1, that is missing before the last one; 0 where none is."""
        spans = sorted(self._spans)
        return 0 if not spans or (len(spans) == 1 and spans[0][0] == 1) else 1 if spans[0][0] > 1 else spans[0][1] + 1

    def add(self, number: int) -> bool:
        """Note a number, and return True when it is new."""
        if any(first <= number <= last for first, last in self._spans):
            return False
        before = next((span for span in self._spans if span[1] == number - 1), (number, number))
        behind = next((span for span in self._spans if span[0] == number + 1), (number, number))
        self._spans = [*(span for span in self._spans if span not in (before, behind)), (before[0], behind[1])]
        return True


class StreamRouter(DocumentRouter):
    """A router that gives each document of a run once, and an Event by the name of its stream.

    An Event is known by run, stream and number. The RunEngine emits it again after a pause, with another uid; it also comes
    again where stored documents meet those of a run that goes on. The first one counts, because an agent has learned it.
    Several runs may follow one another or be interleaved. Override `begin`, `give`, `give_foreign` and `end`, or use `events`.

    Attributes
    ----------
    run : str
        Uid of the run that has begun last; empty before the first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.run = ""
        self._numbers: dict[tuple[str, str], _Numbers] = {}
        self._streams: dict[str, tuple[str, str, _Numbers]] = {}
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._given: list[tuple[str, Data]] = []
        self._arrays = ExternalArrays()

    # ---- for subclasses ----------------------------------------------------------------------------------------------

    def begin(self, start: Data) -> None:
        """Take in the start document of a run.

        It is called once for each run, before all other documents of the run.

        Parameters
        ----------
        start : mapping
            The start document.
        """

    def give(self, stream: str, event: Data) -> None:
        """Take in an Event of one of the streams of this package; its values are `data`.

        An image that another plan emitted as ``primary`` comes as a ``topograph``. The method is called once for each Event,
        in the order in which they came first.

        Parameters
        ----------
        stream : str
            Name of the stream, a `Stream`.
        event : mapping
            The Event; large arrays in it may be references to files.
        """

    def give_foreign(self, stream: str, event: Data) -> None:
        """Take in an Event of another stream, such as ``baseline``, or one in ``primary`` that is no spectrum and no image.

        Parameters
        ----------
        stream : str
            Name of the stream; empty where no descriptor declared it.
        event : mapping
            The Event.
        """

    def end(self, stop: Data) -> None:
        """Take in the stop document of a run.

        It is called once for each run that ends; a run that was killed has no stop document.

        Parameters
        ----------
        stop : mapping
            The stop document, with ``exit_status`` and ``reason``.
        """

    # ---- for those who feed it ---------------------------------------------------------------------------------------

    def __call__(self, name: str, doc: Data, validate: bool = False) -> tuple[str, Any]:
        """Take in one document; it is not changed."""
        self._given = []
        if name == "event" and not validate:  # most documents are Events: the way round by the library costs a microsecond each
            self.event(doc)
            return name, doc
        return super().__call__(name, cast(JSON, doc), validate)

    def read(self, documents: Iterable[Document]) -> Self:
        """Take in documents one after the other, and return the router.

        Parameters
        ----------
        documents : iterable of (str, mapping)
            Name and content of each, in the order in which they were emitted.
        """
        for name, doc in documents:
            self(name, doc)
        return self

    def events(self, documents: Iterable[Document]) -> Iterator[tuple[str, Data]]:
        """Take in documents one by one, and yield each Event with the name of its stream.

        Parameters
        ----------
        documents : iterable of (str, mapping)
            Name and content of each, in the order in which they were emitted.

        Yields
        ------
        stream : str
            Name of the stream. Events of streams that no descriptor declared are left out.
        event : mapping
            The Event, which comes once.
        """
        for name, doc in documents:
            self(name, doc)
            yield from self._given

    def data(self, event: Data) -> Data:
        """Return the values of an Event, with those arrays that are stored in files.

        Parameters
        ----------
        event : mapping
            An Event whose ``resource`` and ``datum`` documents have been taken in.

        Raises
        ------
        FileFormatError
            When a file is not there, or no longer holds what was written.
        """
        return self._arrays.data(event)

    @property
    def counts(self) -> dict[str, int]:
        """Number of Events so far of each stream of the run that has begun last."""
        return {stream: len(numbers) for (run, stream), numbers in self._numbers.items() if run == self.run}

    @property
    def missing(self) -> dict[str, int]:
        """The first number that no Event has, for each stream of the run that has begun last in which there is a gap."""
        firsts = {stream: numbers.missing for (run, stream), numbers in self._numbers.items() if run == self.run}
        return {stream: first for stream, first in firsts.items() if first}

    # ---- documents ---------------------------------------------------------------------------------------------------

    def start(self, doc: Data) -> None:
        """A run begins."""
        if doc["uid"] not in self._begun:
            self._begun.add(doc["uid"])
            self.run = doc["uid"]
            self.begin(doc)

    def descriptor(self, doc: Data) -> None:
        """A stream of a run is declared, or declared again with another configuration: its numbers go on."""
        name = doc["name"]
        kind = stream_of(name, doc.get("data_keys", ()))
        self._streams[doc["uid"]] = name, kind, self._numbers.setdefault((doc["run_start"], name), _Numbers())

    def event(self, doc: Data) -> Any:
        """Give an Event, if it is new."""
        stream, kind, numbers = self._streams.get(doc["descriptor"]) or ("", "", _Numbers())
        if not numbers.add(doc["seq_num"]):
            return
        if stream:
            self._given.append((stream, doc))
        if kind in EVENTS:
            self.give(kind, doc)
        else:
            self.give_foreign(stream, doc)

    def event_page(self, doc: Data) -> Any:
        """Give the Events of a page, those that are new."""
        for event in unpack_event_page(cast(EventPage, doc)):
            self.event(event)

    def resource(self, doc: Data) -> None:
        """A file of large arrays is declared."""
        self._arrays.resource(doc)

    def datum(self, doc: Data) -> Any:
        """A large array is declared."""
        self._arrays.datum(doc)

    def stop(self, doc: Data) -> None:
        """A run has ended."""
        if doc["run_start"] not in self._ended:
            self._ended.add(doc["run_start"])
            self.end(doc)
