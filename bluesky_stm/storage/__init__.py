"""Storage of documents: the journal keeps them all, the catalog finds them again.

>>> catalog = open_catalog("~/stm")  # doctest: +SKIP
>>> RE.subscribe(catalog)  # doctest: +SKIP
>>> catalog[-1].spectra  # doctest: +SKIP
"""

from bluesky_stm.storage._catalog import Catalog, open_catalog
from bluesky_stm.storage._connect import connect, is_elsewhere
from bluesky_stm.storage._crate import write_crate
from bluesky_stm.storage._documents import documents
from bluesky_stm.storage._export import export
from bluesky_stm.storage._feeder import Feeder, feeding
from bluesky_stm.storage._format import StoredDocuments
from bluesky_stm.storage._import import Imported, import_files, import_run
from bluesky_stm.storage._index import Index
from bluesky_stm.storage._journal import Journal, read_journal
from bluesky_stm.storage._lookup import Branch, campaign_tree, listed, runs
from bluesky_stm.storage._run import JournalRun, Run, Runs
from bluesky_stm.storage._sinks import DocumentSink, KafkaSink, NATSSink, RedisSink, Sending, as_json, unpack_record
from bluesky_stm.storage._verify import Verified, verify
from bluesky_stm.storage._xarray import load_run

__all__ = [
    "Branch",
    "Catalog",
    "DocumentSink",
    "Feeder",
    "Imported",
    "Index",
    "Journal",
    "JournalRun",
    "KafkaSink",
    "NATSSink",
    "RedisSink",
    "Run",
    "Runs",
    "Sending",
    "StoredDocuments",
    "Verified",
    "as_json",
    "campaign_tree",
    "connect",
    "documents",
    "export",
    "feeding",
    "import_files",
    "import_run",
    "is_elsewhere",
    "listed",
    "load_run",
    "open_catalog",
    "read_journal",
    "runs",
    "unpack_record",
    "verify",
    "write_crate",
]
