"""Documents of another process: a 0MQ stream as a queue, and a run so far as text that travels in JSON."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import msgpack

from bluesky_stm.documents import Document, decode, encode
from bluesky_stm.errors import SettingsError
from bluesky_stm.validated import Data

SUBSCRIBING = 1.0
"""Time, in s, that a subscription may take to reach the publisher: documents sent before that are lost."""


class DocumentStream:
    """The documents that a 0MQ proxy gives out, from now on, in a queue, as msgpack: plain data, never an object.

    Parameters
    ----------
    address : str
        Out-address of the proxy, ``"tcp://127.0.0.1:5578"``.
    """

    def __init__(self, address: str) -> None:
        from bluesky.callbacks.zmq import RemoteDispatcher

        host, _, port = address.removeprefix("tcp://").rpartition(":")
        if not host or not port.isdigit():
            raise SettingsError(
                f"A stream has an address like tcp://127.0.0.1:5578, not {address!r}. Nothing has been started."
            )
        self._waiting: SimpleQueue[Document] = SimpleQueue()
        self._dispatcher: Any = RemoteDispatcher((host, int(port)), deserializer=unpacked_one)
        self._dispatcher.subscribe(lambda name, doc: self._waiting.put((name, doc)))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait_until_subscribed(self) -> None:
        """Wait until no document is missed any more."""
        time.sleep(SUBSCRIBING)

    def get(self, block: bool = True, timeout: float | None = None) -> Document:
        """Return the next document.

        Parameters
        ----------
        block : bool
            True to wait for one.
        timeout : float, optional
            Longest time to wait, in s; by default there is no end to it.

        Raises
        ------
        queue.Empty
            When none came in time.
        """
        return self._waiting.get(block, timeout)

    def close(self) -> None:
        """Listen no more."""
        if self._thread.is_alive():
            self._dispatcher.loop.call_soon_threadsafe(self._dispatcher._task.cancel)  # noqa: SLF001 - stop() closes a loop that runs
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _listen(self) -> None:
        from asyncio import CancelledError
        from contextlib import suppress

        with suppress(CancelledError):
            self._dispatcher.start()


def packed_one(doc: Data) -> bytes:
    """Return a document as msgpack, for 0MQ."""
    return bytes(msgpack.packb(dict(doc), default=encode))


def unpacked_one(record: bytes) -> Data:
    """Return the document that `packed_one` has made into bytes."""
    doc: Data = msgpack.unpackb(record, object_hook=decode, raw=False, strict_map_key=False)
    return doc


def packed(documents: Iterable[Document]) -> str:
    """Return documents as text, to the last bit: msgpack in base64.

    Parameters
    ----------
    documents : iterable of (str, mapping)
        Name and content of each; arrays of numpy may be among the values.
    """
    listed = [[name, dict(doc)] for name, doc in documents]
    return base64.b64encode(msgpack.packb(listed, default=encode)).decode()


def unpacked(text: str) -> list[Document]:
    """Return the documents that `packed` made into text.

    Parameters
    ----------
    text : str
        msgpack in base64.

    Returns
    -------
    list of (str, mapping)
        Name and content of each, in their order.
    """
    listed = msgpack.unpackb(base64.b64decode(text), object_hook=decode, strict_map_key=False)
    return [(name, doc) for name, doc in listed]
