"""Documents of a run rebuilt from the tables and arrays of Tiled, where the server does not export documents."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Document


def rebuilt(node: Any) -> Iterator[Document]:
    """Yield the documents of a run on a server that keeps tables and arrays only, which is the default of Tiled.

    The descriptors come first, then the Events of all streams in the order of their time. Events get new uids.
    """
    metadata = node.item["attributes"]["metadata"]
    yield "start", dict(metadata["start"])
    streams = [(stream, _descriptor(name, stream, metadata["start"])) for name, stream in node.items()]
    yield from (("descriptor", descriptor) for _, descriptor in streams)
    yield from heapq.merge(
        *(_events(stream, descriptor) for stream, descriptor in streams), key=lambda document: document[1]["time"]
    )
    if metadata.get("stop"):
        yield "stop", dict(metadata["stop"])


def _descriptor(name: str, stream: Any, start: Data) -> JSON:
    known = stream.item["attributes"]["metadata"]
    return {"object_keys": {}, **known, "name": name, "run_start": start["uid"]}


def _events(stream: Any, descriptor: Data) -> Iterator[Document]:
    table = stream.read()
    columns = {key: table[key].values for key in descriptor["data_keys"]}
    numbers = np.asarray(stream["seq_num"].read()).tolist()
    for row, (number, moment) in enumerate(zip(numbers, table["time"].values.tolist(), strict=True)):
        data = {key: _value(column[row]) for key, column in columns.items()}
        yield (
            "event",
            {
                "uid": f"{descriptor['uid']}-{row}",
                "descriptor": descriptor["uid"],
                "seq_num": number,
                "time": moment,
                "data": data,
                "timestamps": dict.fromkeys(data, moment),
                "filled": {},
            },
        )


def _value(value: Any) -> Any:
    """Return an array as it is, and a number as one of Python."""
    return value.item() if isinstance(value, np.generic) else value
