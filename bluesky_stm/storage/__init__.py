"""Where documents go: journal first, catalog second.

>>> catalog = open_catalog("~/stm")  # doctest: +SKIP
>>> RE.subscribe(catalog)  # doctest: +SKIP
>>> catalog[-1].spectra  # doctest: +SKIP
"""

from bluesky_stm.storage._catalog import Catalog, open_catalog
from bluesky_stm.storage._documents import documents
from bluesky_stm.storage._journal import Journal, read_journal
from bluesky_stm.storage._run import JournalRun, Run

__all__ = ["Catalog", "Journal", "JournalRun", "Run", "documents", "open_catalog", "read_journal"]
