"""databroker 1.x, as facilities still have it: intake catalogs over Mongo or files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._journal import Document
from bluesky_stm.storage._run import StoredRun


class BrokerStore:
    """Runs in a catalog of databroker 1.x.

    Parameters
    ----------
    client : intake catalog
        As ``databroker.catalog["NAME"]`` gives it.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def holds(self, uid: str) -> bool:
        """Whether the whole run is there.

        Raises
        ------
        CatalogError
            When only a part of it is: databroker 1.x cannot take it out again.
        """
        if uid not in self.client:
            return False
        if self.client[uid].metadata.get("stop") is None:
            raise CatalogError(f"databroker holds a part of run {uid}. Let its administrator remove that; the journal has all")
        return True

    def insert(self, stream: Iterable[Document]) -> None:
        """Write a finished run."""
        broker = self.client.v1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # there is no other way in
            for name, doc in stream:
                broker.insert(name, doc)

    def find(self, beginning: str) -> Sequence[StoredRun]:
        """Runs whose uid begins so; a word of figures alone is a scan number there, and no beginning."""
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
        """Nothing is held open."""


def _run(found: Any) -> StoredRun:
    return StoredRun(found, found.metadata["start"], found.metadata.get("stop"))
