"""Documents go to sinks by name: each at least once and in order, whatever the sink does; a run never waits for one."""

import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest
from event_model import compose_run

from bluesky_stm.parts import document_sinks
from bluesky_stm.storage import Catalog, DocumentSink, Feeder, as_json, read_journal, unpack_record
from bluesky_stm.storage import _feeder as feeder_module


class Listed(DocumentSink):
    """Keeps what it is sent, unless it is down."""

    name: str = "listed"
    got: ClassVar[list] = []
    down: ClassVar[bool] = False

    def open(self):
        if Listed.down:
            raise ConnectionRefusedError("nobody answers")
        return self

    def send(self, name, record, key):
        if Listed.down:
            raise ConnectionResetError("it has gone")
        Listed.got.append((name, record, key))

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _empty(monkeypatch):
    monkeypatch.setattr(Listed, "got", [])
    monkeypatch.setattr(Listed, "down", False)
    monkeypatch.setattr(feeder_module, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(feeder_module, "LONGEST_WAIT", 0.2)


def measure(*callbacks, events=30, size=120, between=None):
    """Emit a run with spectra; big-endian and sliced arrays among them."""
    run = compose_run(metadata={"plan_name": "explore"})
    keys = {"i": {"source": "t", "dtype": "array", "shape": [size]}, "n": {"source": "t", "dtype": "number", "shape": []}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for number in range(events):
        values = np.arange(2 * size, dtype=">f8")[::2] + number
        values[3] = np.nan
        data = {"i": values, "n": np.nan if number % 2 else 1.0}
        documents.append(("event", stream.compose_event(data=data, timestamps={"i": 0.0, "n": 0.0}, validate=False)))
    documents.append(("stop", run.compose_stop()))
    for number, (name, doc) in enumerate(documents):
        if between:
            between(number)
        for callback in callbacks:
            callback(name, doc)
    return documents


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(0.02)


def journalled(catalog):
    return [document for path in sorted((catalog.path / "journal").glob("*.msgpack")) for document in read_journal(path)]


def assert_same(got, catalog):
    """Each document of the journal came, in its order; some may have come twice."""
    once = list(dict.fromkeys((key, record) for _, record, key in got))
    came = [unpack_record(record) for _, record in once]
    np.testing.assert_equal(came, journalled(catalog))


def test_every_document_comes_in_order_as_the_journal_has_it(tmp_path):
    with Catalog(tmp_path) as catalog:
        feeder = Feeder(tmp_path, Listed())
        for _ in range(2):
            measure(catalog, feeder)
        feeder.close()
        assert [name for name, *_ in Listed.got] == 2 * ["start", "descriptor", *30 * ["event"], "stop"]
        assert_same(Listed.got, catalog)


def test_a_run_does_not_wait_for_a_sink_that_takes_no_document_until_the_run_is_over(tmp_path, monkeypatch):
    over, send = threading.Event(), Listed.send

    def late(self, *document):
        assert over.wait(60), "the run waits for its sink"
        send(self, *document)

    monkeypatch.setattr(Listed, "send", late)
    with Catalog(tmp_path) as catalog:
        feeder = Feeder(tmp_path, Listed())
        measure(catalog, feeder)
        assert not Listed.got
        over.set()
        feeder.close()
        assert_same(Listed.got, catalog)


def test_a_sink_that_fails_does_not_end_a_run_and_catches_up(tmp_path):
    with Catalog(tmp_path) as catalog:
        feeder = Feeder(tmp_path, Listed())

        def toggle(number):
            Listed.down = 5 <= number < 25

        measure(catalog, feeder, between=toggle)
        Listed.down = True
        measure(catalog, feeder)
        wait_for(lambda: feeder.fault)
        Listed.down = False
        wait_for(lambda: not feeder.fault)
        feeder.close()
        assert_same(Listed.got, catalog)


def test_the_next_session_sends_what_a_sink_that_was_down_has_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(feeder_module, "LAST_WAIT", 0.5)
    with Catalog(tmp_path) as catalog:
        measure(catalog)  # before the sink was there: not for it
        before = len(journalled(catalog))
        first = Feeder(tmp_path, Listed())
        measure(catalog, first)
        wait_for(lambda: len(Listed.got) == 33)
        Listed.down = True
        measure(catalog, first)
        first.close()
        Listed.down = False
        second = Feeder(tmp_path, Listed())
        second.close()
        came = [unpack_record(record) for _, record in dict.fromkeys((key, record) for _, record, key in Listed.got)]
        np.testing.assert_equal(came, journalled(catalog)[before:])


def test_json_has_null_for_what_is_no_number_and_no_byte_order(tmp_path):
    import json

    with Catalog(tmp_path) as catalog:
        feeder = Feeder(tmp_path, Listed(encoding="json"))
        measure(catalog, feeder, events=2)
        feeder.close()
    name, event = json.loads(Listed.got[3][1])
    assert name == "event" and event["data"]["n"] is None
    assert event["data"]["i"][:5] == [1.0, 3.0, 5.0, None, 9.0]
    assert json.loads(as_json(b"\x92\xa4stop\x81\xa1a\x01")) == ["stop", {"a": 1}]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(command, port):
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port))
        yield process
    finally:
        process.kill()
        process.wait()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def killed_and_restarted(tmp_path, sink, command, port):
    """Measure three runs; the server is killed in the second and comes back in the third."""
    with Catalog(tmp_path / "catalog") as catalog:
        with server(command, port) as process:
            feeder = Feeder(catalog.path, sink)
            measure(catalog, feeder)
            wait_for(lambda: feeder.sent >= 33 and not feeder.fault)

            def kill(number):
                if number == 10:
                    process.kill()
                    process.wait()

            measure(catalog, feeder, between=kill)
        wait_for(lambda: feeder.fault)
        measure(catalog, feeder)
        with server(command, port):
            wait_for(lambda: not feeder.fault and feeder.sent >= 99)
            feeder.close()
            yield catalog


