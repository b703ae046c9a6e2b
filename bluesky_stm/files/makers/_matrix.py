"""Scienta Omicron Matrix, ``.Z_mtrx``: the image of the way forth and up, by access2thematrix.

The parameters stand in a file of their own, ``..._0001.mtrx``, which has to lie beside the image under the name that the
instrument gave it. access2thematrix gives row 0 as the lowest y, and the centre of what was scanned of a scan that ended early.
"""

from __future__ import annotations

import warnings
from math import nan
from pathlib import Path
from typing import Final

from typing_extensions import override

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._format import FileFormat
from bluesky_stm.files.makers._reading import beginning, damage_of, image, reader
from bluesky_stm.measurements import About, Setpoint, Topograph

_VOLTAGE: Final = "EEPA::GapVoltageControl.Voltage"
_CURRENT: Final = "EEPA::Regulator.Setpoint_1"


class OmicronMatrix(FileFormat):
    """Images of Scienta Omicron Matrix, ``.Z_mtrx``, with the file of parameters beside them."""

    name: str = "matrix"

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(b"ONTMATRX0101")

    @override
    def read(self, path: Path) -> Topograph:
        if beginning(path, 16).endswith(b"ATEM"):
            raise FileFormatError(f"{path.name} holds parameters of a session of Matrix: choose one of its .Z_mtrx files.")
        matrix = reader("access2thematrix", "Scienta Omicron Matrix").MtrxData()
        with damage_of(path), warnings.catch_warnings():
            # a transfer function of 0 divides by 0
            warnings.simplefilter("ignore", RuntimeWarning)
            traces, said = matrix.open(str(path))
        if not traces:
            parameters = f"{path.name.rsplit('--', 1)[0]}_0001.mtrx"
            beside = "" if path.with_name(parameters).exists() else f" {parameters} has to lie beside it."
            raise FileFormatError(f"{path.name} cannot be read: {said}{beside}")
        with damage_of(path):
            found, said = matrix.select_image(traces[0])
        if not hasattr(found, "data") or not found.data.size:
            raise FileFormatError(f"{path.name} holds no image: {said} Spectra of Matrix are not read.")
        label, unit = found.channel_name_and_unit
        bias, current = (matrix.param.get(key, [nan])[0] for key in (_VOLTAGE, _CURRENT))
        return image(
            path.name,
            found.data,
            unit,
            (found.x_offset, found.y_offset),
            (found.width, found.height),
            angle=float(getattr(found, "angle", 0.0) or 0.0),
            setpoint=Setpoint(float(bias), abs(float(current)) * 1e9),
            about=About(comment=matrix.creation_comment, sample=matrix.sample_name, channels=(f"{label} ({unit})",)),
        )
