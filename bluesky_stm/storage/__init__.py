"""Where documents go: journal first, catalog second.

>>> catalog = open_catalog("~/stm")  # doctest: +SKIP
>>> RE.subscribe(catalog)  # doctest: +SKIP
>>> catalog[-1].spectra  # doctest: +SKIP
"""

from bluesky_stm.storage._catalog import Catalog, open_catalog
from bluesky_stm.storage._documents import documents, once
from bluesky_stm.storage._journal import Document, Journal, read_journal
from bluesky_stm.storage._run import JournalRun, Run

__all__ = ["Catalog", "Document", "Journal", "JournalRun", "Run", "documents", "once", "open_catalog", "read_journal"]
