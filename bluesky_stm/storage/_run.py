"""One stored run, and what a microscopist asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from bluesky_stm.errors import CatalogError
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.pictures import beside, table, topograph_picture
from bluesky_stm.protocols import Decision
from bluesky_stm.storage._documents import documents, inlined, once
from bluesky_stm.storage._journal import PART, SUFFIX, Document, first_document, stop_document
from bluesky_stm.teaching import decision_from, spectrum_from, topograph_from


class Runs(Protocol):
    """Where runs are found by their uid: a `Catalog`."""

    def __getitem__(self, key: str) -> Run:
        """The run whose uid begins so."""


class Run:
    """A stored run.

    Parameters
    ----------
    source : anything that `documents` takes
    catalog : Runs, optional
        Where the runs that it refers to (``resumes``, ``parent_run``) are found.
    """

    def __init__(self, source: Any, catalog: Runs | None = None) -> None:
        self.source = source
        self.catalog = catalog

    def documents(self) -> Iterator[Document]:
        """Its documents, in their order."""
        return documents(self.source)

    @cached_property
    def start(self) -> Mapping[str, Any]:
        """The start document."""
        for name, doc in self.documents():
            if name == "start":
                return doc
        raise CatalogError(f"{self.source} holds no start document: it is not a run.")

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """The stop document; None while the run is not finished."""
        return next((doc for name, doc in self.documents() if name == "stop"), None)

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.start["uid"])

    @property
    def complete(self) -> bool:
        """Whether the plan came to its own end: not aborted, not killed, not still going on."""
        return (self.stop or {}).get("exit_status") == "success"

    def events(self, stream: str) -> Iterator[Mapping[str, Any]]:
        """Events of one stream, in their order, with their arrays; one that was emitted again after a pause comes once."""
        ours: set[str] = set()
        for name, doc in inlined(once(self.documents())):
            if name == "descriptor" and doc["name"] == stream:
                ours.add(doc["uid"])
            elif name == "event" and doc["descriptor"] in ours:
                yield doc

    @property
    def topograph(self) -> Topograph:
        """The topograph from which the agent worked."""
        for topograph in self.topographs:
            return topograph
        raise CatalogError(f"{self!r} holds no topograph.")

    @property
    def topographs(self) -> Iterator[Topograph]:
        """All topographs, in the order they were taken."""
        return (topograph_from(event["data"]) for event in self.events("topograph"))

    @property
    def spectra(self) -> list[Spectrum]:
        """All its spectra, in the order they were taken."""
        return [spectrum_from(event["data"]) for event in self.events("primary")]

    @property
    def decisions(self) -> list[Decision]:
        """All decisions of the agent, in their order."""
        return [decision_from(event["data"]) for event in self.events("agent")]

    def __repr__(self) -> str:
        about = self._about()
        what = ", ".join(str(about[key]) for key in ("when", "plan", "sample", "length scale") if about[key])
        measured = f", {about['spectra']} spectra" if about["spectra"] is not None else ""
        return f"<Run {self.uid[:8]}: {what}{measured}, {about['ended']}>"

    def _repr_html_(self) -> str:
        """Return what the run is as a table, with its topograph beside it, as a notebook shows it."""
        about = table(f"Run {self.uid}", self._about())
        topograph = next(iter(self.topographs), None)
        return about if topograph is None else beside(about, topograph_picture(topograph.height, topograph.frame.size))

    def _about(self) -> dict[str, object]:
        """Return what start and stop document say of the run, None where they say nothing."""
        start, stop = self.start, self.stop or {}
        scale = start.get("length_scale")
        scale = scale if isinstance(scale, Mapping) else {}
        named = {key: start[key].get("name") for key in ("scalarizer", "agent") if isinstance(start.get(key), Mapping)}
        return {
            "when": datetime.fromtimestamp(start["time"]).strftime("%Y-%m-%d %H:%M"),
            "plan": start.get("plan_name"),
            "sample": start.get("sample"),
            "length scale": scale.get("name"),
            "frame": f"{scale['frame']:g} nm" if "frame" in scale else None,
            "scalarizer": named.get("scalarizer"),
            "agent": named.get("agent"),
            "spectra": stop.get("num_events", {}).get("primary"),
            "ended": stop.get("exit_status", "not finished"),
            "reason": stop.get("reason"),
        }


class JournalRun(Run):
    """A run in a journal: begin and end are read without what lies between."""

    def __init__(self, path: Path, catalog: Runs | None = None) -> None:
        super().__init__(path, catalog)
        self._path = path

    @property
    def path(self) -> Path:
        """Its file, which loses the ending ``.part`` when the run ends."""
        if self._path.suffix == PART and not self._path.exists():
            self._path = self._path.with_suffix("")
        return self._path

    def documents(self) -> Iterator[Document]:
        """Its documents, exactly as they were emitted; of a run that goes on, those so far.

        Where the whole catalog was moved, ``root`` of a resource is the folder of its images now.
        """
        for name, doc in documents(self.path):
            yield name, self._moved(doc) if name == "resource" else doc

    def _moved(self, resource: dict[str, Any]) -> dict[str, Any]:
        root, file = Path(resource["root"]), resource["resource_path"]
        beside = self.path.parent.with_name(root.name)
        moved = not (root / file).exists() and (beside / file).exists()
        return {**resource, "root": str(beside)} if moved else resource

    @cached_property
    def start(self) -> Mapping[str, Any]:
        """The start document."""
        start = first_document(self.path)
        if start is None:
            raise CatalogError(f"{self.path} does not begin with a start document: it is no journal, or damaged.")
        return start

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """The stop document; None while the run is not finished."""
        return None if self.path.suffix == PART else stop_document(self.path)

    @property
    def uid(self) -> str:
        """Its uid, which is in the name of the file."""
        return uid_of(self._path.name)


class StoredRun(Run):
    """A run that a facility keeps: begin and end are known at once, what lies between is fetched when it is asked for.

    Parameters
    ----------
    source : run of Tiled or databroker
    start : mapping
    stop : mapping or None
    """

    def __init__(self, source: Any, start: Mapping[str, Any], stop: Mapping[str, Any] | None) -> None:
        super().__init__(source)
        self.start = start
        self._stop = stop
        self._fetched: list[Document] = []

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """The stop document; None while the run is not finished."""
        return self._stop

    def documents(self) -> Iterator[Document]:
        """Its documents; of a finished run fetched once."""
        if self._fetched:
            return iter(self._fetched)
        fetched = list(documents(self.source))
        if self._stop is not None:
            self._fetched = fetched
        return iter(fetched)


def uid_of(name: str) -> str:
    """The uid in the name of a journal's file."""
    return name.removesuffix(PART).removesuffix(SUFFIX).partition("-")[2]
