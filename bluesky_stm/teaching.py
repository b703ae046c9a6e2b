"""Documents to lessons: the one way in which an agent learns, live or from a stored run.

The keys of the documents are those of ``docs/documents.md``; they are found by their endings, so that the name of a device
does not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from event_model import DocumentRouter

from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Agent, Decision, Health, Observation, Scalarizer
from bluesky_stm.scalarizers import make_scalarizer

Lesson = Topograph | Observation
Document = tuple[str, Mapping[str, Any]]


def topograph_from(data: Mapping[str, Any]) -> Topograph:
    """The image in the ``data`` of an Event of the stream ``topograph``."""
    field = _fields(data, "topograph")
    height = np.asarray(field["topograph"], dtype=float)
    return Topograph(
        Frame(
            Point(field["center_x"], field["center_y"]),
            (field["width"], field["height"]),
            (height.shape[0], height.shape[1]),
            field["angle"],
        ),
        height,
        Setpoint(field["setpoint_bias"], field["setpoint_current"]),
        field["time"],
        Quality(int(field["quality"])),
    )


def spectrum_from(data: Mapping[str, Any]) -> Spectrum:
    """The spectrum in the ``data`` of an Event of the stream ``primary``."""
    field = _fields(data, "lockin_x")
    channels = (np.asarray(field[name], dtype=float) for name in ("bias", "current", "lockin_x", "lockin_y", "didv"))
    return Spectrum(
        Point(float(field["x"]), float(field["y"])),
        *channels,
        Setpoint(field["setpoint_bias"], field["setpoint_current"]),
        field["time"],
        _number(field["z"]),
        Quality(int(field["quality"])),
    )


def decision_from(data: Mapping[str, Any]) -> Decision:
    """The decision in the ``data`` of an Event of the stream ``agent``."""
    field = _fields(data, "candidate")
    health = {f.name: field[f"health_{f.name}"] for f in fields(Health)}
    return Decision(
        Point(float(field["x"]), float(field["y"])),
        int(field["candidate"]),
        str(field["why"]),
        *(_number(field[name]) for name in ("mean", "std", "acquisition")),
        ingested=int(field["ingested"]),
        health=Health(**{k: v if k in {"model", "warning"} else _number(v) for k, v in health.items()}),
    )


class Teaching(DocumentRouter):
    """Turns the documents of a run into lessons, each Event once however often it comes by.

    Parameters
    ----------
    scalarizer : Scalarizer or None
        Gives each spectrum its value; None for the one named in the start document.
    """

    def __init__(self, scalarizer: Scalarizer | None = None) -> None:
        super().__init__()
        self._scalarizer = scalarizer
        self._streams: dict[str, str] = {}
        self._seen: set[tuple[str, int]] = set()
        self._lessons: deque[Lesson] = deque()

    def start(self, doc: Mapping[str, Any]) -> None:
        """A run begins: what is known of another one no longer matters."""
        self._scalarizer = self._scalarizer or make_scalarizer(doc["scalarizer"])
        self._streams.clear()

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """A stream of the run is declared."""
        self._streams[doc["uid"]] = doc["name"]

    def event(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """An image or a spectrum becomes a lesson."""
        stream = self._streams.get(doc["descriptor"])
        number = doc["descriptor"], doc["seq_num"]  # an Event that is repeated after a pause has the same, but another uid
        if stream in {"topograph", "primary"} and number not in self._seen:
            self._seen.add(number)
            self._lessons.append(topograph_from(doc["data"]) if stream == "topograph" else self._observation(doc["data"]))
        return doc

    def take(self) -> list[Lesson]:
        """Lessons since the last call, in the order of the documents. Safe beside a thread that feeds documents."""
        lessons = []
        while self._lessons:
            lessons.append(self._lessons.popleft())
        return lessons

    def _observation(self, data: Mapping[str, Any]) -> Observation:
        assert self._scalarizer is not None
        spectrum = spectrum_from(data)
        return Observation(spectrum.position, self._scalarizer(spectrum), spectrum)


def give(agent: Agent, lessons: Iterable[Lesson]) -> None:
    """Hand lessons to an agent, in their order."""
    for lesson in lessons:
        if isinstance(lesson, Topograph):
            agent.observe(lesson)
        else:
            agent.ingest([lesson])


def teach(agent: Agent, documents: Iterable[Document], scalarizer: Scalarizer | None = None) -> None:
    """Teach an agent a whole stored run."""
    teaching = Teaching(scalarizer)
    for name, doc in documents:
        teaching(name, doc)
        give(agent, teaching.take())


def _fields(data: Mapping[str, Any], telling: str) -> dict[str, Any]:
    """The values of one device, by the endings of their keys; the device is the one that has the key ``*_telling``."""
    prefixes = [key.removesuffix(telling) for key in data if key.endswith(f"_{telling}")]
    if len(prefixes) != 1:
        raise FileFormatError(
            f"An Event should have one key that ends in '_{telling}', not {len(prefixes)} of {sorted(data)}: it was not "
            "written by the plans of this package. Import foreign data first."
        )
    return {key.removeprefix(prefixes[0]): value for key, value in data.items() if key.startswith(prefixes[0])}


def _number(value: float | None) -> float:
    """A float; what JSON turned into null was NaN."""
    return float("nan") if value is None else float(value)
