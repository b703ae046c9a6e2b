"""One stored run, and what a microscopist asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from bluesky_stm.data import Data
from bluesky_stm.documents import Document, Stream, stream_of
from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._chain import CHAIN, ORIGIN, image_file
from bluesky_stm.storage._journal import PART, SUFFIX, first_document, stop_document

if TYPE_CHECKING:
    from bluesky_stm.measurements import Spectrum, Topograph
    from bluesky_stm.protocols import Decision


class Runs(Protocol):
    """Something in which runs are found by their uid, such as a `Catalog`.

    A run that resumes another one, or explores a part of its frame, names it by its uid alone.
    """

    def __getitem__(self, key: str) -> Run:
        """Return the run whose uid begins like this.

        Parameters
        ----------
        key : str
            First characters of the uid, or all of them.
        """


class Run:
    """A stored run.

    Parameters
    ----------
    source : anything that `documents` takes
        Origin of the documents.
    catalog : Runs, optional
        Catalog in which the runs are found that it refers to (``resumes``, ``parent_run``).
    """

    def __init__(self, source: Any, catalog: Runs | None = None) -> None:
        self.source = source
        self.catalog = catalog

    def documents(self) -> Iterator[Document]:
        """Yield its documents, in their order.

        Yields
        ------
        name : str
            Kind of the document: ``start``, ``descriptor``, ``event`` or ``event_page``, ``resource``, ``datum``, ``stop``.
        doc : mapping
            Its content.
        """
        from bluesky_stm.storage._documents import documents

        return documents(self.source)

    @cached_property
    def start(self) -> Data:
        """Return the start document.

        Raises
        ------
        CatalogError
            When there is none among the documents.
        """
        for name, doc in self.documents():
            if name == "start":
                return doc
        raise CatalogError(f"{self.source} holds no start document: it is not a run.")

    @property
    def stop(self) -> Data | None:
        """Return the stop document; None while the run is not finished."""
        return next((doc for name, doc in self.documents() if name == "stop"), None)

    @property
    def uid(self) -> str:
        """Return its uid."""
        return str(self.start["uid"])

    @property
    def complete(self) -> bool:
        """Return True when the plan came to its own end.

        A run that was aborted or killed is not complete, nor is one that still goes on.
        """
        return (self.stop or {}).get("exit_status") == "success"

    @property
    def faults(self) -> tuple[str, ...]:
        """Return what is not as it was closed (`verify`); empty where nothing was altered, or its bytes are not at hand."""
        from bluesky_stm.storage._verify import proof_of

        proof = proof_of(self)
        return proof.faults if proof else ()

    def events(self, stream: str) -> Iterator[Data]:
        """Yield the Events of one stream, in their order, with their arrays.

        An Event that was emitted again after a pause comes once.
        """
        return (event for found, event in self._events() if found == stream)

    def _events(self) -> Iterator[tuple[str, Data]]:
        from bluesky_stm.documents import StreamRouter

        router = StreamRouter()
        for stream, event in router.events(self.documents()):
            yield stream, {**event, "data": router.data(event), "filled": {}}

    def _measured(self, kind: str) -> Iterator[Data]:
        """Yield the Events that are images, or spectra, in whatever stream they stand."""
        return (event for stream, event in self._events() if stream_of(stream, event["data"]) == kind)

    @property
    def topograph(self) -> Topograph:
        """Return the topograph from which the agent worked, which is the first one.

        Raises
        ------
        CatalogError
            When there is none.
        """
        for topograph in self.topographs:
            return topograph
        raise CatalogError(f"{self!r} holds no topograph.")

    @property
    def topographs(self) -> Iterator[Topograph]:
        """Yield all topographs, in the order in which they were taken.

        Heights are in nm, row 0 at the lowest y. Documents are read anew at each call, one image at a time.
        """
        return (topograph for topograph, _ in self.timed_topographs())

    @property
    def spectra(self) -> list[Spectrum]:
        """Return all spectra, in the order in which they were taken.

        Places are in nm, as recorded: drift that was measured later is not taken out. Documents are read anew at
        each call.
        """
        return [spectrum for spectrum, _ in self.timed_spectra()]

    def timed_topographs(self) -> Iterator[tuple[Topograph, float]]:
        """Yield all topographs, each with the time of its Event, in seconds since 1970."""
        from bluesky_stm.teaching import topograph_from

        return ((topograph_from(event["data"]), event["time"]) for event in self._measured(Stream.TOPOGRAPH))

    def timed_spectra(self) -> Iterator[tuple[Spectrum, float]]:
        """Yield all spectra, each with the time of its Event, in seconds since 1970."""
        from bluesky_stm.teaching import spectrum_from

        return ((spectrum_from(event["data"]), event["time"]) for event in self._measured(Stream.PRIMARY))

    @property
    def decisions(self) -> list[Decision]:
        """Return all decisions of the agent, in their order.

        The first chose the place of the first spectrum. Documents are read anew at each call.
        """
        from bluesky_stm.teaching import decision_from

        return [decision_from(event["data"]) for event in self.events(Stream.AGENT)]

    def __repr__(self) -> str:
        about = self._about()
        what = ", ".join(str(about[key]) for key in ("when", "plan", "sample", "length scale") if about[key])
        measured = f", {about['spectra']} spectra" if about["spectra"] is not None else ""
        return f"<Run {self.uid[:8]}: {what}{measured}, {about['ended']}>"

    def _repr_html_(self) -> str:
        """Return what the run is as a table, with its topograph beside it, as a notebook shows it."""
        from bluesky_stm.pictures import beside, table, topograph_picture

        about = table(f"Run {self.uid}", self._about())
        topograph = next(iter(self.topographs), None)
        return about if topograph is None else beside(about, topograph_picture(topograph.height, topograph.frame.size))

    def _about(self) -> dict[str, object]:
        """Return what start and stop document say of the run, None where they say nothing."""
        start, stop = self.start, self.stop or {}
        scale = start.get("length_scale")
        scale = scale if isinstance(scale, Mapping) else {}
        counted = stop.get("num_events")
        named = {key: start[key].get("name") for key in ("scalarizer", "agent") if isinstance(start.get(key), Mapping)}
        return {
            "when": _when(start["time"]),
            "plan": start.get("plan_name"),
            "sample": start.get("sample"),
            "length scale": scale.get("name"),
            "frame": f"{scale['frame']:g} nm" if "frame" in scale else None,
            "scalarizer": named.get("scalarizer"),
            "agent": named.get("agent"),
            "spectra": counted.get(Stream.PRIMARY) if isinstance(counted, Mapping) else None,
            "ended": stop.get("exit_status", "not finished"),
            "reason": stop.get("reason"),
        }


def _when(moment: object) -> str | None:
    """Return a time since 1970 as date and time of day; None for what is none, as in a run that was altered."""
    try:
        return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return None


class JournalRun(Run):
    """A run in a journal: start and stop document are read without the documents between them.

    Parameters
    ----------
    path : Path
        File of the journal.
    catalog : Runs, optional
        Catalog in which the runs are found that it refers to.
    """

    def __init__(self, path: Path, catalog: Runs | None = None) -> None:
        super().__init__(path, catalog)
        self._path = path

    @property
    def path(self) -> Path:
        """Return its file, whose name loses the suffix ``.part`` when the run ends."""
        if self._path.suffix == PART and not self._path.exists():
            self._path = self._path.with_suffix("")
        return self._path

    @property
    def origin(self) -> Data | None:
        """Return where the run was imported from, as its chain says; None for one that was measured into this catalog."""
        chain = (self.stop or {}).get(CHAIN)
        found = chain.get(ORIGIN) if isinstance(chain, Mapping) else None
        return found if found is None or isinstance(found, Mapping) else {}

    def documents(self) -> Iterator[Document]:
        """Yield its documents, exactly as they were emitted; those so far while the run goes on.

        The stop document holds the chain of digests besides (``chain``; see `verify`).

        Where the whole catalog was moved, ``root`` of a resource is the folder in which its images are now.
        """
        from bluesky_stm.storage._documents import documents

        for name, doc in documents(self.path):
            yield name, self._moved(doc) if name == "resource" else doc

    def _moved(self, resource: Data) -> Data:
        found = image_file(self.path, resource["root"], resource["resource_path"]).parent
        return resource if found == Path(resource["root"]) else {**resource, "root": str(found)}

    @cached_property
    @override
    def start(self) -> Data:
        with self._there():
            start = first_document(self.path)
        if start is None:
            raise CatalogError(f"{self.path} does not begin with a start document: it is no journal, or damaged.")
        return start

    @property
    @override
    def stop(self) -> Data | None:
        with self._there():
            return None if self.path.suffix == PART else stop_document(self.path)

    @contextmanager
    def _there(self) -> Iterator[None]:
        """Say in words that its file has gone since its folder was listed."""
        try:
            yield
        except FileNotFoundError:
            raise CatalogError(
                f"{self._path} is there no more: somebody has removed or renamed it. Nothing has been changed. Bring it back, "
                "or list the runs again."
            ) from None

    @property
    def uid(self) -> str:
        """Return its uid, which is in the name of the file."""
        return uid_of(self._path.name)


class StoredRun(Run):
    """A run that a facility keeps. Start and stop document are at hand; what lies between is fetched when it is asked for.

    Parameters
    ----------
    source : run of Tiled or databroker
        Origin of the documents.
    start : mapping
        The start document.
    stop : mapping or None
        The stop document; None while the run is not finished.
    """

    def __init__(self, source: Any, start: Data, stop: Data | None) -> None:
        super().__init__(source)
        self.start = start
        self._stop = stop
        self._fetched: list[Document] = []

    @property
    @override
    def stop(self) -> Data | None:
        return self._stop

    def documents(self) -> Iterator[Document]:
        """Yield its documents; those of a finished run are fetched once.

        Those of a run that goes on are fetched at each call, as there may be more.
        """
        if self._fetched:
            return iter(self._fetched)
        from bluesky_stm.storage._documents import documents

        fetched = list(documents(self.source))
        if self._stop is not None:
            self._fetched = fetched
        return iter(fetched)


def uid_of(name: str) -> str:
    """Return the uid in the name of a journal's file.

    Parameters
    ----------
    name : str
        Name of the file without its folder: the time, a hyphen, the uid, and one or two suffixes.
    """
    return name.removesuffix(PART).removesuffix(SUFFIX).partition("-")[2]
