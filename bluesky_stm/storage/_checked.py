"""Documents from elsewhere, judged before any of them is kept: their schema, uids, times, order, shapes, types and counts."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import event_model
import numpy as np

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import SHAPED_SINCE, TEXTS, Document, Stream, fault_of_data
from bluesky_stm.errors import FileFormatError, STMError
from bluesky_stm.geometry import Frame

UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Form of a uid: it becomes the name of a file, and stands in tables and messages."""
EARLIEST: Final = 315_532_800.0
"""The beginning of 1980, in s since 1970: what says it was measured before that has a clock that was never set."""
TOLERANCE: Final = 86_400.0
"""How far in the future, in s, a time may lie: clocks of two hosts differ, and the wrong time zone makes hours."""
SET_BACK: Final = 60.0
"""How far, in s, a clock may have gone back during a run, which is when it was set right."""
MAPPINGS: Final = ("plan_args", "controller", "versions", "packages", "length_scale", "agent", "scalarizer", "frame", "limits")
NAMED: Final = ("length_scale", "agent", "scalarizer", "controller")
"""Entries that are mappings with a name."""

_NUMERIC = "biuf"


class Checked:
    """Passes the documents of one run on, and raises at the first that cannot be kept.

    Raises
    ------
    FileFormatError
        With the number and the kind of the document.
    """

    def __init__(self) -> None:
        self.start: Data = {}
        self._uids: set[str] = set()
        self._keys: dict[str, tuple[str, Mapping[str, Data]]] = {}
        self._counts: dict[str, int] = {}
        self._stopped = False

    def documents(self, stream: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents of ``stream`` that are in order."""
        number = 0
        for number, (name, doc) in enumerate(stream, 1):
            try:
                self._take(number, name, doc)
            except STMError as error:
                raise FileFormatError(f"Document {number} ({name!r:.20}): {error}") from None
            except Exception as error:
                raise FileFormatError(f"Document {number} ({name!r:.20}) makes no sense: {_first_line(error)}") from error
            yield name, doc
        if not number:
            raise FileFormatError("There are no documents.")

    def _take(self, number: int, name: str, doc: Data) -> None:
        if name not in ("start", "descriptor", "event", "stop"):
            raise FileFormatError(
                "an export holds all of a run in itself, and this refers to files beside it. Export the run from its catalog."
                if name in ("resource", "datum", "stream_resource", "stream_datum")
                else "there is no such kind of document."
            )
        if self._stopped or (name == "start") != (number == 1):
            raise FileFormatError("this is not one run: a start document first, then the others, and one stop document last.")
        if fault := fault_of_data(doc):
            raise FileFormatError(fault)
        event_model.schema_validators[event_model.DocumentNames[name]].validate(_without_values(name, doc))
        _check_time(doc["time"])
        self._check_uid(doc["uid"])
        if name in ("descriptor", "stop") and doc["run_start"] != self.start["uid"]:
            raise FileFormatError("it belongs to another run.")
        {"start": self._begin, "descriptor": self._declare, "event": self._event, "stop": self._end}[name](doc)

    def _check_uid(self, uid: str) -> None:
        if not UID.fullmatch(uid):
            raise FileFormatError(f"{uid!r:.60} cannot be a uid: letters, digits, '.', '_' and '-' make one.")
        if uid in self._uids:
            raise FileFormatError(f"the uid {uid} stands there twice.")
        self._uids.add(uid)

    def _begin(self, start: Data) -> None:
        self.start = start
        for name in TEXTS:
            if not isinstance(text := start.get(name, ""), str) or not text.isprintable():
                raise FileFormatError(f"{name} should be text in one line, not {text!r:.60}.")
        for name in MAPPINGS:
            if not isinstance(start.get(name, {}), Mapping):
                raise FileFormatError(f"{name} should be a mapping, not {start[name]!r:.60}.")
        for name in NAMED:
            if not isinstance(start.get(name, {}).get("name", ""), str):
                raise FileFormatError(f"the name of {name} should be text, not {start[name]['name']!r:.60}.")
        for name in ("resumes", "parent_run"):
            if start.get(name) and not UID.fullmatch(start[name]):
                raise FileFormatError(f"{name} should be a uid, not {start[name]!r:.60}.")
        if not isinstance(start.get("sample", ""), str | Mapping):
            raise FileFormatError(f"sample should be text, not {start['sample']!r:.60}.")
        if "frame" in start:
            Frame.from_dict(start["frame"])
        scale = start.get("length_scale", {})
        if not (_is_number(size := scale.get("frame", 1.0)) and 0 < size < math.inf):
            raise FileFormatError(f"the frame of its length scale should be a size in nm, not {size!r:.60}.")

    def _declare(self, descriptor: Data) -> None:
        self._keys[descriptor["uid"]] = descriptor["name"], descriptor["data_keys"]
        self._counts.setdefault(descriptor["name"], 0)
        for about in descriptor.get("configuration", {}).values():
            self._check_values(about.get("data", {}), about.get("data_keys", {}))

    def _event(self, event: Data) -> None:
        if event["descriptor"] not in self._keys:
            raise FileFormatError("no descriptor declares it.")
        stream, keys = self._keys[event["descriptor"]]
        if set(event["data"]) != set(keys) or set(event["timestamps"]) != set(keys):
            raise FileFormatError(f"it does not hold what its descriptor declares for {stream!r:.40}.")
        if any(filled is not True for filled in event.get("filled", {}).values()):
            raise FileFormatError("it refers to a file beside it. Export the run from its catalog, which takes those files in.")
        number = event["seq_num"]
        if not 1 <= number <= self._counts[stream] + 1:
            raise FileFormatError(f"it is number {number} of {stream!r:.40}, after number {self._counts[stream]}.")
        self._counts[stream] = max(number, self._counts[stream])
        if stream == Stream.DRIFT and not self._shaped:  # held quick and finer images, and was declared by the first of them
            keys = {key: _of_any_size(about) for key, about in keys.items()}
        self._check_values(event["data"], keys)

    def _check_values(self, data: Data, keys: Mapping[str, Data]) -> None:
        """Compare each value to its declaration: the kind, the shape, and the type of an array.

        Devices of others often declare a number and give the word of an enumeration; ours do not.
        """
        for key, value in data.items():
            declared = keys.get(key)
            if declared is None:
                raise FileFormatError(f"nothing declares {key!r:.40}.")
            scalar = declared["dtype"] != "array" and not isinstance(value, np.ndarray | list | tuple | Mapping)
            if not _fits(value, declared) and ("schema_version" in self.start or not scalar):
                said = f"the {declared['dtype']} of shape {declared.get('shape')}"
                raise FileFormatError(f"{key!r:.40} is not {said} that its descriptor declares.")

    @property
    def _shaped(self) -> bool:
        """Whether the contract of the run promises that its images of drift have the shape that is declared."""
        version = self.start.get("schema_version", SHAPED_SINCE)
        return not isinstance(version, int) or version >= SHAPED_SINCE

    def _end(self, stop: Data) -> None:
        self._stopped = True
        if stop["time"] < self.start["time"] - SET_BACK:
            early = self.start["time"] - stop["time"]
            raise FileFormatError(
                f"it ended {early:.0f} s before it began; a clock that is set right may go back by {SET_BACK:g} s."
            )
        counted, said = {name: count for name, count in self._counts.items() if count}, stop.get("num_events")
        if said is not None and {name: count for name, count in said.items() if count} != counted:
            raise FileFormatError(f"it counts {dict(said)} Events, and there are {counted}.")


def _without_values(name: str, doc: Data) -> JSON:
    """Return a document without the values that the schema says nothing about: to look through arrays takes long."""
    if name == "event":
        return {**doc, "data": dict.fromkeys(doc["data"], 0), "timestamps": dict.fromkeys(doc["timestamps"], 0)}
    if name == "descriptor":
        empty = {device: {**about, "data": {}} for device, about in doc.get("configuration", {}).items()}
        return {**doc, "configuration": empty}
    return dict(doc)


def _check_time(moment: Any) -> None:
    if not (_is_number(moment) and EARLIEST <= moment <= time.time() + TOLERANCE):
        raise FileFormatError(f"its time, {moment!r:.40} s since 1970, is not between 1980 and now.")


def _of_any_size(declared: Data) -> Data:
    """Return the declaration of an image without its numbers of pixels."""
    return {**declared, "shape": [None, None]} if len(declared.get("shape") or []) == 2 else declared


def _fits(value: Any, declared: Data) -> bool:
    shape, kind = list(declared.get("shape") or []), declared["dtype"]
    if kind == "array":
        array = value if isinstance(value, np.ndarray) else np.array(value)
        same = len(shape) == array.ndim and all(size in (have, None, -1) for size, have in zip(shape, array.shape, strict=True))
        wanted = declared.get("dtype_numpy")
        kinds = np.dtype(wanted).kind if isinstance(wanted, str) else array.dtype.kind
        return same and (array.dtype.kind in _NUMERIC if kinds in _NUMERIC else array.dtype.kind == kinds)
    if isinstance(value, np.ndarray):
        return False
    value = value.item() if isinstance(value, np.generic) else value
    match kind:
        case "number":
            return value is None or _is_number(value) or isinstance(value, bool | complex)
        case "integer":
            return isinstance(value, int) or value is None or (isinstance(value, float) and value.is_integer())
        case "boolean":
            return isinstance(value, bool) or value in (0, 1, None)
        case _:
            return isinstance(value, str) or value is None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]:.160}." if text else f"{type(error).__name__}."
