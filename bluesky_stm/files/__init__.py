"""Files of others: read into our measurements and units, row 0 at the lowest y; SI and their axes stop here."""

from bluesky_stm.files._3ds import Sweeps, read_3ds, read_sweeps
from bluesky_stm.files._dat import read_dat
from bluesky_stm.files._nsid import read_hf5
from bluesky_stm.files._read import Recording, read
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.files._sxm import Scan, read_scan, read_sxm

__all__ = [
    "RecordedRun",
    "Recording",
    "Scan",
    "Sweeps",
    "read",
    "read_3ds",
    "read_dat",
    "read_hf5",
    "read_scan",
    "read_sweeps",
    "read_sxm",
]
