"""What the room gives away, for `lazy_loader` and for type checkers; each name is loaded when it is used first."""

from ._external import IMAGE_DATASET, ExternalArrays
from ._fields import fault_of_fields, stream_of
from ._given import is_document, no_run
from ._machine import machine, version_of, versions
from ._metadata import TEXTS, fault_of_data, fault_of_given, fault_of_metadata
from ._packing import decode, encode, plain_type
from ._router import StreamRouter
from ._streams import EVENTS, IMPORT, SCHEMA_VERSION, SHAPED_SINCE, Document, Stream
from ._validation import QuickValidator, validate_quickly

__all__ = [
    "EVENTS",
    "IMAGE_DATASET",
    "IMPORT",
    "SCHEMA_VERSION",
    "SHAPED_SINCE",
    "TEXTS",
    "Document",
    "ExternalArrays",
    "QuickValidator",
    "Stream",
    "StreamRouter",
    "decode",
    "encode",
    "fault_of_data",
    "fault_of_fields",
    "fault_of_given",
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
