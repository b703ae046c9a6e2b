"""Values that a plan decided on, on their way into a document."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

BOOLEAN, STRING, INTEGER = "boolean", "string", "integer"
"""What a field may be instead of a number with a unit."""

_NUMPY = {"number": "<f8", INTEGER: "<i8", BOOLEAN: "|b1"}


class PlanReadable:
    """Something that can be read into an Event as a device can: it says what the plan wrote into it last.

    Parameters
    ----------
    name : str
    fields : mapping
        Name of each value -> its unit, or `BOOLEAN`, `STRING`, `INTEGER`.
    """

    parent = None

    def __init__(self, name: str, fields: Mapping[str, str]) -> None:
        self.name = name
        self._fields = dict(fields)
        self._values: dict[str, Any] = {}
        self._written = 0.0

    def write(self, **values: Any) -> None:
        """Say these values from now on; each field needs one."""
        if values.keys() != self._fields.keys():
            raise KeyError(f"{self.name} needs {sorted(self._fields)}, not {sorted(values)}.")
        self._values, self._written = values, time.time()

    def describe(self) -> dict[str, Any]:
        """Unit and kind of each value."""
        return {f"{self.name}_{field}": _key(unit) for field, unit in self._fields.items()}

    def read(self) -> dict[str, Any]:
        """What was written last."""
        return {f"{self.name}_{k}": {"value": v, "timestamp": self._written} for k, v in self._values.items()}


def record(stream: str, readable: PlanReadable, *devices: Readable, **values: Any) -> MsgGenerator[None]:
    """One Event: ``values`` in ``readable``, and what ``devices`` measured last."""
    readable.write(**values)
    yield from bps.checkpoint()
    yield from bps.create(stream)
    for one in (*devices, readable):
        yield from bps.read(one)
    yield from bps.save()
    yield from bps.checkpoint()  # repeated after a pause, it would say what was written by then


def _key(unit: str) -> dict[str, Any]:
    kind = unit if unit in {BOOLEAN, STRING, INTEGER} else "number"
    key = {"source": "plan", "dtype": kind, "shape": [], "units": unit if kind == "number" else ""}
    return key | ({"dtype_numpy": _NUMPY[kind]} if kind in _NUMPY else {})
