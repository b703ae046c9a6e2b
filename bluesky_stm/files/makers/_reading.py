"""The parts that the formats of other makers share: a reader that may be missing, and an image in our units."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError, SettingsError
from bluesky_stm.files._labels import si_unit
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import About, Quality, Setpoint, Topograph

ANGSTROM: Final = 1e-10
"""In m."""


def reader(module: str, maker: str) -> ModuleType:
    """Return the module of a reader of others.

    Parameters
    ----------
    module : str
        Name by which it is imported and installed.
    maker : str
        Whose files it reads, for the message.

    Raises
    ------
    FileFormatError
        When it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        raise FileFormatError(
            f"Files of {maker} are read by the package {module!r}, which cannot be imported ({missing}). Nothing was read. "
            "Install it: pip install 'bluesky-stm[formats]'."
        ) from None


def beginning(path: Path, count: int) -> bytes:
    """Return the first ``count`` bytes of a file."""
    with path.open("rb") as file:
        return file.read(count)


@contextmanager
def damage_of(path: Path) -> Iterator[None]:
    """Say of whatever error a reader of others ends with that the file is damaged.

    Parameters
    ----------
    path : Path
        The file that is read.

    Raises
    ------
    FileFormatError
        In the place of any other error: readers of others raise whatever their parsing meets.
    """
    try:
        yield
    except FileFormatError:
        raise
    except (Exception, MemoryError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FileFormatError(f"{path.name} is damaged: it cannot be read ({said:.200}). Copy it again.") from None


def image(
    name: str,
    height: ArrayLike,
    unit: str,
    center: tuple[float, float],
    size: tuple[float, float],
    *,
    angle: float = 0.0,
    setpoint: Setpoint | None = None,
    time: float = 0.0,
    about: About | None = None,
) -> Topograph:
    """Return a topograph from what a file gives in SI.

    Parameters
    ----------
    name : str
        Name of the file, for messages.
    height : array_like of shape (rows, columns)
        Row 0 is the lowest y; NaN where not measured.
    unit : str
        Its unit: a length, with or without a prefix.
    center, size : (float, float)
        Centre and sides, in m.
    angle : float
        In degrees counter-clockwise.
    setpoint : Setpoint, optional
        NaN if not given.
    time : float
        Start, in s since 1970.
    about : About, optional
        What the file says beside it.

    Raises
    ------
    FileFormatError
        When the image is none of heights, or the frame makes no sense.
    """
    base, factor = si_unit(unit)
    if base != "m":
        raise FileFormatError(f"{name} holds an image in {unit or 'no unit'}, not of heights: it is no topograph.")
    values = units.from_si(np.asarray(height, dtype=float) * factor, units.LENGTH)
    (x, y), (width, side) = (units.from_si(pair, units.LENGTH) for pair in (center, size))
    try:
        frame = Frame(Point(float(x), float(y)), (float(width), float(side)), values.shape[:2], angle)
    except SettingsError as error:
        raise FileFormatError(f"{name} is damaged: {error}") from None
    missing = ~np.isfinite(values)
    quality = Quality.INCOMPLETE if missing.any() else Quality.GOOD
    heights = np.where(missing, nan, values)
    return Topograph(frame, heights, setpoint=setpoint or Setpoint(nan, nan), time=time, quality=quality, about=about)
