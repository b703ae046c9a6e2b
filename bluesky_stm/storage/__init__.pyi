"""What the room gives away, for `lazy_loader` and for type checkers; each name is loaded when it is used first."""

from ._catalog import Catalog, open_catalog
from ._connect import connect, is_elsewhere, write_status
from ._crate import write_crate
from ._documents import documents
from ._export import export
from ._feeder import Feeder, feeding
from ._following import Follower
from ._format import StoredDocuments
from ._growing import Growing
from ._import import Imported, import_files, import_run, read_documents
from ._index import Index
from ._journal import Journal, read_journal
from ._lookup import Branch, campaign_tree, listed, runs
from ._provenance import provenance
from ._run import JournalRun, Run, Runs
from ._sinks import DocumentSink, KafkaSink, NATSSink, RedisSink, Sending, as_json, unpack_record
from ._verify import Verified, making_sense, proof_of, verify
from ._xarray import load_run

__all__ = [
    "Branch",
    "Catalog",
    "DocumentSink",
    "Feeder",
    "Follower",
    "Growing",
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
    "making_sense",
    "open_catalog",
    "proof_of",
    "provenance",
    "read_documents",
    "read_journal",
    "runs",
    "unpack_record",
    "verify",
    "write_crate",
    "write_status",
]
