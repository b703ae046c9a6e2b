"""Where documents go beside the journal: sinks that are chosen by name, each fed from the journal in a thread of its own.

A sink gets a record as the journal has it, msgpack with arrays of numpy and no pickle (`unpack_record` reads it), or JSON, in
which what is no number is null. It has to say when a record has arrived, by returning, or raise: a record counts as sent only
then.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, ClassVar, Literal, Protocol

import msgpack

from bluesky_stm.documents import Document, decode
from bluesky_stm.errors import CatalogError
from bluesky_stm.parts import Part, setting

ANSWER = 5.0
"""Longest time, in s, that a server may take to confirm a record."""


class Sending(Protocol):
    """An open way to a sink."""

    def send(self, name: str, record: bytes, key: str) -> None:
        """Send a record, and return when it has arrived.

        Parameters
        ----------
        name : str
            Kind of the document.
        record : bytes
            The record.
        key : str
            Text that no other record has, by which a sink can leave out what it has already.
        """

    def close(self) -> None:
        """End it."""


class DocumentSink(Part):
    """A place where documents go, chosen by name; `open` makes the way there."""

    kind: ClassVar[str] = "document sink"

    encoding: Literal["msgpack", "json"] = setting(
        "msgpack", "", "Encoding of a document; json has null for what is no number."
    )

    @abstractmethod
    def open(self) -> Sending:
        """Connect.

        Raises
        ------
        Exception
            When that fails; it is tried again later.
        """


class RedisSink(DocumentSink):
    """A stream of a Redis server: each entry has a ``name`` and the record as ``doc``."""

    leading: ClassVar[str] = "url"

    name: str = "redis"
    url: str = setting("redis://127.0.0.1:6379/0", "", "Address of the server.")
    stream: str = setting("bluesky", "", "Key of the stream.")
    keep: int = setting(100_000, "", "Entries that are kept.", ge=1)

    def open(self) -> Sending:
        """Connect to the server."""
        try:
            import redis
        except ImportError:
            raise _missing("redis", "redis") from None
        return _Redis(redis.Redis.from_url(self.url, socket_timeout=ANSWER, socket_connect_timeout=ANSWER), self)


class _Redis:
    def __init__(self, client: Any, sink: RedisSink) -> None:
        self._client, self._sink = client, sink
        client.ping()

    def send(self, name: str, record: bytes, key: str) -> None:
        entry = {"name": name, "doc": record, "key": key}
        self._client.xadd(self._sink.stream, entry, maxlen=self._sink.keep, approximate=True)

    def close(self) -> None:
        self._client.close()


class NATSSink(DocumentSink):
    """A stream of a NATS server with JetStream; the subject is ``STREAM.KIND``, such as ``bluesky.event``."""

    leading: ClassVar[str] = "url"

    name: str = "nats"
    url: str = setting("nats://127.0.0.1:4222", "", "Address of the server.")
    stream: str = setting("bluesky", "", "Name of the stream, made where there is none, and the beginning of its subjects.")

    def open(self) -> Sending:
        """Connect to the server, and make the stream if it is not there."""
        try:
            import nats
        except ImportError:
            raise _missing("nats", "nats-py") from None
        return _NATS(nats, self)


class _NATS:
    def __init__(self, nats: Any, sink: NATSSink) -> None:
        self._loop, self._sink = asyncio.new_event_loop(), sink
        try:
            # It is the feeder that tries again: the client would do so in silence.
            self._client = self._do(nats.connect(sink.url, allow_reconnect=False, connect_timeout=ANSWER, error_cb=_quiet))
            self._stream = self._client.jetstream(timeout=ANSWER)
            self._do(self._stream.add_stream(name=sink.stream, subjects=[f"{sink.stream}.>"]))
        except BaseException:
            self._loop.close()
            raise

    def send(self, name: str, record: bytes, key: str) -> None:
        self._do(self._stream.publish(f"{self._sink.stream}.{name}", record, timeout=ANSWER, headers={"Nats-Msg-Id": key}))

    def close(self) -> None:
        try:
            self._do(self._client.close())
        finally:
            self._loop.close()

    def _do(self, what: Any) -> Any:
        return self._loop.run_until_complete(what)


async def _quiet(error: Exception) -> None:
    """What goes wrong is raised where it is awaited."""


class KafkaSink(DocumentSink):
    """A topic of a Kafka broker; the name of each document is the header ``name``."""

    leading: ClassVar[str] = "servers"

    name: str = "kafka"
    servers: str = setting("127.0.0.1:9092", "", "Addresses of the brokers, with commas between.")
    topic: str = setting("bluesky", "", "The topic.")
    largest: int = setting(8_000_000, "bytes", "Size of the largest document; the broker has to take it, too.", ge=1000)

    def open(self) -> Sending:
        """Connect to a broker."""
        try:
            import confluent_kafka
        except ImportError:
            raise _missing("kafka", "confluent-kafka") from None
        settings = {
            "bootstrap.servers": self.servers,
            "message.max.bytes": self.largest,
            "message.timeout.ms": int(1e3 * ANSWER),
        }
        producer = confluent_kafka.Producer({**settings, "linger.ms": 0, "log_level": 0})
        producer.list_topics(timeout=ANSWER)  # no broker is no error to a producer
        return _Kafka(producer, self.topic)


class _Kafka:
    def __init__(self, producer: Any, topic: str) -> None:
        self._producer, self._topic = producer, topic

    def send(self, name: str, record: bytes, key: str) -> None:
        faults: list[Any] = []
        self._producer.produce(
            self._topic,
            record,
            key=key.rpartition(":")[0],  # all of a run into one partition: only there is the order kept
            headers={"name": name, "key": key},
            on_delivery=lambda error, _: faults.append(error),
        )
        left = self._producer.flush(2 * ANSWER)
        if left or not faults or faults[0] is not None:
            raise CatalogError(f"The topic {self._topic} did not confirm a document: {faults or 'no answer'}.")

    def close(self) -> None:
        self._producer.flush(ANSWER)


def unpack_record(record: bytes) -> Document:
    """Return name and content of a document from a record, as a sink with the encoding msgpack was sent it.

    Parameters
    ----------
    record : bytes
        The record.

    Raises
    ------
    FileFormatError
        When it holds Python objects, which are never unpickled.
    """
    name, doc = msgpack.unpackb(record, object_hook=decode, raw=False, strict_map_key=False)
    return name, doc


def as_json(record: bytes) -> bytes:
    """Return a record as JSON, ``[name, document]``; null stands for what is no number.

    Parameters
    ----------
    record : bytes
        As the journal has it.
    """
    import orjson

    name, doc = unpack_record(record)
    return orjson.dumps([name, _native(doc)], option=orjson.OPT_SERIALIZE_NUMPY)


def _native(value: Any) -> Any:
    """Return arrays in the byte order and layout that orjson takes; complex and text arrays as lists."""
    import numpy as np

    if isinstance(value, dict):
        return {str(key): _native(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_native(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.ndim == 0 or value.dtype.kind not in "fiub":
            return _native(value.tolist())
        return np.ascontiguousarray(value, value.dtype.newbyteorder("="))
    return [value.real, value.imag] if isinstance(value, complex) else value


def _missing(extra: str, package: str) -> CatalogError:
    return CatalogError(f"{package} is not installed: pip install 'bluesky-stm[{extra}]'.")
