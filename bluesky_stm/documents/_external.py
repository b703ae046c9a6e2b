"""Arrays that are stored in a file beside the documents, and their return into the Event that refers to them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.validated import Data

IMAGE_DATASET: Final = "/entry/data/data"
"""Path of the arrays in a file of the specs ``AD_HDF5`` and ``AD_HDF5_SWMR``."""


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
        import h5py

        datum = self._datums[data[key]]
        resource = self._resources[datum["resource"]]
        path = Path(resource["root"]) / resource["resource_path"]
        try:
            with h5py.File(path, "r", swmr=True) as file:
                array = np.asarray(file[IMAGE_DATASET][datum["datum_kwargs"]["point_number"]])
        except (OSError, KeyError, ValueError) as error:
            raise FileFormatError(f"The array of {key!r} can't be read from {path}: {error}. Bring the file back.") from error
        digest = hashlib.sha256(np.ascontiguousarray(array, dtype="<f8").tobytes()).hexdigest()
        if digest != data.get(f"{key}_sha256", digest):
            raise FileFormatError(f"{path} no longer holds the array of {key!r}: its sha256 is {digest}. Bring the file back.")
        return array
