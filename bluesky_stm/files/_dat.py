"""Nanonis point spectra, ``.dat``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import date_of, in_our_unit, in_si, qualities, spectroscopy, split_unit, timestamp
from bluesky_stm.files._header import Header, lines_of_setpoint, number, setpoint_of, split_file
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint, Spectrum
from bluesky_stm.validated import JSON


def read_dat(path: str | Path) -> Spectrum:
    """A bias spectrum: the forward sweep, in our units.

    Raises
    ------
    FileFormatError
        When the file is no point spectrum, is damaged, or swept something else than the bias.
    """
    path = Path(path)
    text, body = split_file(path, b"[DATA]", "point spectrum", "Choose a .dat file of Nanonis bias spectroscopy.")
    header = _parse(text)
    if header.get("Experiment", "").lower() != "bias spectroscopy":
        raise FileFormatError(
            f"{path.name} is {header.get('Experiment', 'of no named experiment')!r}, not bias spectroscopy: "
            "it holds no I(V) spectrum. Choose another file."
        )
    columns = _columns(path.name, body.decode("latin-1"))
    bias = next(iter(columns.values()))
    channels, source = spectroscopy(bias, columns)
    arrays: JSON = dict(channels)
    first = Setpoint(float(bias[0]), float(abs(arrays["current"][0])))
    x, y, z = (float(units.from_si(number(header, f"{axis} (m)", float("nan")), units.LENGTH)) for axis in "XYZ")
    return Spectrum(
        position=Point(x, y),
        bias=bias,
        **arrays,
        setpoint=setpoint_of(header) or first,
        time=timestamp(header.get("Start time") or header.get("Saved Date") or header.get("Date")),
        z=z,
        quality=qualities(arrays["current"][None], arrays["lockin_x"][None])[0] | source,
    )


def write_dat(path: str | Path, spectrum: Spectrum) -> None:
    """Write a bias spectrum as a file of Nanonis.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is overwritten.
    spectrum : Spectrum
        Channels that are NaN throughout are left out; its numbers are written in SI with ten digits.
    """
    columns = {"Bias calc (V)": spectrum.bias, **in_si(spectrum)}
    place = units.to_si([*spectrum.position, spectrum.z], units.LENGTH)
    header = {
        "Experiment": "bias spectroscopy",
        "Saved Date": date_of(spectrum.time),
        "User": "",
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


def _parse(text: str) -> Header:
    pairs = (line.partition("\t") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _columns(name: str, text: str) -> dict[str, Floats]:
    """Columns by name without unit, in our units; the first is what was swept."""
    head, *lines = text.strip("\r\n").splitlines()
    labels = [label for label in head.split("\t") if label.strip()]
    try:
        values = np.array([[float(v) for v in line.split("\t")[: len(labels)]] for line in lines if line.strip()])
        table = values.reshape(-1, len(labels)).T
    except ValueError:
        raise FileFormatError(f"{name} is damaged: its table of {len(labels)} columns is torn. Copy it again.") from None
    parts = [split_unit(label) for label in labels]
    return {channel: in_our_unit(column, unit) for (channel, unit), column in zip(parts, table, strict=True)}
