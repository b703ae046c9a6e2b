"""Nanonis point spectra, ``.dat``."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._3ds import Sweeps
from bluesky_stm.files._channels import in_si, qualities, spectroscopy, ways
from bluesky_stm.files._header import Header, about, lines_of_setpoint, quantity, setpoint_of, split_file
from bluesky_stm.files._labels import as_number, checked_unit, date_of, in_our_unit, our_unit, split_unit, timestamp
from bluesky_stm.files._provenance import UNKNOWN, Provenance, as_comment
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum
from bluesky_stm.validated import JSON

POINT: Final = 1e-3
"""Side of the pixel that stands for the place of one sweep, in nm: less than a tip can be placed by."""


def read_dat(path: str | Path, didv: str = "") -> Spectrum:
    """Return a bias spectrum, in our units: the way forth, or both where the sweep turned round.

    Parameters
    ----------
    path : str or Path
        The file. Of one that ends in the middle of a line the whole lines are kept.
    didv : str
        Name of the channel that becomes dI/dV; empty to look for one.

    Returns
    -------
    Spectrum
        Where the sweep turned round, its arrays are the average of both ways, and ``backward`` is the way back.

    Raises
    ------
    FileFormatError
        When the file is no point spectrum, is damaged, or swept something else than the bias.
    """
    path = Path(path)
    text, begin = split_file(path, b"\n[DATA]", "point spectrum", "Choose a .dat file of Nanonis bias spectroscopy.")
    header = _parse(text)
    if header.get("Experiment", "").lower() != "bias spectroscopy":
        raise FileFormatError(
            f"{path.name} is {header.get('Experiment', 'of no named experiment')!r}, not bias spectroscopy: "
            "it holds no I(V) spectrum. Choose another file."
        )
    table = _table(path.name, path.read_bytes()[begin:].decode("latin-1"))
    parts = [split_unit(label) for label in table.labels]
    checked_unit(table.labels[0], parts[0][1], units.BIAS)
    columns = {name: in_our_unit(column, unit) for (name, unit), column in zip(parts, table.values, strict=True)}
    bias = columns.pop(parts[0][0])
    forth, back, left_out = ways(bias)
    found = spectroscopy(bias[forth], {name: values[forth] for name, values in columns.items()}, dict(parts), didv)
    arrays: JSON
    arrays, backward, calibration = found.arrays, {}, found.calibration
    if back is not None:
        return_way = spectroscopy(bias[back], {name: values[back] for name, values in columns.items()}, dict(parts), didv)
        backward = {name: values[::-1] for name, values in return_way.arrays.items()}
        arrays = {name: (values + backward[name]) / 2 for name, values in arrays.items()}
    begun = (float(bias[0]), float(abs(arrays["current"][0]))) if len(bias) else (float("nan"), float("nan"))
    x, y, z = (quantity(header, axis, float("nan")) for axis in "XYZ")
    kept = ", ".join(filter(None, (table.missing, left_out)))
    incomplete = Quality.INCOMPLETE if table.missing or len(bias) < 2 else Quality.GOOD
    return Spectrum(
        position=Point(x, y),
        bias=bias[forth],
        **arrays,
        backward=backward,
        setpoint=setpoint_of(header) or Setpoint(*begun),
        time=timestamp(header.get("Start time") or header.get("Saved Date") or header.get("Date")),
        z=z,
        quality=qualities(arrays["current"][None], arrays["lockin_x"][None])[0] | found.quality | incomplete,
        about=about(header, kept=kept, calibration=calibration, channels=tuple(table.labels)),
    )


def experiment_of(path: Path) -> str:
    """Return what a point spectrum says was swept, in small letters: ``"bias spectroscopy"``, ``"z spectroscopy"``."""
    text, _ = split_file(path, b"\n[DATA]", "point spectrum", "Choose a .dat file of Nanonis spectroscopy.")
    return _parse(text).get("Experiment", "").lower()


def read_z_dat(path: str | Path) -> Sweeps:
    """Return a spectrum of Z spectroscopy as it was recorded: what was measured at each distance of the tip.

    Parameters
    ----------
    path : str or Path
        The file. Of one that ends in the middle of a line the whole lines are kept.

    Returns
    -------
    Sweeps
        With one pixel, of the size `POINT`, at the place of the tip.

    Raises
    ------
    FileFormatError
        When the file is damaged, or gives no place.
    """
    path = Path(path)
    text, begin = split_file(path, b"\n[DATA]", "point spectrum", "Choose a .dat file of Nanonis spectroscopy.")
    header, table = _parse(text), _table(path.name, path.read_bytes()[begin:].decode("latin-1"))
    parts = [split_unit(label) for label in table.labels]
    swept, unit = parts[0]
    checked_unit(table.labels[0], unit, units.LENGTH)
    columns = [in_our_unit(column, unit) for (_, unit), column in zip(parts, table.values, strict=True)]
    x, y = (quantity(header, axis) for axis in "XY")
    parameters = {"Z": np.full((1, 1), quantity(header, "Z", float("nan")))}
    return Sweeps(
        Frame(Point(x, y), (POINT, POINT), (1, 1)),
        swept,
        columns[0],
        {name: column[None, None] for (name, _), column in zip(parts[1:], columns[1:], strict=True)},
        parameters,
        {**{name: our_unit(unit) for name, unit in parts}, **dict.fromkeys(parameters, units.LENGTH)},
        setpoint_of(header),
        timestamp(header.get("Start time") or header.get("Saved Date") or header.get("Date")),
        dict(parts),
        about(header, kept=table.missing, channels=tuple(table.labels)),
    )


def write_dat(path: str | Path, spectrum: Spectrum, provenance: Provenance = UNKNOWN) -> None:
    """Write a bias spectrum as a file of Nanonis.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    spectrum : Spectrum
        Channels that are NaN throughout are left out; its numbers are written in SI with ten digits.
    provenance : mapping of str to str
        Lines about where it comes from, written as the comment of the file.
    """
    columns = {"Bias calc (V)": spectrum.bias, **in_si(spectrum)}
    place = units.to_si([*spectrum.position, spectrum.z], units.LENGTH)
    header = {
        "Experiment": "bias spectroscopy",
        "Saved Date": date_of(spectrum.time),
        "User": provenance.get("operator", ""),
        "Comment01": as_comment(provenance),
        **{f"{axis} (m)": f"{value:.9E}" for axis, value in zip("XYZ", place, strict=True)},
        "Start time": date_of(spectrum.time),
        "Bias Spectroscopy>Sweep Start (V)": f"{spectrum.bias[0]:.9E}",
        "Bias Spectroscopy>Sweep End (V)": f"{spectrum.bias[-1]:.9E}",
        "Bias Spectroscopy>Num Pixel": len(spectrum.bias),
        **lines_of_setpoint(spectrum.setpoint),
    }
    lines = [f"{key}\t{value}\t" for key, value in header.items()] + ["", "[DATA]", "\t".join(columns)]
    lines += ["\t".join(f"{value:.9E}" for value in row) for row in zip(*columns.values(), strict=True)]
    Path(path).write_bytes("\r\n".join([*lines, ""]).encode("latin-1"))


class _Table(NamedTuple):
    labels: list[str]
    values: Floats
    missing: str


def _parse(text: str) -> Header:
    pairs = (line.partition("\t") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _table(name: str, text: str) -> _Table:
    """Return the labels of the columns, their values (columns, n), and words about what is missing at the end."""
    head, _, body = text.lstrip("\r\n").partition("\n")
    labels = [label for label in head.rstrip("\r").split("\t") if label.strip()]
    lines = [line.rstrip("\t ") for line in body.splitlines() if line.strip()]
    if not labels:
        raise FileFormatError(f"{name} is damaged: its table has no columns. Copy it again.")
    missing = ""
    if lines and len(lines[-1].split("\t")) < len(labels):
        lines.pop()
        missing = f"the file ends in the middle of line {len(lines) + 1} of its table: {len(lines)} are kept"
    try:
        read = float if "," not in body else as_number
        values = np.array([[read(part) for part in line.split("\t")[: len(labels)]] for line in lines])
        return _Table(labels, values.reshape(-1, len(labels)).T, missing)
    except ValueError as error:
        why = f"{error}. Write it with decimal points" if "comma" in str(error) else "it is torn. Copy it again"
        raise FileFormatError(f"{name} is damaged: its table of {len(labels)} columns can't be read, {why}.") from None