def test_redis_loses_no_document_when_it_is_killed_and_started_again(tmp_path):
    redis = pytest.importorskip("redis", reason="pip install 'bluesky-stm[redis]'")
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    port = free_port()
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", tmp_path, "--appendonly", "yes"]
    sink = document_sinks.make(f"redis:redis://127.0.0.1:{port}/0")
    for catalog in killed_and_restarted(tmp_path, sink, [*command, "--appendfsync", "always"], port):
        client = redis.Redis(port=port)
        got = [(entry[b"name"], entry[b"doc"], entry[b"key"]) for _, entry in client.xrange("bluesky")]
        client.close()
        assert_same(got, catalog)


def test_nats_loses_no_document_when_it_is_killed_and_started_again(tmp_path):
    nats = pytest.importorskip("nats", reason="pip install 'bluesky-stm[nats]'")
    program = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if not program:
        pytest.skip("nats-server is not installed: apt-get install nats-server")
    port = free_port()
    (tmp_path / "nats.conf").write_text("max_payload: 8MB\n")
    command = [program, "-js", "-a", "127.0.0.1", "-p", port, "-sd", tmp_path / "js", "-c", tmp_path / "nats.conf"]
    for catalog in killed_and_restarted(tmp_path, document_sinks.make(f"nats:nats://127.0.0.1:{port}"), command, port):
        import asyncio

        async def all_of_it():
            client = await nats.connect(f"nats://127.0.0.1:{port}")
            stream = client.jetstream()
            count = (await stream.stream_info("bluesky")).state.messages
            taken = await stream.subscribe("bluesky.>", ordered_consumer=True)
            found = [await taken.next_msg(timeout=10) for _ in range(count)]
            await client.close()
            return [(one.subject, one.data, one.headers["Nats-Msg-Id"]) for one in found]

        assert_same(asyncio.run(all_of_it()), catalog)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kafka_confirms_each_document(tmp_path):
    """The broker is that of its own client's tests: it cannot be killed by itself."""
    kafka = pytest.importorskip("confluent_kafka", reason="pip install 'bluesky-stm[kafka]'")
    broker = kafka.Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1})
    (address,) = [f"{one.host}:{one.port}" for one in broker.list_topics(timeout=10).brokers.values()]
    sink = document_sinks.make({"name": "kafka", "servers": address})
    with Catalog(tmp_path) as catalog:
        feeder = Feeder(tmp_path, sink)
        measure(catalog, feeder)
        wait_for(lambda: feeder.sent >= 33)
        feeder.close()
        reader = kafka.Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})
        reader.subscribe(["bluesky"])
        got = []
        deadline = time.monotonic() + 60
        while len(got) < 33 and time.monotonic() < deadline:
            message = reader.poll(1.0)
            if message is not None and not message.error():
                told = dict(message.headers())
                got.append((told["name"], message.value(), told["key"]))
        reader.close()
        assert_same(got, catalog)


def test_a_client_that_is_not_installed_is_a_fault_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with Catalog(tmp_path) as catalog:
        feeder = Feeder(tmp_path, document_sinks.make("redis"))
        measure(catalog, feeder, events=1)
        wait_for(lambda: feeder.fault)
        assert "pip install 'bluesky-stm[redis]'" in feeder.fault
        monkeypatch.setattr(feeder_module, "LAST_WAIT", 0.2)
        feeder.close()
