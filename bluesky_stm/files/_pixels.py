"""The numbers of a grid, read block by block into our units.

Channels stay in single precision, in which the file has them, so that a grid takes no more memory than its file; a spectrum of
it is in double precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._labels import without_infinities
from bluesky_stm.geometry import Floats

BLOCK: Final = 1 << 18
"""Numbers that are read at once; they stay in the cache until they are converted."""

SPARE: Final = 4 << 20
"""Numbers that a grid may have beyond those of its file: an aborted grid keeps its frame where that costs no more."""


class Cropped(NamedTuple):
    """How much of a grid there is.

    Attributes
    ----------
    rows, columns : int
        Shape that is kept.
    measured : int
        Whole pixels in the file.
    floats : int
        Numbers of a pixel.
    words : str
        What is missing; empty for a whole grid.
    """

    rows: int
    columns: int
    measured: int
    floats: int
    words: str


class Pixels(NamedTuple):
    """What was recorded, in our units; NaN where not measured.

    Attributes
    ----------
    parameters : list of ndarray of shape (rows, columns)
    channels : list of ndarray of shape (rows, columns, n)
    """

    parameters: list[Floats]
    channels: list[Floats]


def cropped(path: Path, begin: int, shape: tuple[int, int], floats: int) -> Cropped:
    """Return how much of a grid a file holds.

    Parameters
    ----------
    path : Path
        The file.
    begin : int
        Position of its first number.
    shape : (int, int)
        Rows and columns that its header gives.
    floats : int
        Numbers of a pixel.

    Raises
    ------
    FileFormatError
        When there is more than the header gives, or so little that the frame would not fit into memory.
    """
    rows, columns = shape
    total, size = rows * columns, path.stat().st_size - begin
    measured, rest = divmod(size, 4 * floats)
    if measured > total or (measured == total and rest):
        raise FileFormatError(
            f"{path.name} is damaged: its header gives {total} pixels ({4 * floats} bytes each), and it holds {size} bytes. "
            "Copy it again."
        )
    words = ""
    if measured < total:
        into = f"ends {rest} bytes into pixel {measured + 1} of {total} ({4 * floats} bytes each)" if rest else "was aborted"
        words = f"the file {into}: {measured} of {total} pixels are kept"
    if (total - measured) * floats > SPARE:
        rows = -(-measured // columns)
        words += f", in {rows} of {shape[0]} rows"
        if not measured or (rows * columns - measured) * floats > SPARE:
            raise FileFormatError(
                f"{path.name} is damaged: its header gives {shape[1]} x {shape[0]} pixels, and it holds {measured}. "
                "Copy it again."
            )
    return Cropped(rows, columns, measured, floats, words)


def read_pixels(path: Path, begin: int, kept: Cropped, points: int, *factors: list[float]) -> Pixels:
    """Read the numbers of a grid; a pixel of zeros was not measured.

    Parameters
    ----------
    path : Path
        The file.
    begin : int
        Position of its first number.
    kept : Cropped
        How much of it there is.
    points : int
        Numbers of a channel in a pixel.
    *factors : list of float
        What turns the parameters of a pixel, and its channels, into our units.

    Returns
    -------
    Pixels
    """
    of_parameters, of_channels = factors
    total, count = kept.rows * kept.columns, len(of_parameters)
    parameters = [np.empty(total) for _ in of_parameters]
    channels = [np.empty((total, points), dtype=np.float32) for _ in of_channels]
    zeros = np.zeros(kept.measured, dtype=bool)
    at_once = max(1, BLOCK // kept.floats)
    with path.open("rb") as file:
        file.seek(begin)
        for start in range(0, kept.measured, at_once):
            here = slice(start, min(start + at_once, kept.measured))
            block = np.fromfile(file, ">f4", (here.stop - start) * kept.floats).reshape(-1, kept.floats)
            bits = block.view(np.uint32)  # of a zero all are 0, in either byte order
            empty = (bits[:, 0] | bits[:, min(1, count)] | bits[:, count]) == 0
            if empty.any():
                zeros[here] = empty & ~bits.any(axis=1)
            for k, factor in enumerate(of_parameters):
                np.multiply(block[:, k], factor, out=parameters[k][here])
            for k, factor in enumerate(of_channels):
                first = count + k * points
                np.multiply(block[:, first : first + points], np.float32(factor), out=channels[k][here])
    everything: list[Floats] = [*parameters, *channels]
    for values in map(without_infinities, everything):
        values[kept.measured :] = np.nan
        if zeros.any():
            values[: kept.measured][zeros] = np.nan
    shape = kept.rows, kept.columns
    return Pixels(
        [values.reshape(shape) for values in parameters],
        [values.reshape(*shape, points) for values in channels],
    )
