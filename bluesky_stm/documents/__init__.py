"""The documents of a run: the names of its streams, and the router on which everything stands that reads documents."""

from bluesky_stm.documents._external import IMAGE_DATASET, ExternalArrays
from bluesky_stm.documents._fields import fault_of_fields, fault_of_metadata, stream_of
from bluesky_stm.documents._given import is_document, no_run
from bluesky_stm.documents._machine import machine, version_of, versions
from bluesky_stm.documents._packing import decode, encode, plain_type
from bluesky_stm.documents._router import Document, StreamRouter
from bluesky_stm.documents._streams import EVENTS, SCHEMA_VERSION, Stream
from bluesky_stm.documents._validation import QuickValidator, validate_quickly

__all__ = [
    "EVENTS",
    "IMAGE_DATASET",
    "SCHEMA_VERSION",
    "Document",
    "ExternalArrays",
    "QuickValidator",
    "Stream",
    "StreamRouter",
    "decode",
    "encode",
    "fault_of_fields",
    "fault_of_metadata",
    "is_document",
    "machine",
    "no_run",
    "plain_type",
    "stream_of",
    "validate_quickly",
    "version_of",
    "versions",
]
