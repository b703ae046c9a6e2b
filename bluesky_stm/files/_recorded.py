"""A finished measurement as one thing: a topograph, and spectra at some places in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import qualities
from bluesky_stm.files._supported import supported_scalarizer
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import About, Grid, Quality, Spectrum, Topograph
from bluesky_stm.validated import JSON

PUBLISHED_WINDOW: Final = 30 / 512
"""Side of the window that the published agents saw, as a share of the frame; candidates lay a third of it apart."""


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
        True when every pixel of the topograph has its spectrum.
    about : About or None
        What the file says beside the measurement.
    """

    topograph: Topograph
    spectra: tuple[Spectrum, ...]
    scalars: Floats | None = None
    complete: bool = False
    about: About | None = None

    @property
    def bias(self) -> Floats:
        """Bias axis of the spectra, (n,), in V, in the order of the sweep.

        It is that of the first spectrum; empty where there are none.
        """
        return self.spectra[0].bias if self.spectra else np.empty(0)

    def suggested_scale(self) -> JSON:
        """A length scale that fits: fields of `settings.LengthScale`, less its name.

        A run has the window and step of the published agents; in a grid the window is a fifth of it and every pixel a
        candidate. The scalarizer is one that the sweep can support, see `supported_scalarizer`.
        """
        frame, count = self.topograph.frame, max(1, len(self.spectra))
        pixel, pixels = max(frame.pixel_size), min(frame.pixels)
        published = max(3, round(PUBLISHED_WINDOW * pixels))
        window, step = (max(3, pixels // 5), 1) if self.complete else (published, max(1, published // 3))
        return {
            "frame": min(frame.size),
            "pixels": pixels,
            "patch": window * pixel,
            "step": step * pixel,
            "sites": "raster",
            "budget": min(60, count),
            "seeds": min(20, count),
            "scalarizer": supported_scalarizer(self.spectra, self.about),
        }

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
        source = grid.quality & Quality.OF_LOCKIN
        spectra = tuple(replace(grid.spectrum(*pixel), quality=q | source) for pixel, q in flagged if measured[pixel])
        topograph = Topograph(grid.frame, grid.height, setpoint=grid.setpoint, time=grid.time, quality=incomplete)
        return cls(topograph, spectra, complete=bool(measured.all()), about=grid.about)
