"""Runs in the forms in which people have them: a stored run, its uid, its documents, or several of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, cast

from bluesky_stm.documents import Document, is_document, no_run
from bluesky_stm.views._record import RunRecord, record_all


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
    """
    return record_all([_documents(run, catalog) for run in _several(runs)])


def _several(runs: Given) -> list[One]:
    if isinstance(runs, str | RunRecord) or hasattr(runs, "documents"):
        return [cast(One, runs)]
    if isinstance(runs, Mapping) or not isinstance(runs, Iterable):
        raise no_run(runs)
    listed = list(runs)
    return [cast(One, listed)] if listed and is_document(listed[0]) else cast(list[One], listed)


def _documents(run: One, catalog: FindsRuns | None) -> Iterable[Document] | RunRecord:
    if isinstance(run, str):
        if catalog is None:
            raise no_run(run)
        run = catalog[run]
    if isinstance(run, RunRecord):
        return run
    if hasattr(run, "documents"):
        return run.documents()
    listed = list(run) if isinstance(run, Iterable) else []
    if not listed or not all(is_document(one) for one in listed):
        raise no_run(run)
    return listed
