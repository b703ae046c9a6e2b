"""Values that a plan decided on, on their way into a document."""

from __future__ import annotations

import time
from collections.abc import Mapping

import bluesky.plan_stubs as bps
from bluesky.protocols import Readable, Reading
from bluesky.utils import MsgGenerator
from event_model import DataKey

from bluesky_stm.parts import JSON

BOOLEAN, STRING, INTEGER = "boolean", "string", "integer"
"""Kinds of a field that is not a number with a unit."""

_NUMPY = {"number": "<f8", INTEGER: "<i8", BOOLEAN: "|b1"}


class PlanReadable:
    """Carries values of a plan into an Event: it can be read like a device, and returns what the plan wrote into it last.

    Parameters
    ----------
    name : str
        Name of the stream, with which the keys of the Event begin, too.
    fields : mapping of str to str
        Unit of each value, or `BOOLEAN`, `STRING`, `INTEGER`.
    stream : str
        Name of the stream, where it is not that with which the keys begin.
    """

    parent = None

    def __init__(self, name: str, fields: Mapping[str, str], stream: str = "") -> None:
        self.name, self.stream = name, stream or name
        self._fields = dict(fields)
        self._values: Mapping[str, object] = {}
        self._written = 0.0

    def write(self, **values: object) -> None:
        """Hold these values from now on.

        Raises
        ------
        KeyError
            When a field is missing, or is not one of those declared.
        """
        if values.keys() != self._fields.keys():
            raise KeyError(f"{self.name} needs {sorted(self._fields)}, not {sorted(values)}.")
        self._values, self._written = values, time.time()

    def describe(self) -> dict[str, DataKey]:
        """Describe the unit and the kind of each value."""
        return {f"{self.name}_{field}": _key(unit) for field, unit in self._fields.items()}

    def read(self) -> dict[str, Reading]:
        """Return the values that were written last."""
        return {f"{self.name}_{k}": {"value": v, "timestamp": self._written} for k, v in self._values.items()}


def record(readable: PlanReadable, *devices: Readable, **values: object) -> MsgGenerator[None]:
    """Emit one Event with values of the plan.

    Parameters
    ----------
    readable : PlanReadable
        Takes the values, and names the stream.
    *devices : Readable
        Devices whose last measurement goes into the same Event; they are not triggered.
    **values
        Value of each field of ``readable``.
    """
    readable.write(**values)
    yield from bps.checkpoint()
    yield from bps.create(readable.stream)
    for one in (*devices, readable):
        yield from bps.read(one)
    yield from bps.save()
    yield from bps.checkpoint()  # repeated after a pause, it would say what was written by then


def _key(unit: str) -> DataKey:
    kind = unit if unit in {BOOLEAN, STRING, INTEGER} else "number"
    key: JSON = {"source": "plan", "dtype": kind, "shape": [], "units": unit if kind == "number" else ""}
    return key | ({"dtype_numpy": _NUMPY[kind]} if kind in _NUMPY else {})  # type: ignore[return-value]
