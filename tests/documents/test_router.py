"""The router of documents: each document once, each Event by the name of its stream."""

import re
import tracemalloc
from pathlib import Path

import pytest
from event_model import compose_run, pack_event_page

from bluesky_stm.documents import EVENTS, Stream, StreamRouter

KEY = "probe_lockin_x"  # by which an Event in ``primary`` is a spectrum
KEYS = {KEY: {"dtype": "number", "shape": [], "source": "test"}}


class Listener(StreamRouter):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def begin(self, start):
        self.heard.append(("begin", start["uid"]))

    def give(self, stream, event):
        self.heard.append((stream, event["data"][KEY]))

    def give_foreign(self, stream, event):
        self.heard.append((f"foreign {stream}", event["data"][KEY]))

    def end(self, stop):
        self.heard.append(("end", stop["run_start"]))


class Run:
    """A run of numbers, emitted document by document."""

    def __init__(self):
        self.bundle = compose_run()
        self.uid, self.documents, self.streams = self.bundle.start_doc["uid"], [("start", self.bundle.start_doc)], {}

    def declare(self, stream):
        self.streams[stream] = self.bundle.compose_descriptor(name=stream, data_keys=KEYS)
        self.documents.append(("descriptor", self.streams[stream].descriptor_doc))

    def emit(self, stream, value, number=None):
        if stream not in self.streams:
            self.declare(stream)
        event = self.streams[stream].compose_event(data={KEY: value}, timestamps={KEY: 0.0}, seq_num=number)
        self.documents.append(("event", event))

    def stop(self):
        self.documents.append(("stop", self.bundle.compose_stop()))
        return self.documents


def heard(documents):
    return Listener().read(documents).heard


@pytest.fixture
def run():
    run = Run()
    for value in (1.0, 2.0, 3.0):
        run.emit(Stream.PRIMARY, value)
        run.emit(Stream.AGENT, -value)
    run.stop()
    return run


ORDER = [(stream, sign * value) for value in (1.0, 2.0, 3.0) for stream, sign in ((Stream.PRIMARY, 1), (Stream.AGENT, -1))]


def test_events_come_by_the_name_of_their_stream_in_the_order_of_the_documents(run):
    assert heard(run.documents) == [("begin", run.uid), *ORDER, ("end", run.uid)]


@pytest.mark.parametrize("again", [lambda d: d + d, lambda d: d[:5] + d, lambda d: d + d[3:7], lambda d: d[:-1] + d[1:]])
def test_documents_that_are_met_again_are_given_once(run, again):
    """Stored documents meet those of a run that goes on, or a journal is merged with its copy."""
    assert heard(again(run.documents)) == heard(run.documents)


def test_an_event_that_is_emitted_again_after_a_pause_is_given_as_it_was_first(run):
    """The RunEngine gives it another uid and the same number; an agent has learned the first one."""
    again = Run()
    again.emit(Stream.PRIMARY, 1.0, number=1)
    again.emit(Stream.PRIMARY, 9.0, number=1)
    again.emit(Stream.PRIMARY, 2.0, number=2)
    assert heard(again.documents)[1:] == [(Stream.PRIMARY, 1.0), (Stream.PRIMARY, 2.0)]


def test_an_event_that_is_repeated_under_another_configuration_of_its_stream_is_given_once():
    """A device that is configured between makes a second descriptor of the stream, whose numbers go on."""
    again = Run()
    again.emit(Stream.PRIMARY, 1.0, number=1)
    again.declare(Stream.PRIMARY)
    again.emit(Stream.PRIMARY, 9.0, number=1)
    again.emit(Stream.PRIMARY, 2.0, number=2)
    assert heard(again.documents)[1:] == [(Stream.PRIMARY, 1.0), (Stream.PRIMARY, 2.0)]


def test_events_that_come_in_another_order_are_all_given(run):
    start, *others = run.documents
    assert sorted(heard([start, *sorted(others, key=lambda d: d[0]), *others])[1:-1]) == sorted(ORDER)


def test_the_same_number_in_another_run_is_another_event(run):
    other = Run()
    other.emit(Stream.PRIMARY, 7.0)
    merged = [pair for both in zip(run.documents, other.documents, strict=False) for pair in both]
    assert (Stream.PRIMARY, 7.0) in heard(merged) and (Stream.PRIMARY, 1.0) in heard(merged)


