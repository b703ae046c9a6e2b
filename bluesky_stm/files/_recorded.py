"""A finished measurement as one thing: a topograph, and spectra at some places in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import qualities
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Grid, Quality, Spectrum, Topograph


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A topograph, and spectra at some places in it, in the order measured.

    Attributes
    ----------
    topograph : Topograph
    spectra : tuple of Spectrum
    scalars : ndarray of shape (n,) or None
        The value that was stored with each spectrum, as stored; None where there is none.
    complete : bool
        Whether every pixel of the topograph has its spectrum.
    """

    topograph: Topograph
    spectra: tuple[Spectrum, ...]
    scalars: Floats | None = None
    complete: bool = False

    @classmethod
    def of_grid(cls, grid: Grid) -> Self:
        """The spectra of a grid, row by row, over the image of its own heights; pixels without a spectrum are left out.

        Raises
        ------
        FileFormatError
            When the grid holds no heights, hence no image, or no spectrum.
        """
        if np.isnan(grid.height).all() or np.isnan(grid.current).all():
            raise FileFormatError("This grid holds no heights or no spectrum: there is nothing to explore. Choose another.")
        incomplete = Quality.INCOMPLETE if np.isnan(grid.height).any() else Quality.GOOD
        measured = np.asarray(np.isfinite(grid.current).any(axis=-1))
        flagged = zip(np.ndindex(measured.shape), qualities(grid.current, grid.lockin_x), strict=True)
        spectra = tuple(replace(grid.spectrum(*pixel), quality=q) for pixel, q in flagged if measured[pixel])
        topograph = Topograph(grid.frame, grid.height, grid.setpoint, grid.time, incomplete)
        return cls(topograph, spectra, complete=bool(measured.all()))
