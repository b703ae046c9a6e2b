"""Nanonis images, ``.sxm``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files import _header as headers
from bluesky_stm.files._header import Header, frame_from_si, number, numbers, pixels_of, si_of_frame, split_file
from bluesky_stm.files._labels import date_of, our_factor, our_unit, si_unit, split_unit, timestamp, without_infinities
from bluesky_stm.files._pixels import BLOCK, SPARE
from bluesky_stm.files._provenance import UNKNOWN, Provenance, as_comment
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import About, Quality, Setpoint, Topograph

_END = b"\n:SCANIT_END:"
_DATA = b"\x1a\x04"
_TYPES: Final = {"FLOAT MSBFIRST": ">f4", "FLOAT LSBFIRST": "<f4"}
_PASS: Final = re.compile(r"\[P(\d+)\]_?(.*)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Scan:
    """All images of one scan.

    Attributes
    ----------
    frame : Frame
    channels : mapping of str to ndarray of shape (rows, columns)
        By name, ``"Z"``, ``"Z [bwd]"``, ``"Current"`` ..., in nm, nA ...; those of a second pass as ``"[P2] Z"``. Row 0 is the
        lowest y, columns run forward in both directions; NaN where not measured.
    setpoint : Setpoint
    time : float
        Start, in s since 1970.
    biases : mapping of int to float
        Bias of each pass that has one of its own, in V, by the number of the pass.
    about : About
        What the file says beside the measurement.
    """

    frame: Frame
    channels: Mapping[str, Floats]
    setpoint: Setpoint
    time: float = 0.0
    biases: Mapping[int, float] = field(default_factory=dict)
    about: About = field(default_factory=About)

    @property
    def passes(self) -> int:
        """Number of passes; each line was scanned as often."""
        return max((int(found[1]) for name in self.channels if (found := _PASS.match(name))), default=1)

    def topograph(self, backward: bool = False, of_pass: int = 1) -> Topograph:
        """Return the image of the tip height.

        Parameters
        ----------
        backward : bool
            True for the backward scan; where only one direction was recorded, that one is returned.
        of_pass : int
            Which pass of a multipass scan, from 1.

        Returns
        -------
        Topograph
            Heights in nm, with the bias of its pass; marked as incomplete where one is NaN.

        Raises
        ------
        FileFormatError
            When the scan has no such channel.
        """
        base = "Z" if of_pass == 1 else f"[P{of_pass}] Z"
        names = [f"{base} [bwd]", base] if backward else [base, f"{base} [bwd]"]
        name = next((name for name in names if name in self.channels), None)
        if name is None:
            raise FileFormatError(
                f"This scan has no channel {names[0]!r}, only {sorted(self.channels)}: it holds no topograph."
            )
        height = self.channels[name].astype(float)
        quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
        setpoint = replace(self.setpoint, bias=self.biases.get(of_pass, self.setpoint.bias))
        further = {**self.about.further, "image": name, **({"passes": self.passes} if self.passes > 1 else {})}
        about = replace(self.about, further=further)
        return Topograph(self.frame, height, setpoint=setpoint, time=self.time, quality=quality, about=about)


def read_sxm(path: str | Path, backward: bool = False, of_pass: int = 1) -> Topograph:
    """Return the topograph of a scan; lines that were not scanned are NaN.

    Parameters
    ----------
    path : str or Path
        The file.
    backward : bool
        True for the backward scan.
    of_pass : int
        Which pass of a multipass scan, from 1.

    Raises
    ------
    FileFormatError
        When the file is no scan, is damaged, or has no such image.
    """
    return read_scan(path).topograph(backward, of_pass)


def read_scan(path: str | Path) -> Scan:
    """Return all images of a scan, forward and backward; of a file that ends early, all whole pixels.

    Raises
    ------
    FileFormatError
        When the file is no scan or is damaged.
    """
    path = Path(path)
    text, begin = split_file(path, _END, "scan", "Choose a .sxm file of Nanonis.")
    header = _parse(text)
    kind = " ".join(header.get("SCANIT_TYPE", "FLOAT MSBFIRST").split())
    if kind not in _TYPES:
        raise FileFormatError(f"{path.name} holds numbers of the type {kind!r}, and {' and '.join(_TYPES)} can be read.")
    table = _channels(_table(header, "DATA_INFO"))
    images, kept = _images(path, begin, [factor for _, factor in table], pixels_of(header, "SCAN_PIXELS"), _TYPES[kind])
    pixels = pixels_of(header, "SCAN_PIXELS")
    width, height = numbers(header, "SCAN_RANGE", 2)
    x, y = numbers(header, "SCAN_OFFSET", 2)
    down = header.get("SCAN_DIR", "").strip() == "down"
    return Scan(
        frame_from_si((x, y), (width, height), pixels, number(header, "SCAN_ANGLE")),
        {name: _turned(image, down, name.endswith("[bwd]")) for (name, _), image in zip(table, images, strict=False)},
        _setpoint(header),
        timestamp(f"{header.get('REC_DATE', '').strip()} {header.get('REC_TIME', '').strip()}"),
        _biases(header),
        headers.about(header, kept=kept, channels=tuple(name for name, _ in table)),
    )


def write_sxm(
    path: str | Path,
    image: Topograph,
    provenance: Provenance = UNKNOWN,
    channels: Mapping[str, tuple[Floats, Floats]] | None = None,
) -> None:
    """Write a topograph as a scan of Nanonis, upward.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    image : Topograph
        Its heights are the forward image, in single precision; the backward image, which readers expect, is NaN.
    provenance : mapping of str to str
        Lines about where it comes from, written as the comment of the file.
    channels : mapping of str to (ndarray, ndarray), optional
        What was recorded, forth and back, in SI, by its label: ``"Current (A)"``; row 0 at the lowest y, columns forward in
        both. The heights alone if not given.
    """
    forward = units.to_si(image.height, units.LENGTH)
    recorded = channels or {"Z (m)": (forward, np.full_like(forward, np.nan))}
    pixels = np.concatenate([[forth, back[:, ::-1]] for forth, back in recorded.values()])
    header = "".join(f":{key}:\n{value}\n" for key, value in _header(image, provenance, list(recorded)).items())
    Path(path).write_bytes(header.encode("latin-1") + _END + b"\n\n\n" + _DATA + pixels.astype(">f4").tobytes())


def _header(image: Topograph, provenance: Provenance, labels: list[str]) -> dict[str, str]:
    frame, (day, time) = image.frame, date_of(image.time).split()
    x, y, width, height, angle = si_of_frame(frame)
    current = units.to_si(image.setpoint.current, units.CURRENT)
    named = [(name.replace(" ", "_"), unit) for name, unit in map(split_unit, labels)]
    rows = (f"\t{14 + number}\t{name}\t{unit}\tboth\t1.000E+0\t0.000E+0" for number, (name, unit) in enumerate(named))
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
        "COMMENT": as_comment(provenance),
        "DATA_INFO": "\n".join(["\tChannel\tName\tUnit\tDirection\tCalibration\tOffset", *rows]),
    }


def _parse(text: str) -> Header:
    """Return all the lines below each key; a comment may hold lines like keys, so that the first of a name counts."""
    parts = text.replace("\r\n", "\n").split("\n:")
    header: dict[str, str] = {}
    for part in parts:
        key, _, value = part.lstrip(":").partition(":\n")
        header.setdefault(key, value.strip("\n"))
    return header


def _table(header: Header, key: str) -> list[dict[str, str]]:
    """Rows, by the words in the first, of a table of tabs."""
    lines = [line.strip("\t").split("\t") for line in header.get(key, "").splitlines() if line.strip()]
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def _channels(table: list[dict[str, str]]) -> list[tuple[str, float]]:
    """Return name and factor of each image, in the order of the file."""
    images, seen = [], Counter[str]()
    for row in table:
        if not {"Name", "Unit", "Direction"} <= row.keys():
            raise FileFormatError("The table of images in the header is torn: the file is damaged. Copy it again.")
        base = split_unit(row["Name"])[0]
        ends = {"both": ("", " [bwd]"), "backward": (" [bwd]",)}.get(row["Direction"], ("",))
        found = _PASS.match(base)
        number, base = (int(found[1]), found[2].strip()) if found else (1 + max(seen[base + end] for end in ends), base)
        name = base if number == 1 else f"[P{number}] {base}"
        for end in ends:  # a name that comes back in the same direction is that of the next pass
            seen[base + end] += 1
            images.append((name + end, our_factor(row["Unit"])))
    return images


def _images(path: Path, begin: int, factors: list[float], shape: tuple[int, int], dtype: str) -> tuple[list[Floats], str]:
    """Return the images that are there, in our units, and words about what is missing.

    Parameters
    ----------
    path : Path
        The file.
    begin : int
        Position behind the header.
    factors : list of float
        What turns the values of each image into our units.
    shape : (int, int)
        Rows and columns of an image.
    dtype : str
        Type of the numbers.
    """
    size = shape[0] * shape[1]
    with path.open("rb") as file:
        file.seek(begin)
        mark = file.read(BLOCK).find(_DATA)
        begin += mark + len(_DATA)
        there = path.stat().st_size - begin
        expected = 4 * len(factors) * size
        if mark < 0 or not factors or there > expected or there // 4 + SPARE < size:
            raise FileFormatError(
                f"{path.name} is damaged: {len(factors)} images of {shape[1]} x {shape[0]} pixels take {expected} bytes, and "
                f"there are {max(there, 0)}. Copy it again."
            )
        file.seek(begin)
        images: list[Floats] = []
        zero = np.ones(shape[0], dtype=bool)
        for factor in factors[: -(-(there // 4) // size)]:
            values, done = np.empty(size, dtype=np.float32), 0
            while done < size and len(block := np.fromfile(file, dtype, min(BLOCK, size - done))):
                np.multiply(block, np.float32(factor), out=values[done : done + len(block)])
                done += len(block)
            values[done:] = np.nan
            images.append(without_infinities(values).reshape(shape))
            zero &= ~images[-1].any(axis=1)
    if zero.any() and not zero.all():  # lines that were not scanned are zeros in files of old versions
        for image in images:
            image[zero] = np.nan
    missing = "" if there == expected else f"the file ends early: {there // 4} of {len(factors) * size} numbers are kept"
    return images, missing


def _turned(image: Floats, downward: bool, backward: bool) -> Floats:
    """Turn an image round: a downward scan begins at the highest y, a backward image at the right."""
    image = image[::-1] if downward else image
    return image[:, ::-1] if backward else image


def _setpoint(header: Header) -> Setpoint:
    row = next(iter(_table(header, "Z-CONTROLLER")), {})
    unit = row.get("Setpoint", "").split()[-1:] or [""]
    current = number(row, "Setpoint") * our_factor(unit[0]) if our_unit(unit[0]) == units.CURRENT else float("nan")
    volts = header.get("BIAS", "").split()[1:] or ["V"]
    return Setpoint(number(header, "BIAS") * si_unit(volts[0])[1], abs(current))


def _biases(header: Header) -> dict[int, float]:
    """Return the bias of each pass that has one of its own, in V."""
    rows = enumerate(_table(header, "Multipass-Config"), 1)
    return {k: number(row, "Bias_override_value") for k, row in rows if row.get("Bias_override", "").strip().upper() == "TRUE"}
