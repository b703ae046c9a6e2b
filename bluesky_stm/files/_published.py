"""The autonomous measurements on EuZn2As2 as they were published, ``.hf5`` in NSID form [1]_.

What a reader must know of these files: the image is stored upside down; positions are pixel numbers times the pixel
size, with y up; current and lock-in channels are in A; in a saturated sample current and lock-in X are sometimes exchanged;
the candidates lay 10 pixels apart, from which follows the size of the frame, which is not stored.

References
----------
.. [1] G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), doi:10.1038/s41524-025-01642-1
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import clipping_level, conductance, qualities
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import About, Setpoint, Spectrum, Topograph

CANDIDATE_STEP: Final = 10
"""Pixels between neighbouring candidates of the published runs."""

_DATASETS: Final = ("Tunneling Spectroscopy", "Image", "Position", "Scalar")


def read_published(path: Path, file: h5py.File) -> RecordedRun:
    """A published run, in our units and with row 0 of the image at the lowest y.

    Raises
    ------
    FileFormatError
        When the file is no such run or is damaged.
    """
    spectra, image, positions, scalars = _load(path, file)
    if spectra.shape[1] != 4 or len({len(spectra), len(positions), len(scalars)}) != 1:
        raise FileFormatError(
            f"{path.name} is damaged: {spectra.shape} spectra, {len(positions)} positions and {len(scalars)} scalars "
            "do not belong together."
        )
    bias = spectra[0, 0]
    current, lockin_x = _unswapped(*(units.from_si(spectra[:, k], units.CURRENT) for k in (1, 2)))
    lockin_y = units.from_si(spectra[:, 3], units.CURRENT)
    didv, source, calibration = conductance(bias, current, lockin_x, lockin_y)
    setpoint = Setpoint(float(bias[0]), float(np.abs(current[:, 0].mean())))
    return RecordedRun(
        Topograph(_frame(positions, image.shape), image[::-1], setpoint=setpoint),
        tuple(
            Spectrum(
                position=Point(*p), bias=bias, current=i, lockin_x=x, lockin_y=y, didv=g, setpoint=setpoint, quality=q | source
            )
            for p, i, x, y, g, q in zip(
                positions.tolist(), current, lockin_x, lockin_y, didv, qualities(current, lockin_x), strict=True
            )
        ),
        scalars,
        about=About(
            calibration=replace(calibration, channel=calibration.channel and "X"), channels=("Bias", "Current", "X", "Y")
        ),
    )


def _load(path: Path, file: h5py.File) -> list[Floats]:
    found: dict[str, Floats] = {}

    def collect(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and (last := name.rsplit("/", 1)[-1]) in _DATASETS:
            found[last] = np.asarray(item[()], dtype=float)

    file.visititems(collect)
    if missing := set(_DATASETS) - found.keys():
        raise FileFormatError(f"{path.name} is no published run: it has no {sorted(missing)}. Choose a DKL run in NSID form.")
    return [found[name] for name in _DATASETS]


def _frame(positions: Floats, shape: tuple[int, ...]) -> Frame:
    """Frame whose pixel centres are the positions divided by the pixel size."""
    steps = np.diff(np.unique(positions[:, 0]))
    pixel = steps[steps > 1e-6].min() / CANDIDATE_STEP
    rows, columns = shape
    return Frame(Point((columns - 1) * pixel / 2, (rows - 1) * pixel / 2), (columns * pixel, rows * pixel), (rows, columns))


def _unswapped(current: Floats, lockin_x: Floats) -> tuple[Floats, Floats]:
    """Current and lock-in X with saturated samples that were stored in each other's place put back."""
    swapped = (current == 0) & (lockin_x >= clipping_level(current))
    return np.where(swapped, lockin_x, current), np.where(swapped, current, lockin_x)
