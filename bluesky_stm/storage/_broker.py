"""Catalogs of databroker 1.x, as facilities still have them: intake catalogs over MongoDB or files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._run import StoredRun


class BrokerStore:
    """Runs in a catalog of databroker 1.x.

    Parameters
    ----------
    client : intake catalog
        Catalog, as ``databroker.catalog["NAME"]`` returns it.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def holds(self, uid: str) -> bool:
        """Return True when the whole run is there.

        Raises
        ------
        CatalogError
            When only a part of it is there, because databroker 1.x cannot remove it.
        """
        if uid not in self.client:
            return False
        if self.client[uid].metadata.get("stop") is None:
            raise CatalogError(f"databroker holds a part of run {uid}. Let its administrator remove that; the journal has all")
        return True

    def insert(self, stream: Iterable[Document]) -> None:
        """Write a finished run, document by document.

        Parameters
        ----------
        stream : iterable of (str, mapping)
            Name and content of each of its documents, the stop document last.
        """
        broker = self.client.v1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # there is no other way in
            for name, doc in stream:
                broker.insert(name, doc)

    def find(self, beginning: str) -> Sequence[StoredRun]:
        """Return the runs whose uid begins like this: none or one.

        databroker takes a beginning of digits alone for a scan number; the run that it finds then is left out.

        Raises
        ------
        CatalogError
            When more than one run begins like this.
        """
        try:
            found = _run(self.client[beginning])
        except KeyError:
            return []
        except ValueError as error:
            raise CatalogError(f"{error}. Give more of it.") from None
        return [found] if found.uid.startswith(beginning) else []

    def __reversed__(self) -> Iterator[StoredRun]:
        return (_run(self.client[-number]) for number in range(1, len(self.client) + 1))

    def __len__(self) -> int:
        return len(self.client)

    def close(self) -> None:
        """Do nothing, because nothing is held open."""


def _run(found: Any) -> StoredRun:
    return StoredRun(found, found.metadata["start"], found.metadata.get("stop"))
