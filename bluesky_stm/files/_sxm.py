"""Nanonis images, ``.sxm``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import date_of, in_our_unit, timestamp
from bluesky_stm.files._header import Header, frame_from_si, number, numbers, pixels_of, si_of_frame, split_file
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Quality, Setpoint, Topograph

_END = b":SCANIT_END:"
_DATA = b"\x1a\x04"


@dataclass(frozen=True, eq=False)
class Scan:
    """All images of one scan.

    Attributes
    ----------
    frame : Frame
    channels : mapping of str to ndarray of shape (rows, columns)
        By name, ``"Z"``, ``"Z [bwd]"``, ``"Current"`` ..., in nm, nA ...; row 0 is the lowest y, columns run forward in
        both directions; NaN where not measured.
    setpoint : Setpoint
    time : float
        Start, in s since 1970.
    """

    frame: Frame
    channels: Mapping[str, Floats]
    setpoint: Setpoint
    time: float = 0.0

    def topograph(self, backward: bool = False) -> Topograph:
        """Return the image of the tip height.

        Parameters
        ----------
        backward : bool
            True for the backward scan.

        Returns
        -------
        Topograph
            Heights in nm; marked as incomplete where one is NaN.

        Raises
        ------
        FileFormatError
            When the scan has no such channel.
        """
        name = "Z [bwd]" if backward else "Z"
        if name not in self.channels:
            raise FileFormatError(f"This scan has no channel {name!r}, only {sorted(self.channels)}: it holds no topograph.")
        height = self.channels[name]
        quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
        return Topograph(self.frame, height, setpoint=self.setpoint, time=self.time, quality=quality)


def read_sxm(path: str | Path, backward: bool = False) -> Topograph:
    """The topograph of a scan, forward or backward; lines that were not scanned are NaN.

    Raises
    ------
    FileFormatError
        When the file is no scan, is damaged, or has no such image.
    """
    return read_scan(path).topograph(backward)


def read_scan(path: str | Path) -> Scan:
    """All images of a scan, forward and backward.

    Raises
    ------
    FileFormatError
        When the file is no scan or is damaged.
    """
    path = Path(path)
    text, body = split_file(path, _END, "scan", "Choose a .sxm file of Nanonis.")
    header = _parse(text)
    pixels = pixels_of(header, "SCAN_PIXELS")
    table = _table(header, "DATA_INFO")
    images = _images(path.name, body, sum(_directions(row) for row in table), pixels)
    width, height = numbers(header, "SCAN_RANGE", 2)
    x, y = numbers(header, "SCAN_OFFSET", 2)
    return Scan(
        frame_from_si((x, y), (width, height), pixels, number(header, "SCAN_ANGLE")),
        _channels(table, images, downward=header.get("SCAN_DIR") == "down"),
        _setpoint(header),
        timestamp(f"{header.get('REC_DATE', '').strip()} {header.get('REC_TIME', '').strip()}"),
    )


def write_sxm(path: str | Path, image: Topograph) -> None:
    """Write a topograph as a scan of Nanonis, upward.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    image : Topograph
        Its heights are the forward image, in single precision; the backward image, which readers expect, is NaN.
    """
    forward = units.to_si(image.height, units.LENGTH)
    pixels = np.stack([forward, np.full_like(forward, np.nan)])
    header = "".join(f":{key}:\n{value}\n" for key, value in _header(image).items())
    Path(path).write_bytes(header.encode("latin-1") + b"\n" + _END + b"\n\n\n" + _DATA + pixels.astype(">f4").tobytes())


def _header(image: Topograph) -> dict[str, str]:
    frame, (day, time) = image.frame, date_of(image.time).split()
    x, y, width, height, angle = si_of_frame(frame)
    current = units.to_si(image.setpoint.current, units.CURRENT)
    return {
        "NANONIS_VERSION": "2",
        "SCANIT_TYPE": "FLOAT MSBFIRST",
        "REC_DATE": day,
        "REC_TIME": time,
        "REC_TEMP": "NaN",
        "ACQ_TIME": "NaN",
        "SCAN_PIXELS": f"{frame.pixels[1]} {frame.pixels[0]}",
        "SCAN_FILE": "",
        "SCAN_TIME": "NaN NaN",
        "SCAN_RANGE": f"{width} {height}",
        "SCAN_OFFSET": f"{x} {y}",
        "SCAN_ANGLE": angle,
        "SCAN_DIR": "up",
        "BIAS": f"{image.setpoint.bias:.9E}",
        "Z-CONTROLLER": f"\tName\ton\tSetpoint\n\tlog Current\t1\t{current:.9E} A",
        "COMMENT": "",
        "DATA_INFO": "\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n\t14\tZ\tm\tboth\t1.000E+0\t0.000E+0",
    }


def _parse(text: str) -> Header:
    """Key to all the lines below it."""
    parts = text.split("\n:")
    pairs = (part.lstrip(":").partition(":\n") for part in parts)
    return {key: value.strip("\n") for key, _, value in pairs}


def _table(header: Header, key: str) -> list[dict[str, str]]:
    """Rows, by the words in the first, of a table of tabs."""
    lines = [line.strip("\t").split("\t") for line in header.get(key, "").splitlines() if line.strip()]
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def _directions(row: Mapping[str, str]) -> int:
    return 2 if row["Direction"] == "both" else 1


def _images(name: str, body: bytes, count: int, shape: tuple[int, int]) -> Floats:
    data = body[body.find(_DATA) + len(_DATA) :]
    expected = 4 * count * shape[0] * shape[1]
    if not count or len(data) != expected:
        raise FileFormatError(
            f"{name} is damaged: {count} images of {shape[1]} x {shape[0]} pixels take {expected} bytes, and there are "
            f"{len(data)}. Copy it again."
        )
    return np.frombuffer(data, ">f4").astype(float).reshape(count, *shape)


def _channels(table: list[dict[str, str]], images: Floats, downward: bool) -> dict[str, Floats]:
    """Turned round: a downward scan begins at the highest y, a backward image at the right."""
    remaining = iter(images[:, ::-1] if downward else images)
    channels = {}
    for row in table:
        if row["Direction"] != "backward":
            channels[row["Name"]] = in_our_unit(next(remaining), row["Unit"])
        if row["Direction"] != "forward":
            channels[f"{row['Name']} [bwd]"] = in_our_unit(next(remaining)[:, ::-1], row["Unit"])
    return channels


def _setpoint(header: Header) -> Setpoint:
    row = next(iter(_table(header, "Z-CONTROLLER")), {})
    current = number(row, "Setpoint") if row.get("Setpoint", "").endswith("A") else float("nan")
    return Setpoint(number(header, "BIAS"), abs(float(units.from_si(current, units.CURRENT))))
