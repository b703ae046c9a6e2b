"""Runs in the forms in which people have them: a stored run, its uid, its documents, or several of these."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

from bluesky_stm.documents import Document, is_document, no_run
from bluesky_stm.errors import CatalogError, STMError
from bluesky_stm.views._record import RunRecord, record_all

log = logging.getLogger(__name__)


class HoldsDocuments(Protocol):
    """A stored run: of this package, of Tiled, of databroker."""

    def documents(self) -> Iterator[Document]:
        """Return its documents, in their order."""


class FindsRuns(Protocol):
    """A catalog, which finds a run by its uid."""

    def __getitem__(self, uid: str) -> HoldsDocuments:
        """Return the run whose uid begins so.

        Parameters
        ----------
        uid : str
            First characters of the uid, or all of them.
        """


One = str | HoldsDocuments | RunRecord | Iterable[Document]
"""One run: its uid, the run itself, what is on record of it, or its documents."""

Given = One | Iterable[One]
"""One run, or several, parents first."""


def records_of(runs: Given, catalog: FindsRuns | None = None) -> list[RunRecord]:
    """Return a record for each run that was given.

    Raises
    ------
    SettingsError
        When a uid is given without the catalog that knows it, or something that is no run.
    CatalogError
        When a run was altered so that its documents make no sense.
    """
    found = [_found(run, catalog) for run in _several(runs)]
    faults = [tuple(getattr(one, "faults", ())) for one in found]  # only a run whose bytes are at hand knows of any
    for one, said in zip(found, faults, strict=True):
        if said:
            log.warning("%r has been altered since it was closed: %s. It is shown as it is now.", one, "; ".join(said))
    return [_record(one, said) for one, said in zip(found, faults, strict=True)]


def _several(runs: Given) -> list[One]:
    if isinstance(runs, str | RunRecord) or hasattr(runs, "documents"):
        return [cast(One, runs)]
    if isinstance(runs, Mapping) or not isinstance(runs, Iterable):
        raise no_run(runs)
    listed = list(runs)
    return [cast(One, listed)] if listed and is_document(listed[0]) else cast(list[One], listed)


def _found(run: One, catalog: FindsRuns | None) -> One:
    if not isinstance(run, str):
        return run
    if catalog is None:
        raise no_run(run)
    return catalog[run]


def _record(run: One, faults: tuple[str, ...]) -> RunRecord:
    try:
        (record,) = record_all([_documents(run)])
    except STMError:
        raise
    except Exception as error:
        if not faults:  # not the documents are at fault
            raise
        raise CatalogError(
            f"{run!r} cannot be shown: its documents make no sense ({type(error).__name__}: {error}), and it has been altered "
            f"since it was closed: {'; '.join(faults)}. Nothing has been written. Bring its file back from a copy."
        ) from error
    record.faults = faults or record.faults
    return record


def _documents(run: One) -> Iterable[Document] | RunRecord:
    if isinstance(run, RunRecord):
        return run
    if hasattr(run, "documents"):
        return run.documents()
    listed: list[Any] = list(run) if isinstance(run, Iterable) else []
    if not listed or not all(is_document(one) for one in listed):
        raise no_run(run)
    return listed
