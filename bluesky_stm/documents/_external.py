"""Arrays that are stored in a file beside the documents, and their return into the Event that refers to them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from bluesky_stm.data import Data
from bluesky_stm.errors import FileFormatError

IMAGE_DATASET: Final = "/entry/data/data"
"""Path of the arrays in a file of the specs ``AD_HDF5`` and ``AD_HDF5_SWMR``."""

PATIENCE: Final = 20.0
"""Time, in s, within which an array is read from a file that somebody writes to; a usual one takes a second."""

_UNCLEAN: Final = slice(11, 12), 5
"""Place in an HDF5 file of the flags of its writer, and those that are set until he has closed it."""

_READ_ALONG: Final = """
import sys, h5py, numpy
with h5py.File(sys.argv[1], "r", swmr=True) as file:
    numpy.save(sys.stdout.buffer, file[sys.argv[2]][int(sys.argv[3])])
"""


class ExternalArrays:
    """The files of a run with large arrays; it loads the arrays to which an Event refers.

    Give it the documents ``resource`` and ``datum`` of the run before the Event that refers to them. Files are HDF5 with the
    arrays at `IMAGE_DATASET`, and may still be written to.
    """

    def __init__(self) -> None:
        self._resources: dict[str, Data] = {}
        self._datums: dict[str, Data] = {}

    def resource(self, doc: Data) -> None:
        """Note a file that is declared.

        Parameters
        ----------
        doc : mapping
            Document ``resource``: the file is ``resource_path`` below the folder ``root``.
        """
        self._resources[doc["uid"]] = doc

    def datum(self, doc: Data) -> None:
        """Note an array that is declared in a file.

        Parameters
        ----------
        doc : mapping
            Document ``datum``: the array is that with the number ``point_number`` in its ``resource``.
        """
        self._datums[doc["datum_id"]] = doc

    def data(self, event: Data) -> Data:
        """Return the data of an Event, with arrays from files in the place of the references to them.

        Raises
        ------
        FileFormatError
            When the file is not there, or no longer holds what was written.
        """
        missing = [key for key, filled in event.get("filled", {}).items() if filled is False]
        return {**event["data"], **{key: self._load(key, event["data"]) for key in missing}} if missing else event["data"]

    def _load(self, key: str, data: Data) -> np.ndarray:
        datum = self._datums[data[key]]
        resource = self._resources[datum["resource"]]
        path = Path(resource["root"]) / resource["resource_path"]
        try:
            array = _array(path, datum["datum_kwargs"]["point_number"])
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise FileFormatError(f"The array of {key!r} can't be read from {path}: {error}. Bring the file back.") from error
        digest = hashlib.sha256(np.ascontiguousarray(array, dtype="<f8").tobytes()).hexdigest()
        if digest != data.get(f"{key}_sha256", digest):
            raise FileFormatError(f"{path} no longer holds the array of {key!r}: its sha256 is {digest}. Bring the file back.")
        return array


def _array(path: Path, number: int) -> np.ndarray[Any, Any]:
    """Read one array of a file that may still be written to, or whose writer died.

    Reading along is for such a file alone, and for another process: of one that is cut or damaged the library then waits for
    ever that somebody completes it, and nothing can interrupt it.

    Raises
    ------
    OSError, KeyError, ValueError, RuntimeError
        When the file is damaged, or not there.
    """
    import h5py

    where, unclean = _UNCLEAN
    state = path.stat()
    try:
        with h5py.File(path, "r", locking=False) as file:
            return np.asarray(file[IMAGE_DATASET][number])
    except (OSError, KeyError, ValueError, RuntimeError):
        flags = path.read_bytes()[where]
        if (
            not (flags and flags[0] & unclean)
            and (now := path.stat()).st_mtime_ns == state.st_mtime_ns
            and now.st_size == state.st_size
        ):
            raise
    command = [sys.executable, "-c", _READ_ALONG, str(path), IMAGE_DATASET, str(int(number))]
    try:
        read = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    except subprocess.SubprocessError as error:
        raise OSError(f"it is damaged, and was not closed by who wrote it ({type(error).__name__})") from None
    return np.load(BytesIO(read.stdout), allow_pickle=False)
