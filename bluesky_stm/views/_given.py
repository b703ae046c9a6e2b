"""Runs in the forms in which people have them: a stored run, its uid, its documents, or several of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, cast

from bluesky_stm.documents import Document
from bluesky_stm.errors import SettingsError
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
        When a uid is given without the catalog that knows it.
    """
    return record_all([_documents(run, catalog) for run in _several(runs)])


def _several(runs: Given) -> list[One]:
    if isinstance(runs, str | RunRecord) or hasattr(runs, "documents"):
        return [cast(One, runs)]
    listed = list(runs)
    return [cast(One, listed)] if listed and _is_document(listed[0]) else cast(list[One], listed)


def _is_document(given: object) -> bool:
    return isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[0], str) and isinstance(given[1], Mapping)


def _documents(run: One, catalog: FindsRuns | None) -> Iterable[Document] | RunRecord:
    if isinstance(run, str):
        if catalog is None:
            raise SettingsError(f"{run!r} is a uid, and only a catalog knows the run that it names. Give catalog= with it.")
        run = catalog[run]
    return run.documents() if not isinstance(run, RunRecord) and hasattr(run, "documents") else run