def test_pages_of_events_are_taken_apart_and_what_was_given_is_left_out(run):
    events = [doc for name, doc in run.documents if name == "event"]
    primary = [event for event in events if event["data"][KEY] > 0]
    page = ("event_page", pack_event_page(*primary))
    whole = [document for document in run.documents if document[0] != "event"]
    assert heard([*whole[:3], page, *run.documents[1:]]) == heard(
        [*whole[:3], *(("event", e) for e in primary), *run.documents[1:]]
    )
    assert [value for stream, value in heard([*whole[:3], page, page]) if stream == Stream.PRIMARY] == [1.0, 2.0, 3.0]


def test_a_spectrum_and_an_image_are_known_by_their_fields_in_a_plan_of_others():
    """bluesky's own plans call their one stream ``primary``, whatever it holds."""
    given = []

    class Kinds(StreamRouter):
        def give(self, stream, event):
            given.append(stream)

        def give_foreign(self, stream, event):
            given.append(f"foreign {stream}")

    for key in ("stm_sweep_lockin_x", "stm_scanner_topograph", "stm_current"):
        bundle = compose_run()
        one = bundle.compose_descriptor(name="primary", data_keys={key: KEYS[KEY]})
        event = one.compose_event(data={key: 1.0}, timestamps={key: 0.0})
        Kinds().read([("start", bundle.start_doc), ("descriptor", one.descriptor_doc), ("event", event)])
    assert given == [Stream.PRIMARY, Stream.TOPOGRAPH, "foreign primary"]


def test_a_router_that_listens_for_weeks_grows_by_no_event():
    """Also one that joined late, or to which some Events come in another order."""
    run = Run()
    run.declare(Stream.PRIMARY)
    router = StreamRouter().read(run.documents)
    event = run.streams[Stream.PRIMARY].compose_event(data={KEY: 1.0}, timestamps={KEY: 0.0})
    tracemalloc.start()
    for number in range(1000, 20_000, 2):
        for one in (number + 1, number, number):
            router("event", {**event, "seq_num": one})
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert router.counts == {Stream.PRIMARY: 19_000}
    assert grown < 50_000  # bytes
    assert heard_after(router, event, range(995, 1002)) == [995, 996, 997, 998, 999]


def heard_after(router, event, numbers):
    """Those of the numbers that the router gives."""
    given = []
    router.give = lambda stream, event: given.append(event["seq_num"])
    for number in numbers:
        router("event", {**event, "seq_num": number})
    return given


def test_streams_of_others_go_to_a_hook_of_their_own_and_are_counted():
    run = Run()
    run.emit("baseline", 5.0)
    run.declare(Stream.MAPS)
    listener = Listener().read(run.documents)
    assert listener.heard[1:] == [("foreign baseline", 5.0)]
    assert listener.counts == {"baseline": 1, Stream.MAPS: 0}


def test_an_event_that_no_descriptor_has_declared_goes_to_the_same_hook_without_a_name(run):
    orphan = next(document for document in run.documents if document[0] == "event")
    assert heard([orphan]) == [("foreign ", 1.0)]
    assert list(StreamRouter().events([orphan])) == []


def test_events_can_be_iterated_while_the_router_does_its_own_work(run):
    listener, found = Listener(), []
    for stream, event in listener.events(run.documents):
        assert listener.heard[-1] == (stream, event["data"][KEY])
        found.append(listener.heard[-1])
    assert found == ORDER and listener.run == run.uid
    assert listener.counts == {Stream.PRIMARY: 3, Stream.AGENT: 3}


def test_documents_are_not_changed(run):
    before = repr(run.documents)
    heard(run.documents + run.documents)
    assert repr(run.documents) == before


def test_the_page_on_documents_lists_the_streams_and_what_their_events_are():
    page = (Path(__file__).resolve().parents[2] / "docs" / "documents.md").read_text()
    assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE)) == EVENTS


ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for room in ("bluesky_stm", "devices", "plans") for path in (ROOT / room).rglob("*.py")]


def test_nobody_else_keeps_streams_by_descriptor_or_the_events_that_were_seen():
    """Whoever asks for the stream of a document, or for its number, stands on the router, or judges documents of others."""
    there = {ROOT / "bluesky_stm" / "documents" / "_router.py", ROOT / "bluesky_stm" / "storage" / "_checked.py"}
    own = [
        path.name
        for path in SOURCES
        if path not in there and re.search(r"(doc|event)\[\"seq_num\"\]|_streams\[doc", path.read_text())
    ]
    assert own == []
