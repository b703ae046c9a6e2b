"""Scienta Omicron Matrix, by access2thematrix: the image of the way forth and up (``.Z_mtrx``), a curve (``.I(V)_mtrx``).

The parameters stand in a file of their own, ``..._0001.mtrx``, which has to lie beside the image under the name that the
instrument gave it. access2thematrix gives row 0 as the lowest y, and the centre of what was scanned of a scan that ended early.

A curve is one channel: the lock-in of the same sweep stands in another file, and dI/dV is the derivative of the current. The
place is that of the mark ``STS_LOCATION``; a curve without one has none.
"""

from __future__ import annotations

import warnings
from math import nan
from pathlib import Path
from typing import Any, Final

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import qualities, spectroscopy
from bluesky_stm.files._format import FileFormat
from bluesky_stm.files.makers._reading import beginning, damage_of, image, reader
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import About, Quality, Setpoint, Spectrum, Topograph

_VOLTAGE: Final = "EEPA::GapVoltageControl.Voltage"
_CURRENT: Final = "EEPA::Regulator.Setpoint_1"


_UNITS: Final = {"Ampere": "A", "Volt": "V", "Meter": "m"}
"""Units as the parameters spell them."""


class OmicronMatrix(FileFormat):
    """Images and I(V) curves of Scienta Omicron Matrix, ``.Z_mtrx`` and ``.I(V)_mtrx``, the file of parameters beside them."""

    name: str = "matrix"

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return start.startswith(b"ONTMATRX0101")

    @override
    def read(self, path: Path) -> Topograph | Spectrum:
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
        bias, current = (float(matrix.param.get(key, [nan])[0]) for key in (_VOLTAGE, _CURRENT))
        setpoint = Setpoint(bias, abs(current) * 1e9)
        if matrix.object_type == "curve":
            return _spectrum(path, matrix, traces, setpoint)
        with damage_of(path):
            found, said = matrix.select_image(traces[0])
        if not hasattr(found, "data") or not found.data.size:
            raise FileFormatError(f"{path.name} holds no image: {said} Grids of spectra of Matrix are not read.")
        label, unit = found.channel_name_and_unit
        return image(
            path.name,
            found.data,
            unit,
            (found.x_offset, found.y_offset),
            (found.width, found.height),
            angle=float(getattr(found, "angle", 0.0) or 0.0),
            setpoint=setpoint,
            about=About(comment=matrix.creation_comment, sample=matrix.sample_name, channels=(f"{label} ({unit})",)),
        )


def _spectrum(path: Path, matrix: Any, traces: dict[int, str], setpoint: Setpoint) -> Spectrum:
    """Return the current of a sweep of the bias, the average of both ways where there are two."""
    with damage_of(path):
        ways = [matrix.select_curve(trace)[0] for trace in traces.values()]
        (swept, over), (label, unit) = ways[0].x_data_name_and_unit, ways[0].y_data_name_and_unit
    if (_UNITS.get(over, over), _UNITS.get(unit, unit)) != ("V", "A"):
        raise FileFormatError(
            f"{path.name} holds {label!r} ({unit}) over {swept} ({over}): it is no I(V) spectrum. Choose another."
        )
    bias = ways[0].data[0]
    known = [way.data[1][: len(bias)] for way in ways if len(way.data[1]) >= len(bias)] or [ways[0].data[1]]
    currents = [units.from_si(np.asarray(values, dtype=float), units.CURRENT) for values in known]
    read = [spectroscopy(bias, {"Current": current}, {"Current": "A"}, "") for current in currents]
    arrays = {name: np.mean([one.arrays[name] for one in read], axis=0) for name in read[0].arrays}
    place = getattr(ways[0], "referenced_by", {}).get("Location (m)", (nan, nan))
    asked = int(matrix.param.get("EEPA::Spectroscopy.Device_1_Points", [len(bias)])[0])
    return Spectrum(
        position=Point(*(float(units.from_si(along, units.LENGTH)) for along in place)),
        bias=bias,
        **arrays,
        backward=read[1].arrays if len(read) > 1 else {},
        setpoint=setpoint,
        quality=qualities(arrays["current"][None], arrays["lockin_x"][None])[0]
        | read[0].quality
        | (Quality.INCOMPLETE if len(bias) < asked else Quality.GOOD),
        about=About(
            comment=matrix.creation_comment,
            sample=matrix.sample_name,
            calibration=read[0].calibration,
            channels=(f"{label} ({unit})",),
        ),
    )
