"""Createc, ``.dat``: the topograph, by createc.

createc 0.0.3 gives converter values; heights are those times ``Dacto[A]z``, in angstrom. Its ``imgs`` drop each row of zeros,
also one in the middle of an image, and its ``offset`` ends with an error of numpy: the whole arrays and the header are used
instead. Rows that were not scanned are zero throughout at the end of the scan, and become NaN. The offset is that of the
middle of the first line.

Spectra (``.VERT``) are refused: the file does not say by what converter values become a current.
"""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._format import FileFormat
from bluesky_stm.files.makers._reading import ANGSTROM, beginning, damage_of, image, reader
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import About, Setpoint, Topograph

_MARKS: Final = (b"[Paramco32]", b"[Paramet32]", b"[ParVERT")


class Createc(FileFormat):
    """Images of Createc, ``.dat``: the topograph of the way forth."""

    name: str = "createc"

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(_MARKS)

    @override
    def read(self, path: Path) -> Topograph:
        if beginning(path, 8) == _MARKS[2]:
            raise FileFormatError(
                f"{path.name} is a spectrum of Createc in values of its converters, and does not say how these become a "
                "current. Nothing was read. Export it as text with its units."
            )
        createc = reader("createc", "Createc")
        with damage_of(path):
            held = createc.DAT_IMG(str(path))
            header: dict[str, str] = held.meta
            heights = np.array(held.img_array_list[0], dtype=float)
            scale = float(header["dacto[a]z"]) * ANGSTROM
            width, height = float(header["length x[a]"]) * ANGSTROM, float(header["length y[a]"]) * ANGSTROM
            dac = float(header.get("dacto[a]xy", 0.0)) * ANGSTROM
            x, y = (-float(header[f"scanrotoff{axis}"]) * dac for axis in "xy")
            angle = float(header.get("rotation", 0.0))
            bias = float(header.get("biasvolt.[mv]", header.get("biasvoltage", "nan"))) / 1000
            current = float(header.get("current[a]", "nan")) * 1e9
        turn = np.radians(angle)
        # from the middle of the first line to the middle of the image
        center = x + height / 2 * np.sin(turn), y - height / 2 * np.cos(turn)
        return image(
            path.name,
            _scanned(heights)[::-1] * scale,
            "m",
            center,
            (width, height),
            angle=angle,
            setpoint=Setpoint(bias, abs(current)),
            about=About(comment=header.get("memo:0", "").strip(), channels=(f"{held.channels} channels",)),
        )


def _scanned(heights: Floats) -> Floats:
    """Return heights with NaN in the rows of zeros at the end, which were not scanned."""
    rows = np.flatnonzero((heights != 0).any(axis=1))
    last = rows[-1] + 1 if len(rows) else 0
    return np.vstack([heights[:last], np.full((len(heights) - last, heights.shape[1]), nan)])
