"""Headers of Nanonis files, and what they say about the frame and the set point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint

Header = Mapping[str, str]


def split_file(path: Path, end: bytes, kind: str, advice: str) -> tuple[str, bytes]:
    """Split a file at the mark that ends its header.

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
    body : bytes
        Bytes after the mark.

    Raises
    ------
    FileFormatError
        When the mark is not there.
    """
    head, mark, body = path.read_bytes().partition(end)
    if not mark:
        raise FileFormatError(f"{path.name} is no {kind}: it has no {end.decode(errors='replace').strip()!r}. {advice}")
    return head.decode("latin-1"), body


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
        return float(text.split()[0])
    except (IndexError, ValueError):
        if default is not None:
            return default
        raise FileFormatError(f"The header should give a number for {key!r}, not {text!r}: the file is damaged.") from None


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
    found = re.findall(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", header.get(key, ""))
    if len(found) != count:
        raise FileFormatError(
            f"The header should give {count} numbers for {key!r}, not {header.get(key)!r}: the file is damaged."
        )
    return [float(text) for text in found]


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
    columns, rows = (int(n) for n in numbers(header, key, 2))
    return rows, columns


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
    if "Bias>Bias (V)" not in header or header.get("Z-Controller>Setpoint unit", "A") != "A":
        return None
    current = number(header, "Z-Controller>Setpoint", default=float("nan"))
    return Setpoint(number(header, "Bias>Bias (V)"), abs(float(units.from_si(current, units.CURRENT))))
