"""Large images are stored in HDF5 files beside the documents, in a layout that databroker and Tiled read with no set-up."""

from __future__ import annotations

import hashlib
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from bluesky_stm.documents import IMAGE_DATASET
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import JSON

INLINE: Final = 4 * 2**20
"""Size of an image, in bytes, up to which it stands in the document itself."""


class ImageStore:
    """Writes the large images of a run, one file for each channel and shape.

    A file is complete after each image, so that a killed run keeps what it has.

    Parameters
    ----------
    folder : path, optional
        Folder of the files, made with the first one. Without it every image stays inline.
    inline : int
        Size in bytes up to which an image stays inline; 0 writes every image to a file.
    """

    def __init__(self, folder: str | Path | None = None, inline: int = INLINE) -> None:
        if inline < 0:
            raise SettingsError(f"inline = {inline} bytes makes no sense: give 0 to write every image to a file.")
        self.folder = None if folder is None else Path(folder)
        self.inline = inline
        self._files: dict[tuple[str, tuple[int, ...]], _ImageFile] = {}
        self._documents: deque[tuple[str, JSON]] = deque()

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Return True when an image goes to a file.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns; 8 bytes are counted for a pixel.
        """
        return self.folder is not None and 8 * int(np.prod(shape)) > self.inline

    def write(self, image: Floats, channel: str = "topograph") -> str:
        """Write an image of a channel and return the id by which its Event refers to it.

        The documents ``resource`` (for a new file) and ``datum`` wait in `documents` until they are taken.
        """
        assert self.folder is not None
        kind = channel, image.shape
        if kind not in self._files:
            self._files[kind] = _ImageFile(self.folder, image.shape)
            self._documents.append(("resource", self._files[kind].resource))
        datum = self._files[kind].append(image)
        self._documents.append(("datum", datum))
        return datum["datum_id"]

    def documents(self) -> Iterator[tuple[str, JSON]]:
        """Yield the documents of what was written, ``(name, document)``, each once."""
        while self._documents:
            yield self._documents.popleft()

    def close(self) -> None:
        """Forget the files of the run that has ended; the next run gets files of its own."""
        self._files.clear()


class _ImageFile:
    """One file with images of one shape, (n, rows, columns).

    It is open only while an image is written, so that anybody may read it. The spec is ``AD_HDF5``: the handler of
    ``AD_HDF5_SWMR`` that facilities have (area-detector-handlers 0.0.10) fails when databroker 1.2 reads an image for the
    second time, which it does for each. The file itself is written as the spec ``AD_HDF5_SWMR`` asks for.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._shape, self._count = folder / f"{uuid.uuid4()}.h5", shape, 0
        self.resource: JSON = {
            "uid": str(uuid.uuid4()),
            "spec": "AD_HDF5",
            "root": str(folder.resolve()),
            "resource_path": self._path.name,
            "resource_kwargs": {"frame_per_point": 1},  # all that the handlers of others take
            "path_semantics": "posix",
        }

    def append(self, image: Floats) -> JSON:
        """Write an image and return its datum document."""
        import h5py

        number, self._count = self._count, self._count + 1
        with h5py.File(self._path, "a", libver="latest", locking=False) as file:  # those who read it now don't hinder
            images = file.require_dataset(
                IMAGE_DATASET, (number, *self._shape), "<f8", maxshape=(None, *self._shape), chunks=(1, *self._shape)
            )
            file.swmr_mode = True
            images.resize(number + 1, axis=0)
            images[number] = image
        uid = self.resource["uid"]
        return {"datum_id": f"{uid}/{number}", "resource": uid, "datum_kwargs": {"point_number": number}}


def sha256(image: Floats) -> str:
    """Return the SHA-256 digest of an image in hexadecimal.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        Its values are taken as little-endian doubles, row by row, so that the digest is the same on every machine.
    """
    return hashlib.sha256(np.ascontiguousarray(image, dtype="<f8").tobytes()).hexdigest()
