"""Headers of Nanonis files, and what they say about the frame and the set point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._labels import as_number, our_factor, our_unit, si_unit
from bluesky_stm.files._provenance import MARK, about_of, lines_in
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import About, Setpoint

Header = Mapping[str, str]


USUAL_HEADER, MOST_HEADER = 1 << 16, 4 << 20
"""Bytes within which a header usually ends, and within which it ends in any case."""


def split_file(path: Path, end: bytes, kind: str, advice: str) -> tuple[str, int]:
    """Read the header of a file, up to the mark that ends it.

    Parameters
    ----------
    path : Path
        The file.
    end : bytes
        Mark that ends the header; it belongs to neither part.
    kind : str
        Kind of file, for the message.
    advice : str
        What to do where the mark is not there, for the message.

    Returns
    -------
    header : str
        Text before the mark, decoded as Latin-1.
    begin : int
        Position of the first byte after the mark.

    Raises
    ------
    FileFormatError
        When the mark is not there.
    """
    with path.open("rb") as file:
        start = file.read(USUAL_HEADER)
        head, mark, _ = (start if end in start else start + file.read(MOST_HEADER)).partition(end)
    if not mark:
        raise FileFormatError(f"{path.name} is no {kind}: it has no {end.decode(errors='replace').strip()!r}. {advice}")
    return head.decode("latin-1"), len(head) + len(mark)


def number(header: Header, key: str, default: float | None = None) -> float:
    """Return the number, in SI, that begins a value: ``"5.000E-11 A"`` is 5e-11.

    Parameters
    ----------
    header : Header
        Keys and values of the file, as text.
    key : str
        Which value.
    default : float, optional
        Returned where there is no number; refused if not given.
    """
    text = header.get(key, "")
    try:
        return as_number(text.split()[0])
    except (IndexError, ValueError) as error:
        if default is not None:
            return default
        raise FileFormatError(f"The header should give a number for {key!r}, not {text!r}{_why(error)}.") from None


def _why(error: Exception) -> str:
    return f": {error}" if "comma" in str(error) else ": the file is damaged"


def whole_number(header: Header, key: str) -> int:
    """Return a whole number of the header.

    Raises
    ------
    FileFormatError
        When it is none, or larger than any file.
    """
    value = number(header, key)
    if not abs(value) < 2**53:
        raise FileFormatError(f"The header should give a whole number for {key!r}, not {value:g}: the file is damaged.")
    return int(value)


def quantity(header: Header, key: str, default: float | None = None) -> float:
    """Return a number whose unit stands behind its key, in our units: of ``"X (nm)"`` for the key ``"X"``.

    Parameters
    ----------
    header : Header
        Keys and values of the file, as text.
    key : str
        Which value, without its unit.
    default : float, optional
        Returned where there is no number; refused if not given.
    """
    full = next((name for name in header if name == key or (name.startswith(f"{key} (") and name.endswith(")"))), key)
    value = number(header, full, default)
    return value * our_factor(full[len(key) :].strip(" ()"))


def numbers(header: Header, key: str, count: int) -> list[float]:
    """Return the numbers in a value, whatever stands between them.

    Parameters
    ----------
    header : Header
        Keys and values of the file, as text.
    key : str
        Which value.
    count : int
        How many there have to be.
    """
    found = re.findall(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?", header.get(key, ""))
    try:
        if len(found) == count:
            return [as_number(text.rstrip(",")) for text in found]
        error = ValueError()
    except ValueError as torn:
        error = torn
    raise FileFormatError(f"The header should give {count} numbers for {key!r}, not {header.get(key)!r}{_why(error)}.")


def frame_from_si(center: tuple[float, float], size: tuple[float, float], pixels: tuple[int, int], clockwise: float) -> Frame:
    """Return the frame that a file of Nanonis gives in SI.

    Parameters
    ----------
    center, size : (float, float)
        Centre and sides, in m.
    pixels : (int, int)
        Rows and columns.
    clockwise : float
        Angle, in degrees clockwise.
    """
    x, y, width, height = (round(float(v), 6) for v in units.from_si([*center, *size], units.LENGTH))
    if not (np.isfinite([x, y, width, height, clockwise]).all() and width > 0 and height > 0):
        raise FileFormatError(
            f"The header gives a frame of {width:g} x {height:g} nm at ({x:g}, {y:g}) nm: the file is damaged."
        )
    return Frame(Point(x, y), (width, height), pixels, 0.0 - clockwise)


def pixels_of(header: Header, key: str) -> tuple[int, int]:
    """Return rows and columns of an image; Nanonis says columns first.

    Parameters
    ----------
    header : mapping
        Header of the file.
    key : str
        Entry that holds the two numbers.
    """
    columns, rows = numbers(header, key, 2)
    if not (0 < rows < 2**31 and 0 < columns < 2**31):
        raise FileFormatError(f"The header gives {columns:g} x {rows:g} pixels for {key!r}: the file is damaged.")
    return int(rows), int(columns)


def si_of_frame(frame: Frame) -> list[str]:
    """Return centre, size and angle of a frame, as Nanonis writes them: the way back from `frame_from_si`.

    Parameters
    ----------
    frame : Frame
        In nm, its angle in degrees counter-clockwise.

    Returns
    -------
    list of str
        Four lengths in m, and the angle in degrees clockwise.
    """
    lengths = units.to_si([*frame.center, *frame.size], units.LENGTH)
    return [f"{value:.9E}" for value in (*lengths, -frame.angle)]


def lines_of_setpoint(setpoint: Setpoint) -> dict[str, str]:
    """Return the set point as a module's header says it: the way back from `setpoint_of`.

    Parameters
    ----------
    setpoint : Setpoint
        Bias in V, current in nA; the current is written in A.
    """
    return {
        "Bias>Bias (V)": f"{setpoint.bias:.9E}",
        "Z-Controller>Setpoint": f"{units.to_si(setpoint.current, units.CURRENT):.9E}",
        "Z-Controller>Setpoint unit": "A",
    }


def setpoint_of(header: Header) -> Setpoint | None:
    """Return the set point in a module's header; the magnitude of its current, in nA.

    Parameters
    ----------
    header : mapping
        Header of the file.

    Returns
    -------
    Setpoint or None
        None in old files that do not carry it, or whose controller kept something else than a current. The current is NaN where
        only that is missing.
    """
    bias = quantity(header, "Bias>Bias", float("nan"))
    unit = header.get("Z-Controller>Setpoint unit", "A")
    if bias != bias or our_unit(unit) != units.CURRENT:
        return None
    current = number(header, "Z-Controller>Setpoint", default=float("nan")) * our_factor(unit)
    return Setpoint(bias, abs(current))


def about(header: Header, **known: Any) -> About:
    """Return what a header says beside the measurement; of a file of this package its own lines say it.

    Parameters
    ----------
    header : Header
        Keys and values of the file, as text.
    **known
        Fields of `About` that are known from elsewhere.
    """
    comments = [
        header[key].strip() for key in header if re.fullmatch(r"comment\d*", key, re.IGNORECASE) and header[key].strip()
    ]
    temperatures = [quantity(header, key, float("nan")) for key in TEMPERATURES if key.split(" (")[0]]
    kelvin = next((value for value in temperatures if value == value), float("nan"))
    on = header.get("Lock-in>Lock-in status", "ON").upper() != "OFF"
    unit = si_unit(header.get("Lock-in>Modulated signal", "").rpartition("(")[2].rstrip(")"))[0]
    amplitude = number(header, "Lock-in>Amplitude", float("nan")) if on and unit in ("V", "") else float("nan")
    if ours := [comment for comment in comments if comment.startswith(MARK)]:
        return replace(about_of(lines_in(ours[0])), **known)
    settings: dict[str, Any] = {
        "comment": "\n".join(filter(None, comments)),
        "operator": header.get("User", "").strip(),
        "temperature": kelvin,
        "amplitude": amplitude,
        "frequency": quantity(header, "Lock-in>Frequency", float("nan")) if on else float("nan"),
    }
    return About(**settings | known)


TEMPERATURES: Final = (
    "REC_TEMP",
    "Temperature 1>Temperature 1",
    "Temperature>Temperature",
    "Ext. VI 1>Temperature",
    "Temperature",
)
"""Keys under which a temperature, in K, stands in the headers that were met."""
