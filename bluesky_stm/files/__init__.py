"""Files of others: read into our measurements and units, row 0 at the lowest y; SI and their axes stop here."""

from bluesky_stm.files._3ds import Sweeps, read_3ds, read_sweeps, write_3ds, write_recorded
from bluesky_stm.files._attached import attach, attached
from bluesky_stm.files._dat import read_dat, write_dat
from bluesky_stm.files._documents import documents, stated
from bluesky_stm.files._format import FileContents, FileFormat, Writable
from bluesky_stm.files._formats import NSID, NanonisGrid, NanonisImage, NanonisSpectrum, NeXus
from bluesky_stm.files._inspect import inspect_file
from bluesky_stm.files._nexus import read_nexus, write_nexus
from bluesky_stm.files._nsid import read_hf5, write_hf5
from bluesky_stm.files._provenance import about_of
from bluesky_stm.files._read import fingerprint, format_for, is_known, read, read_together, write
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.files._seal import SEAL, SEALED_AT_END, is_sealed, seal, unsealed
from bluesky_stm.files._sxm import Scan, read_scan, read_sxm, write_sxm
from bluesky_stm.files._together import together

__all__ = [
    "NSID",
    "SEAL",
    "SEALED_AT_END",
    "FileContents",
    "FileFormat",
    "NanonisGrid",
    "NanonisImage",
    "NanonisSpectrum",
    "NeXus",
    "RecordedRun",
    "Scan",
    "Sweeps",
    "Writable",
    "about_of",
    "attach",
    "attached",
    "documents",
    "fingerprint",
    "format_for",
    "inspect_file",
    "is_known",
    "is_sealed",
    "read",
    "read_3ds",
    "read_dat",
    "read_hf5",
    "read_nexus",
    "read_scan",
    "read_sweeps",
    "read_sxm",
    "read_together",
    "seal",
    "stated",
    "together",
    "unsealed",
    "write",
    "write_3ds",
    "write_dat",
    "write_hf5",
    "write_nexus",
    "write_recorded",
    "write_sxm",
]
