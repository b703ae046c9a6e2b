"""GXSM, ``.nc``: a topograph, by xarray.

Heights are recorded in steps ``dz``, which is a variable of its own and no attribute that a reader of netCDF applies. The
look-up ``dimx``, ``dimy`` says where rows and columns lie around the offset, whether the scan begins at its middle or at its
upper edge; lengths are in angstrom.
"""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from typing_extensions import override

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._format import FileFormat
from bluesky_stm.files.makers._reading import ANGSTROM, beginning, damage_of, image
from bluesky_stm.measurements import About, Setpoint, Topograph

if TYPE_CHECKING:
    import xarray

ANGSTROMS: Final = ("AA", "Ang", "A", "\xc5", "\xc3\x85")
"""What a height is called; whatever the unit of the display, it is recorded in angstrom."""
_IMAGES: Final = ("FloatField", "DoubleField", "H")
_HEAD: Final = 8192
"""Bytes of a file of classic netCDF in which its names are looked for."""


class GXSM(FileFormat):
    """Images of GXSM, ``.nc``: scans of heights."""

    name: str = "gxsm"

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        if start.startswith(b"CDF"):
            head = beginning(path, _HEAD)
            return b"rangex" in head or b"sranger" in head
        if not start.startswith(b"\x89HDF"):
            return False
        import h5py

        try:
            with h5py.File(path) as file:
                return "rangex" in file and any(name in file for name in _IMAGES)
        except (OSError, RuntimeError, KeyError):  # what h5py says of a damaged file
            return False

    @override
    def read(self, path: Path) -> Topograph:
        import xarray

        engine = "scipy" if beginning(path, 3) == b"CDF" else "h5netcdf"
        with damage_of(path):
            # neither times nor fill values are decoded: GXSM gives its variables units of its own
            with xarray.open_dataset(path, engine=engine, decode_cf=False, cache=False) as file:
                held = file.load()
            return _topograph(path.name, held)


def _topograph(name: str, file: xarray.Dataset) -> Topograph:
    """Return the image of a file of GXSM."""
    field = file[next(each for each in _IMAGES if each in file)]
    unit = str(field.attrs.get("unit_x_dz", file["dz"].attrs.get("unit", "AA"))).strip("\0 ")
    if unit not in ANGSTROMS:
        raise FileFormatError(f"{name} holds the channel {field.attrs.get('ZLabel', 'of no name')} in {unit}, not heights.")
    height = field.values.reshape(field.shape[-2:]) * _number(file, "dz") * ANGSTROM
    x, y = (file[axis].values.astype(float) * ANGSTROM for axis in ("dimx", "dimy"))
    if y[0] > y[-1]:
        height, y = height[::-1], y[::-1]
    if x[0] > x[-1]:
        height, x = height[:, ::-1], x[::-1]
    angle = _number(file, "alpha", 0.0)
    turn = np.radians(angle)
    middle = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [x.mean(), y.mean()]
    center = [_number(file, f"offset{axis}") * ANGSTROM + part for axis, part in zip("xy", middle, strict=True)]
    current = abs(_first(file, "current_set_point", "mix0_set_point", "current_setpoint"))
    return image(
        name,
        height,
        "m",
        (float(center[0]), float(center[1])),
        (_number(file, "rangex") * ANGSTROM, _number(file, "rangey") * ANGSTROM),
        angle=angle,
        setpoint=Setpoint(_first(file, "hwi_bias", "_bias"), current),
        time=_number(file, "t_start", 0.0),
        about=About(comment=_text(file, "comment"), operator=_text(file, "username"), channels=(f"{field.name} ({unit})",)),
    )


def _number(file: xarray.Dataset, name: str, default: float = nan) -> float:
    """Return a variable that is one number."""
    return float(file[name].values.reshape(-1)[0]) if name in file and file[name].size else default


def _first(file: xarray.Dataset, *endings: str) -> float:
    """Return the first variable whose name ends so; GXSM has them under the name of its hardware."""
    return next((_number(file, str(name)) for end in endings for name in file.variables if str(name).endswith(end)), nan)


def _text(file: xarray.Dataset, name: str) -> str:
    """Return a variable that is a text; empty where there is none."""
    if name not in file:
        return ""
    return b"".join(np.atleast_1d(file[name].values.astype("S")).reshape(-1)).decode("latin-1").strip("\0 \n")
